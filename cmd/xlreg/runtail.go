package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/run"
)

// What is kept of a member's output for those who want to know why it has failed.
const (
	tailLines = 8
	tailWidth = 500
)

// tail keeps the last lines of what is written to it. Its methods may be called at the same
// time.
type tail struct {
	mu    sync.Mutex
	lines []string // guarded by mu, as is rest
	rest  []byte   // of a line whose end is still to come
}

func newTail() *tail { return new(tail) }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := p
	for {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		t.add(line)
		if !ok {
			return len(p), nil
		}
		t.end()
		rest = after
	}
}

// add needs mu.
func (t *tail) add(part []byte) {
	room := tailWidth - len(t.rest)
	t.rest = append(t.rest, part[:min(len(part), max(room, 0))]...)
}

// end needs mu.
func (t *tail) end() {
	line := strings.TrimSpace(string(t.rest))
	t.rest = t.rest[:0]
	if line == "" {
		return
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

// last returns at most n lines, the newest at the end.
func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	if rest := strings.TrimSpace(string(t.rest)); rest != "" {
		lines = append(lines, rest)
	}
	return lines[max(0, len(lines)-n):]
}

// also returns a writer to w whose bytes are kept, too. Closing it closes w.
func (t *tail) also(w io.WriteCloser) io.WriteCloser { return &tailed{t, w} }

type tailed struct {
	tail *tail
	io.WriteCloser
}

// Write implements io.Writer.
func (t *tailed) Write(p []byte) (int, error) {
	_, _ = t.tail.Write(p) // does not fail
	return t.WriteCloser.Write(p)
}

// explainEnd adds to the error with which a run ends what helps to find its cause: what the
// member that failed has said last, if nobody has seen that or it was never ready, and where
// its log is.
func (r *clusterRun) explainEnd(members []*runMember, err error) error {
	var late *run.NotReadyError
	var exit *run.ExitError
	name := ""
	switch {
	case errors.As(err, &late):
		name = late.Name
	case errors.As(err, &exit):
		name = exit.Name
	}
	if late != nil && !late.Ended {
		err = cli.Mark(err, errDeadline)
	}
	at := slices.IndexFunc(members, func(m *runMember) bool { return m.data.Self.Name == name })
	if at < 0 || members[at].wasReady && !r.hidesOutput() {
		return err
	}
	return members[at].explain(err)
}

// explain adds to an error about a member what that has said last, and where its log is.
func (m *runMember) explain(err error) error {
	if lines := m.tail.last(tailLines); len(lines) > 0 {
		err = fmt.Errorf("%w; it said last: %s", err, strings.Join(lines, " / "))
	}
	if m.log != nil {
		err = fmt.Errorf("%w; its log is %s", err, m.log.Path())
	}
	return err
}
