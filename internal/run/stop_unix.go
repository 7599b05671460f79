//go:build unix

package run

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// oneSignal is the time within which two signals count as one: timeout(1) sends its
// signal to the program and to the program's group.
const oneSignal = 25 * time.Millisecond

// ending reports whether nothing is to be started any more.
func (s *supervisor) ending() bool { return s.stopping || !s.interrupted.IsZero() }

// stopAll tells all programs to end.
func (s *supervisor) stopAll() {
	if s.stopping {
		return
	}
	s.stopping, s.linger = true, time.Time{}
	s.hook.stop()
	for _, u := range s.units {
		s.giveUp(u)
		if u.process != nil {
			s.stop(u.process)
		}
	}
}

// giveUp ends the wait of a unit that was to be started again.
func (s *supervisor) giveUp(u *unit) {
	if !u.again.IsZero() {
		u.again = time.Time{}
		s.tell(u, Event{State: StateEnded, Asked: true, Do: u.asked})
	}
}

// stop tells a program to end.
func (s *supervisor) stop(p *process) {
	p.stopping = true
	p.cancel() // whether it is ready does not matter any more
	p.order(shim.Order{Do: shim.DoStop})
	p.forceAt = earlier(p.forceAt, time.Now().Add(s.o.Grace+shim.Margin))
	if !p.ended {
		s.tell(p.unit, Event{State: StateStopping})
	}
}

// dismiss ends a shim that keeps helpers.
func (s *supervisor) dismiss(p *process) {
	if p.dismissed {
		return
	}
	p.dismissed = true
	p.order(shim.Order{Do: shim.DoEnd})
	p.forceAt = time.Now().Add(s.o.Grace + shim.Margin)
	if s.killing {
		s.kill(p)
	}
}

// interrupt handles a signal: the first is passed on, with a time limit, and the second
// kills.
func (s *supervisor) interrupt(sig os.Signal, at time.Time) {
	number, ok := sig.(syscall.Signal)
	switch {
	case !ok:
	case !s.started:
		s.limit()
		s.fail(context.Canceled)
		s.stopAll()
	case number == syscall.SIGHUP && !s.o.HangupEnds:
		s.pass(number)
	case s.interrupted.IsZero():
		s.interruptAll(number, at)
	case at.Sub(s.interrupted) > oneSignal:
		s.killAll()
	}
}

// limit bounds how long the run may take from now on. A run that ends by itself may wait for
// whoever reads its output, perhaps a person with a pager; one that was told to end may not.
func (s *supervisor) limit() {
	if s.stuck == nil && s.o.Stuck != nil {
		// Programs take at most this long to end, and then the helpers that they share.
		s.stuck = time.AfterFunc(2*(s.o.Grace+shim.Margin), s.o.Stuck)
	}
}

func (s *supervisor) pass(number syscall.Signal) {
	for _, u := range s.units {
		if u.process != nil {
			u.process.order(shim.Order{Do: shim.DoSignal, Signal: int(number)})
		}
	}
}

// interruptAll passes the first signal on. What has not started yet never does.
func (s *supervisor) interruptAll(number syscall.Signal, at time.Time) {
	s.interrupted = at
	s.limit()
	s.hook.stop()
	for _, u := range s.units {
		if !u.again.IsZero() {
			s.fail(u.last) // the signal reaches no program that could say how it ended
			s.giveUp(u)
		}
		if p := u.process; p != nil && !p.told {
			s.stop(p)
		}
	}
	s.pass(number)
	limit := s.interrupted.Add(s.o.Grace)
	for _, u := range s.units {
		if p := u.process; p != nil {
			p.cancel()
			p.killAt = earlier(p.killAt, limit)
			p.forceAt = earlier(p.forceAt, limit.Add(shim.Margin))
		}
	}
	s.forgetSignals()
}

// forgetSignals drops those that have come already: they were sent at the time of the first,
// however late a busy machine lets this run hear of them.
func (s *supervisor) forgetSignals() {
	for {
		select {
		case _, ok := <-s.o.Signals:
			if ok {
				continue
			}
		default:
		}
		return
	}
}

func (s *supervisor) killAll() {
	s.killing = true
	s.hook.stop()
	s.o.Killing.begin()
	for _, u := range s.units {
		for _, p := range u.shims() {
			if p == u.process || p.dismissed { // what is shared has to stay until the programs are gone
				s.kill(p)
			}
		}
	}
}

// kill ends a program at once.
func (s *supervisor) kill(p *process) {
	p.killAt = time.Time{}
	p.order(shim.Order{Do: shim.DoKill})
	p.forceAt = earlier(p.forceAt, time.Now().Add(shim.Margin))
}

// earlier returns the earlier of two times, of which the first may be none.
func earlier(old, t time.Time) time.Time {
	if !old.IsZero() && old.Before(t) {
		return old
	}
	return t
}

// untilNext returns how long nothing has to be done.
func (s *supervisor) untilNext() time.Duration {
	next := time.Now().Add(time.Hour)
	consider := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	consider(s.linger)
	for _, u := range s.units {
		if u.process == nil {
			consider(u.again)
		}
		for _, p := range u.shims() {
			consider(p.killAt)
			consider(p.forceAt)
		}
	}
	return max(0, time.Until(next))
}

// onTime does what is due.
func (s *supervisor) onTime(now time.Time) {
	if due(s.linger, now) {
		s.stopAll()
	}
	for _, u := range s.units {
		for _, p := range u.shims() {
			s.press(p, now)
		}
		if u.process == nil && due(u.again, now) {
			u.restarts++
			s.prepare(u)
		}
	}
}

// press ends what should have ended by now.
func (s *supervisor) press(p *process, now time.Time) {
	if due(p.killAt, now) {
		s.kill(p)
	}
	if due(p.forceAt, now) {
		p.forceAt = time.Time{}
		p.force()
	}
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }
