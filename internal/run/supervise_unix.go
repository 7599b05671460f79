//go:build unix

package run

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// All runs programs until all of them, and all that they have started, are gone.
// When one ends the others are stopped: at once if it failed, after a while if it
// did not. The first that failed is the error, an *ExitError; how those ended that
// were stopped does not count.
//
// If this process is killed, the programs are stopped all the same.
func All(programs []Program, o Options) error {
	s := &supervisor{o: o.withDefaults(), events: make(chan event)}
	defer s.watchers.Wait()
	for i := range programs {
		p, err := startShim(i, &programs[i], &s.o)
		if err != nil {
			s.fail(err)
			s.fail(Abandon(programs[i+1:]))
			break
		}
		s.processes = append(s.processes, p)
		s.watchers.Go(func() { p.watch(s.events) })
	}
	return s.run()
}

// supervisor is owned by the goroutine that calls All.
type supervisor struct {
	o         Options
	processes []*process
	events    chan event
	watchers  sync.WaitGroup

	ready, gone int
	started     bool
	stopping    bool
	signalled   time.Time        // zero until one has come
	linger      <-chan time.Time // nil until one has ended well
	first       error            // what failed first
}

func (s *supervisor) run() error {
	for s.gone < len(s.processes) {
		if s.first != nil && !s.started {
			s.stopAll()
		}
		select {
		case e := <-s.events:
			s.take(e)
		case sig := <-s.o.Signals:
			s.interrupt(sig)
		case <-s.linger:
			s.stopAll()
		}
	}
	return s.first
}

func (s *supervisor) fail(err error) {
	if s.first == nil && err != nil {
		s.first = err
	}
}

func (s *supervisor) take(e event) {
	switch {
	case e.gone:
		s.gone++
	case e.report.Is == isReady:
		s.ready++
		s.startAll()
	case e.report.Is == isFailed:
		s.end(&ExitError{Name: e.process.name, Code: codeCannotRun, Err: errors.New(e.report.Error)})
	case e.report.Is == isEnded && e.report.Code == 0 && e.report.Signal == 0:
		s.end(nil)
	case e.report.Is == isEnded:
		s.end(&ExitError{Name: e.process.name, Code: e.report.Code, Signal: syscall.Signal(e.report.Signal)})
	}
}

// startAll starts all programs once the last shim is ready.
func (s *supervisor) startAll() {
	if s.ready < len(s.processes) || s.stopping || s.first != nil {
		return
	}
	if s.o.Release != nil {
		s.fail(s.o.Release())
	}
	if s.first != nil {
		return
	}
	s.started = true
	for _, p := range s.processes {
		p.order(order{Do: doStart})
	}
}

// end handles the end of a program; a nil failure is a good end.
func (s *supervisor) end(failure *ExitError) {
	if s.stopping {
		return // it was told to end
	}
	if failure != nil {
		s.fail(failure)
	}
	switch {
	case s.o.KeepGoing:
	case failure != nil:
		s.stopAll()
	case s.linger == nil:
		s.linger = time.After(s.o.Linger)
	}
}

func (s *supervisor) stopAll() { s.orderAll(order{Do: doStop}) }

func (s *supervisor) orderAll(o order) {
	if o.Do == doStop && s.stopping {
		return
	}
	s.stopping = s.stopping || o.Do == doStop
	for _, p := range s.processes {
		p.order(o)
	}
}

// oneSignal is the time within which two signals count as one: timeout(1) sends its
// signal to the program and to the program's group.
const oneSignal = 25 * time.Millisecond

// interrupt passes the first signal on, and kills at the second.
func (s *supervisor) interrupt(sig os.Signal) {
	number, ok := sig.(syscall.Signal)
	switch {
	case !ok:
	case !s.started:
		s.fail(context.Canceled)
	case s.signalled.IsZero():
		s.signalled = time.Now()
		s.orderAll(order{Do: doSignal, Signal: int(number)})
	case time.Since(s.signalled) > oneSignal:
		s.orderAll(order{Do: doKill})
	}
}
