//go:build unix

package run

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// unit is a program with all its starts. It is owned by the supervisor.
type unit struct {
	index   int
	program *Program
	state   State
	reuse   bool // the program may be started more than once
	sinks   [2]*sink

	process *process   // of this start; nil before the first and between two
	keepers []*process // shims of earlier starts, which look after shared helpers

	waits    bool      // for the first program to be ready
	released bool      // its ports
	wasReady bool      // in this start or an earlier one
	readyAt  time.Time // of this start; zero until then
	backoff  backoff
	restarts int
	again    time.Time      // when to start it again; zero: not at all
	why      error          // the failure for which the supervisor itself ends it
	asked    Do             // the command by which it was told to end for good; empty: it was not
	renew    bool           // it was told to end and is to start again
	signal   syscall.Signal // what somebody has sent it last, at
	sentAt   time.Time
	last     error // its last failure
	wishes   []*wish
}

func newUnit(index int, p *Program, o *Options) *unit {
	return &unit{
		index: index, program: p, state: StateWaiting,
		reuse:   o.Restart.OnFailure || o.Commands != nil,
		sinks:   [2]*sink{newSink(p.Stdout), newSink(p.Stderr)},
		waits:   o.First && index > 0,
		backoff: backoff{most: o.Restart.Most},
	}
}

// runs reports whether the program itself runs.
func (u *unit) runs() bool { return u.process != nil && u.process.pid > 0 && !u.process.ended }

// keep makes the shim of a program that has ended the keeper of what it left.
func (u *unit) keep(p *process) {
	p.keeps()
	if u.process == p {
		u.process = nil
		u.keepers = append(u.keepers, p)
	}
}

// forget removes a shim that is gone.
func (u *unit) forget(p *process) {
	if u.process == p {
		u.process = nil
	}
	u.keepers = slices.DeleteFunc(u.keepers, func(k *process) bool { return k == p })
}

// shims returns all that there are.
func (u *unit) shims() []*process {
	if u.process == nil {
		return u.keepers
	}
	return append(slices.Clone(u.keepers), u.process)
}

// close frees what the program was given, after its last end.
func (u *unit) close() {
	_ = closeAll(u.program.Passed)
	for _, to := range u.sinks {
		to.close()
	}
}

// prepare starts the shim of a unit.
func (s *supervisor) prepare(u *unit) {
	u.again = time.Time{}
	u.asked, u.signal, u.why, u.last, u.readyAt = "", 0, nil, nil, time.Time{}
	p, err := startShim(u, &s.o)
	if err != nil {
		s.over(u, err, false)
		return
	}
	u.process = p
	s.helpers.Go(p.send)
	s.help(func() { p.watch(s.notices, s.o.Mark) })
}

// startPrepared starts the programs whose time has come: at the beginning all together,
// once the last shim is ready, and later each for itself.
func (s *supervisor) startPrepared() {
	if s.ending() {
		return
	}
	if !s.started && s.any(func(u *unit) bool { return u.process != nil && !u.process.prepared }) {
		return
	}
	for _, u := range s.units {
		if s.ending() {
			return // the last one could not be started
		}
		if u.process != nil && u.process.prepared && !u.process.told && s.mayStart(u) {
			s.start(u)
		}
	}
}

// mayStart reports whether what the unit waits for has happened.
func (s *supervisor) mayStart(u *unit) bool {
	return u.asked == "" && (!u.waits || s.units[0].state == StateReady)
}

func (s *supervisor) start(u *unit) {
	if err := s.release(u); err != nil {
		s.fail(err)
		s.stopAll()
		return
	}
	u.waits = false
	u.process.told = true
	u.process.order(shim.Order{Do: shim.DoStart})
}

// release lets go of what was held for programs that have not started yet.
func (s *supervisor) release(u *unit) error {
	if !s.started && s.o.Release != nil {
		if err := s.o.Release(); err != nil {
			return err
		}
	}
	s.started = true
	if u.released || u.program.Release == nil {
		return nil
	}
	u.released = true
	return u.program.Release()
}

// runs handles the start of a program.
func (s *supervisor) runs(p *process, pid int) {
	u := p.unit
	p.pid = pid
	if p.stopping || s.ending() {
		return // it is about to end, and nobody waits for it
	}
	s.tell(u, Event{State: StateStarting})
	if u.program.Ready == nil {
		s.isReady(u)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	s.help(func() {
		err := u.program.Ready.Await(ctx, p.name)
		s.notices <- notice{checked: p, err: err}
	})
}

// checked handles the end of a check. A program that is not ready in time ends the run;
// if it was ready before, it has failed like one that died.
func (s *supervisor) checked(p *process, err error) {
	u := p.unit
	switch {
	case p.ended, p.stopping, u.asked != "", s.ending():
	case err == nil:
		s.isReady(u)
	case u.wasReady:
		u.why = err
		s.stop(p)
	default:
		s.fail(err)
		s.stopAll()
	}
}

func (s *supervisor) isReady(u *unit) {
	u.readyAt, u.wasReady = time.Now(), true
	s.tell(u, Event{State: StateReady})
}

// ended handles the end of a program; a nil failure is a good end. A final failure would only
// happen again.
func (s *supervisor) ended(p *process, failure error, final bool) {
	if p.ended {
		return
	}
	p.end(time.Now().Add(s.o.Grace + shim.Margin))
	s.over(p.unit, failure, final)
}

// over decides what the end of a program means for it and for the others.
func (s *supervisor) over(u *unit, failure error, final bool) {
	if u.why != nil {
		failure = u.why
	}
	switch {
	case s.stopping, s.ending() && u.process != nil && !u.process.told:
		s.tell(u, Event{State: StateEnded, Asked: true, Do: u.asked})
	case !s.interrupted.IsZero():
		s.tell(u, Event{State: StateEnded, Asked: true, Do: u.asked})
		s.decide(u, failure)
	case u.renew:
		u.renew, u.again = false, time.Now()
		s.tell(u, Event{State: StateRestarting})
	case u.asked != "":
		s.tell(u, Event{State: StateEnded, Asked: true, Do: u.asked})
	case u.wasWanted(failure, s.o.Grace):
		u.asked = DoKill
		s.tell(u, Event{State: StateEnded, Asked: true, Do: u.asked})
	case failure != nil && !final && s.restarts(u, failure):
	default:
		u.last = failure
		s.tell(u, Event{State: StateEnded, Err: failure})
		s.decide(u, failure)
	}
}

// restarts reports whether a program that has failed is started again.
func (s *supervisor) restarts(u *unit, failure error) bool {
	if !s.o.Restart.OnFailure || !s.started {
		return false
	}
	var steady time.Duration
	if !u.readyAt.IsZero() {
		steady = time.Since(u.readyAt)
	}
	pause, ok := u.backoff.next(steady)
	if !ok {
		return false
	}
	s.tell(u, Event{State: StateRestarting, Err: failure, Again: pause})
	u.last, u.again = failure, time.Now().Add(pause) // from when it is told, not from before
	return true
}

// decide says what the end of one program means for the others.
func (s *supervisor) decide(u *unit, failure error) {
	unready := !u.wasReady && s.hook.awaited(&s.o)
	if failure == nil && unready && s.interrupted.IsZero() {
		failure = &NotReadyError{Name: u.program.Name, Ended: true}
	}
	s.fail(failure)
	switch {
	case failure != nil && (!s.o.KeepGoing || !s.started || unready):
		s.stopAll()
	case failure != nil || s.o.KeepGoing || s.o.Then != nil:
	case s.linger.IsZero():
		s.linger = time.Now().Add(s.o.Linger)
	}
}

// endVainWait ends the run if programs wait for the first, and that has ended.
func (s *supervisor) endVainWait() {
	if s.ending() || s.units[0].state != StateEnded || !s.any(func(u *unit) bool { return u.waits }) {
		return
	}
	first := s.units[0]
	s.fail(first.last)
	s.fail(&NotReadyError{Name: first.program.Name, Ended: true})
	s.stopAll()
}

// gone handles the end of a shim. Unless that was killed, all is gone that the program has
// started.
func (s *supervisor) gone(p *process, killed bool) {
	s.lost = s.lost || killed
	close(p.orders)
	p.unit.forget(p)
}

// endKeepers ends what programs share, once none of them is left.
func (s *supervisor) endKeepers() {
	if s.any(func(u *unit) bool { return u.process != nil || !u.again.IsZero() }) {
		return
	}
	if s.hook.running {
		if s.o.Then == nil {
			s.hook.stop() // there is nothing left to be made ready
		}
		return
	}
	for _, u := range s.units {
		for _, p := range u.keepers {
			s.dismiss(p)
		}
	}
}
