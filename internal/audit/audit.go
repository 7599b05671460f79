// Package audit keeps a record of what was done to a registry, and by whom: one line of
// JSON for each event, in a file that nothing else is written to.
//
// A line is in the file, as far as the operating system is concerned, before whoever
// caused it is answered: a process that is killed loses none. It is not synced to the
// disk, so a machine that loses its power may lose the last seconds.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg/internal/registry"
)

// perm are the permissions of a new file: addresses of people stand in it.
const perm = 0o640

// Log is an audit log. Its methods may be called from any goroutine.
type Log struct {
	path string
	log  *slog.Logger

	refusals *rate.Limiter // of those that are written

	mu      sync.Mutex
	file    *os.File // guarded by mu; nil after Close
	broken  bool     // guarded by mu; the last line is not whole
	lost    int      // guarded by mu; lines that could not be written
	omitted int      // guarded by mu; refusals that were too many
}

// How many refusals are written: some at once, and then so many a second. Anyone can have
// requests refused, and must not be able to fill the disk so.
const (
	refusalsAtOnce    = 1000
	refusalsPerSecond = 10
)

// Open opens the file at path, and makes it if it does not exist. What goes wrong later is
// told to log.
func Open(path string, log *slog.Logger) (*Log, error) {
	l := &Log{path: path, log: log, refusals: rate.NewLimiter(refusalsPerSecond, refusalsAtOnce)}
	file, err := l.open()
	if err != nil {
		return nil, err
	}
	l.file = file
	return l, nil
}

func (l *Log) open() (*os.File, error) {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&os.ModeCharDevice == 0 {
		err = fmt.Errorf("audit log: %s: want a regular file", l.path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Reopen goes on with the file that is at the path by now, after the old one has been moved
// away. If that fails, the old one is written to as before.
func (l *Log) Reopen() error {
	file, err := l.open()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return errors.Join(os.ErrClosed, file.Close())
	}
	old := l.file
	l.file, l.broken = file, false
	return old.Close()
}

// Close ends the log; later lines are dropped. It may be called again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Observe records an event of the registry.
func (l *Log) Observe(e registry.Event) {
	entry := lineOf(&e)
	if e.Kind == registry.EventRefused && !l.roomFor(entry) {
		return
	}
	l.write(entry)
}

// roomFor reports whether a refusal is written, and has it say how many before it were not.
func (l *Log) roomFor(refusal *line) bool {
	allowed := l.refusals.Allow()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !allowed {
		l.omitted += 1 + refusal.Omitted
		return false
	}
	refusal.Omitted += l.omitted
	l.omitted = 0
	return true
}

// Change is what an admin has done that is no event of a cluster or a node.
type Change struct {
	Time   time.Time
	Admin  string // the name of the token or key, or "local"
	From   string // the address; empty: this machine
	What   string // one of the words that docs/reference/audit-log.md lists
	Detail string // such as the new log level; never a secret
}

// Admin records what an admin has done.
func (l *Log) Admin(c Change) {
	l.write(&line{Time: stamp(c.Time), Event: "admin", By: &by{From: c.From, Admin: c.Admin}, What: c.What, Detail: c.Detail})
}

func (l *Log) write(entry *line) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // ends with a newline, and has no other in it
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(entry); err != nil {
		l.log.Error("audit log: an event cannot be written", "event", entry.Event, "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	if l.lost > 0 && !l.catchUp(entry.Time) {
		l.lost++
		return
	}
	if err := l.put(b.Bytes()); err != nil {
		l.lost = 1
		l.log.Error("audit log: what happens is not recorded until it can be written again", "err", err)
	}
}

// catchUp says in the log that lines are missing, and reports whether it could. mu is held.
func (l *Log) catchUp(now string) bool {
	b, err := json.Marshal(&line{Time: now, Event: "lost", Omitted: l.lost})
	if err != nil || l.put(append(b, '\n')) != nil {
		return false
	}
	l.log.Warn("audit log: what happens is recorded again", "lost", l.lost)
	l.lost = 0
	return true
}

// put writes one line. Of one that did not fit on the disk a part may be there, so the next
// one begins on a line of its own. mu is held.
func (l *Log) put(b []byte) error {
	if l.broken {
		b = append([]byte{'\n'}, b...)
	}
	n, err := l.file.Write(b)
	if n > 0 {
		l.broken = n < len(b)
	}
	return err
}
