//go:build unix

package run

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
	"github.com/xlattice/xlreg/internal/run/shim"
)

// All runs programs until all of them, and all that they have started, are gone.
// When one ends the others are stopped: at once if it failed, after a while if it
// did not. The first that failed is the error, an *ExitError; how those ended that
// were stopped does not count.
//
// If this process is killed, the programs are stopped all the same.
func All(programs []Program, o Options) error {
	return newSupervisor(programs, o).run(nil, nil)
}

// Once runs one short command to its end. When ctx ends first, the command and all that
// it has started are stopped, and the error is that of ctx. Of the options only those
// that find the shim, the grace and the mark matter.
func Once(ctx context.Context, p Program, o Options) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, Abandon([]Program{p}))
	}
	s := newSupervisor([]Program{p}, Options{ShimPath: o.ShimPath, ShimArgs: o.ShimArgs, Grace: o.Grace, Mark: o.Mark})
	err := s.run(ctx.Done(), o.Killing.channel())
	if err == nil && s.cut {
		return ctx.Err()
	}
	return err
}

// supervisor is owned by the goroutine that calls All. Whatever waits does so in a
// goroutine of its own, and sends notices.
type supervisor struct {
	o       Options
	units   []*unit
	notices chan notice
	helpers sync.WaitGroup // the goroutines that send notices
	pending int            // how many of them have not sent their last one
	teller  *teller
	lost    bool // a shim was killed, which may have left processes behind
	cut     bool // the caller's context has ended
	killing bool // all programs were killed

	started     bool        // the first program was told to start
	stopping    bool        // all programs were told to end
	interrupted time.Time   // when the first signal came; zero until then
	stuck       *time.Timer // calls Options.Stuck; nil until somebody tells the run to end
	linger      time.Time   // when to stop the others after a good end; zero until then
	first       error       // what failed first
	hook        hook
	wishes      []*wish // those that wait for the end of the run
}

// notice is what a goroutine has to say to the supervisor. One of its parts is set.
type notice struct {
	process *process // whose report this is
	report  shim.Report
	gone    bool // the shim has ended; this is the process's last notice
	killed  bool // with gone: the shim was killed, or gave up

	checked *process // whose check is over, with err
	hooked  bool     // the callbacks have returned, with err
	err     error
}

func newSupervisor(programs []Program, o Options) *supervisor {
	s := &supervisor{o: o.withDefaults(), notices: make(chan notice)}
	s.teller = newTeller(o.Tell)
	for i := range programs {
		s.units = append(s.units, newUnit(i, &programs[i], &s.o))
	}
	return s
}

// run is the supervisor's loop. The end of quit is an order to stop, and that of kill one to kill;
// both may be nil.
func (s *supervisor) run(quit, kill <-chan struct{}) error {
	for _, u := range s.units {
		if u.waits {
			s.tell(u, Event{State: StateWaiting})
		}
	}
	for _, u := range s.units {
		if !s.stopping {
			s.prepare(u)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.busy() {
		timer.Reset(s.untilNext())
		select {
		case n := <-s.notices:
			s.take(n)
		case sig := <-s.o.Signals:
			s.interrupt(sig, time.Now())
		case c, ok := <-s.o.Commands:
			s.command(c, ok)
		case <-quit:
			quit, s.cut = nil, true
			s.stopAll()
		case <-kill:
			kill, s.cut = nil, true
			s.stopAll()
			s.killAll()
		case <-timer.C:
			s.onTime(time.Now())
		}
		s.settle()
	}
	return s.finish()
}

// busy reports whether there is something that runs, or will.
func (s *supervisor) busy() bool {
	return s.pending > 0 || s.any(func(u *unit) bool { return !u.again.IsZero() })
}

func (s *supervisor) any(is func(*unit) bool) bool {
	for _, u := range s.units {
		if is(u) {
			return true
		}
	}
	return false
}

// settle does what has become possible.
func (s *supervisor) settle() {
	s.endVainWait()
	s.startPrepared()
	s.startHook()
	s.grantWishes()
	s.endKeepers()
}

// finish is called when nothing runs any more.
func (s *supervisor) finish() error {
	s.helpers.Wait()
	if s.lost {
		proc.Sweep(s.o.Mark, nil)
	}
	for _, u := range s.units {
		u.close()
	}
	s.grantAll()
	s.teller.close()
	if s.stuck != nil {
		s.stuck.Stop()
	}
	if s.o.Then != nil && !s.hook.finished && s.first == nil {
		return context.Canceled // everything was stopped before it could run
	}
	return s.first
}

func (s *supervisor) fail(err error) {
	if s.first == nil && err != nil {
		s.first = err
	}
}

// help runs f in a goroutine. The last thing that f does is to send a notice.
func (s *supervisor) help(f func()) {
	s.pending++
	s.helpers.Go(f)
}

func (s *supervisor) take(n notice) {
	switch {
	case n.hooked:
		s.pending--
		s.hooked(n.err)
	case n.checked != nil:
		s.pending--
		s.checked(n.checked, n.err)
	case n.gone:
		s.pending--
		s.gone(n.process, n.killed)
	default:
		s.hear(n.process, n.report)
	}
}

// hear handles a report of a shim.
func (s *supervisor) hear(p *process, r shim.Report) {
	switch r.Is {
	case shim.IsReady:
		p.prepared = true
	case shim.IsStarted:
		s.runs(p, r.PID)
	case shim.IsFailed:
		s.ended(p, &ExitError{Name: p.name, Code: codeCannotRun, Err: errors.New(r.Error)}, true)
	case shim.IsLost:
		s.ended(p, &ExitError{Name: p.name, Code: codeCannotRun, Err: errors.New(r.Error)}, false)
	case shim.IsEnded:
		s.ended(p, exitOf(p.name, r), false)
	case shim.IsKeeping:
		p.unit.keep(p)
	}
}

// exitOf returns how a program failed; nil for a good end.
func exitOf(name string, r shim.Report) error {
	if r.Code == 0 && r.Signal == 0 {
		return nil
	}
	return &ExitError{Name: name, Code: r.Code, Signal: syscall.Signal(r.Signal)}
}

// tell says in which state a unit is now.
func (s *supervisor) tell(u *unit, e Event) {
	u.state = e.State
	e.Index, e.Name, e.At, e.Restarts, e.Left = u.index, u.program.Name, time.Now(), u.restarts, s.left()
	if u.process != nil && !u.process.ended {
		e.PID = u.process.pid
	}
	s.teller.tell(e)
}

// left returns how many programs have not ended.
func (s *supervisor) left() int {
	n := 0
	for _, u := range s.units {
		if u.state != StateEnded {
			n++
		}
	}
	return n
}
