// Package detach starts this program again as a process that outlives the one that was
// called, and lets the two talk until it is ready.
//
// The program is started with the same arguments, in the same directory and with the same
// environment, so nothing has to be handed over as an argument, which others could read. Both
// processes come to the same place, and part there:
//
//	s := detach.Inherited() // in main, or before anything else is started
//	if s == nil {
//		return detach.Start(ctx, options) // until the other is ready, or has failed
//	}
//	defer s.Close()
//	// open the log, and then
//	s.LogTo(log.File())
//	// do the work with s.Out() and s.Err(), and end early if s.Gone() is closed
//	s.Ready() // or s.Failed(text, code)
//
// Standard input is empty in the detached process, and of the files that the other one was given
// it has no more than the standard ones. It is the leader of a session, so that no terminal ends
// it.
package detach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// ErrUnixOnly says that the system cannot do it.
var ErrUnixOnly = errors.New("programs are detached on Unix only")

// Options are where the process that was called shows what the other one says.
type Options struct {
	Out, Err io.Writer
	Log      string // where the other one says more
}

// Error is how the detached process failed before it was ready.
type Error struct {
	Text string // for people
	Exit int    // its exit code
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// variable tells the detached process that it is one. It does not begin like those of the
// program, which are flags.
const variable = "_XLREG_DETACHED"

// The files that the detached process inherits beside the standard ones.
const (
	reportsFD = 3 // it writes reports
	lifeFD    = 4 // the other end closes when the starter dies
)

// report is one line from the detached process to its starter.
type report struct {
	Out   string `json:"out,omitempty"` // for standard output
	Err   string `json:"err,omitempty"` // for standard error
	Ready bool   `json:"ready,omitempty"`
	Error string `json:"error,omitempty"`
	Exit  int    `json:"exit,omitempty"`
}

// Starter is the process that has started this one, as this one sees it. Its methods may be
// called at the same time.
type Starter struct {
	life    *os.File
	gone    chan struct{}
	reading sync.WaitGroup

	mu      sync.Mutex
	reports *os.File // nil once there is nothing more to say; guarded by mu, as is all below
	logs    bool     // this process's standard output is a log; before that it is the starter's
}

// Gone returns a channel that is closed if the starter dies before this process is ready.
func (s *Starter) Gone() <-chan struct{} { return s.gone }

// Out returns a writer to the starter's standard output until this process is ready, and to
// its own, which is a log by then.
func (s *Starter) Out() io.Writer {
	return &said{s, os.Stdout, func(text string) report { return report{Out: text} }}
}

// Err is Out for standard error.
func (s *Starter) Err() io.Writer {
	return &said{s, os.Stderr, func(text string) report { return report{Err: text} }}
}

// Ready lets the starter end well. From then on this process is on its own.
func (s *Starter) Ready() { s.last(report{Ready: true}) }

// Failed lets the starter end with an error. After Ready it does nothing. What this process
// says of it itself is for the log, if there is one: the starter says the same.
func (s *Starter) Failed(text string, exit int) {
	s.mute()
	s.last(report{Error: text, Exit: exit})
}

// Close ends the talk with the starter. It may be called again.
func (s *Starter) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUp()
}

// tell tells the starter, and reports whether that is enough: without a log there is only
// one place to say things.
func (s *Starter) tell(r report) (enough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(r)
	return s.reports != nil && !s.logs
}

// last ends the watch first: a starter that ends because of what it is told has not died.
func (s *Starter) last(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch()
	s.write(r)
	s.hangUp()
}

// write needs mu.
func (s *Starter) write(r report) {
	if s.reports == nil {
		return
	}
	_ = json.NewEncoder(s.reports).Encode(r) // a starter that is gone is told of by Gone
}

// hangUp needs mu.
func (s *Starter) hangUp() {
	if s.reports == nil {
		return
	}
	s.reports.Close()
	s.reports = nil
	s.unwatch()
}

// unwatch may be called again.
func (s *Starter) unwatch() {
	s.life.Close()
	s.reading.Wait()
}

// watch closes gone when the starter dies.
func (s *Starter) watch() {
	s.reading.Go(func() {
		_, err := s.life.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) {
			close(s.gone)
		}
	})
}

// said writes to a stream of this process, and tells the starter.
type said struct {
	starter *Starter
	own     *os.File
	as      func(string) report
}

// Write implements io.Writer.
func (w *said) Write(p []byte) (int, error) {
	if w.starter.tell(w.as(string(p))) {
		return len(p), nil
	}
	return w.own.Write(p)
}

// show shows what the detached process says until it is ready or has failed.
func show(reports io.Reader, o Options) error {
	in := json.NewDecoder(reports)
	for {
		var r report
		if err := in.Decode(&r); err != nil {
			return fmt.Errorf("the detached process was killed (%w): see %s", err, o.Log)
		}
		switch {
		case r.Ready:
			return nil
		case r.Error != "" || r.Exit != 0:
			return &Error{r.Error, r.Exit}
		case r.Out != "":
			_, _ = io.WriteString(o.Out, r.Out) // nobody to tell: it goes on without
		default:
			_, _ = io.WriteString(o.Err, r.Err)
		}
	}
}
