//go:build unix

package run

import (
	"context"
	"os"
	"syscall"
	"time"
)

// margin is how much longer than it should a shim may take to end. Then it hangs, and is
// killed with all that it looks after.
const margin = 5 * time.Second

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
		s.tell(u, Event{State: StateEnded, Asked: true})
	}
}

// stop tells a program to end.
func (s *supervisor) stop(p *process) {
	p.order(order{Do: doStop})
	p.forceAt = earlier(p.forceAt, time.Now().Add(s.o.Grace+margin))
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
	p.order(order{Do: doEnd})
	p.forceAt = time.Now().Add(s.o.Grace + margin)
	if s.killing {
		s.kill(p)
	}
}

// interrupt handles a signal: the first is passed on, with a time limit, and the second
// kills.
func (s *supervisor) interrupt(sig os.Signal) {
	number, ok := sig.(syscall.Signal)
	switch {
	case !ok:
	case !s.started:
		s.fail(context.Canceled)
		s.stopAll()
	case number == syscall.SIGHUP && !s.o.HangupEnds:
		s.pass(number)
	case s.interrupted.IsZero():
		s.interruptAll(number)
	case time.Since(s.interrupted) > oneSignal:
		s.killAll()
	}
}

func (s *supervisor) pass(number syscall.Signal) {
	for _, u := range s.units {
		if u.process != nil {
			u.process.order(order{Do: doSignal, Signal: int(number)})
		}
	}
}

// interruptAll passes the first signal on. What has not started yet never does.
func (s *supervisor) interruptAll(number syscall.Signal) {
	s.interrupted = time.Now()
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
			p.killAt = earlier(p.killAt, limit)
			p.forceAt = earlier(p.forceAt, limit.Add(margin))
		}
	}
}

func (s *supervisor) killAll() {
	s.killing = true
	s.hook.stop()
	for _, u := range s.units {
		for _, p := range u.shims() {
			s.kill(p)
		}
	}
}

// kill ends a program at once.
func (s *supervisor) kill(p *process) {
	p.killAt = time.Time{}
	p.order(order{Do: doKill})
	p.forceAt = earlier(p.forceAt, time.Now().Add(margin))
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
