//go:build unix

package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// errEnding refuses what needs a run that goes on.
var errEnding = errors.New("the run is ending")

// wish is a command that is being carried out.
type wish struct {
	do   Do
	done chan<- error
	left int // for how many programs it has still to be done
	err  error
}

// answer says how a command went. Nobody is waited for.
func (w *wish) answer() {
	select {
	case w.done <- w.err:
	default:
	}
}

// granted counts one program for which the command is carried out, or cannot be.
func (w *wish) granted(err error) {
	w.left--
	w.err = errors.Join(w.err, err)
	if w.left == 0 {
		w.answer()
	}
}

// command carries out a command, or begins to.
func (s *supervisor) command(c Command, ok bool) {
	if !ok {
		s.o.Commands = nil
		return
	}
	units, err := s.named(c)
	w := &wish{do: c.Do, done: c.Done, left: len(units), err: err}
	switch {
	case err != nil:
		w.answer()
	case c.Do == DoStop && c.Name == "":
		s.limit()
		s.stopAll()
		s.wishes = append(s.wishes, w)
	default:
		for _, u := range units {
			s.ask(u, c, w)
		}
	}
}

// named returns the programs that a command is about.
func (s *supervisor) named(c Command) ([]*unit, error) {
	if !slices.Contains([]Do{DoStop, DoKill, DoRestart}, c.Do) {
		return nil, fmt.Errorf("%q: want %s, %s or %s", c.Do, DoStop, DoKill, DoRestart)
	}
	if c.Do == DoRestart && s.ending() {
		return nil, errEnding
	}
	if c.Name == "" {
		return s.units, nil
	}
	var names []string
	for _, u := range s.units {
		if u.program.Name == c.Name {
			return []*unit{u}, nil
		}
		names = append(names, u.program.Name)
	}
	return nil, fmt.Errorf("there is no %q: want one of %s", c.Name, strings.Join(names, ", "))
}

// ask begins to carry out a command for one program.
func (s *supervisor) ask(u *unit, c Command, w *wish) {
	switch c.Do {
	case DoStop:
		u.wishes = append(u.wishes, w)
		s.askStop(u)
	case DoKill:
		s.askKill(u, c, w)
	case DoRestart:
		u.wishes = append(u.wishes, w)
		s.askRestart(u, c.Name == "")
	}
}

func (s *supervisor) askStop(u *unit) {
	u.asked, u.renew = DoStop, false
	s.giveUp(u)
	if u.process != nil {
		s.stop(u.process)
	}
}

// askKill sends a signal. SIGKILL is waited for; what others do is the program's affair.
func (s *supervisor) askKill(u *unit, c Command, w *wish) {
	number, ok := c.Signal.(syscall.Signal)
	if !ok {
		number = syscall.SIGKILL
	}
	switch {
	case !u.again.IsZero():
		u.asked = DoKill
		s.giveUp(u)
		w.granted(nil)
		return
	case !u.runs():
		w.granted(fmt.Errorf("%s is not running", u.program.Name))
		return
	}
	u.signal, u.sentAt = number, time.Now()
	u.process.order(shim.Order{Do: shim.DoSignal, Signal: int(number)})
	if number != syscall.SIGKILL {
		w.granted(nil)
		return
	}
	u.asked = DoKill
	u.process.forceAt = earlier(u.process.forceAt, time.Now().Add(shim.Margin))
	u.wishes = append(u.wishes, w)
}

// ends reports whether a signal is meant to end a program. Others may do so too.
func ends(number syscall.Signal) bool {
	return slices.Contains([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT}, number)
}

// wasWanted reports whether a program has ended because somebody sent it a signal: by that very
// signal, or soon after one that usually ends programs.
func (u *unit) wasWanted(failure error, grace time.Duration) bool {
	e := (*ExitError)(nil)
	if errors.As(failure, &e) && e.Signal != 0 && e.Signal == u.signal {
		return true
	}
	return ends(u.signal) && time.Since(u.sentAt) < grace
}

// askRestart ends a program that runs, and has it started again; of all programs the
// first is the first again.
func (s *supervisor) askRestart(u *unit, all bool) {
	u.waits = u.waits || all && s.o.First && u.index > 0
	u.backoff.row = 0
	if u.process == nil || u.process.ended {
		u.again = time.Now()
		s.tell(u, Event{State: StateRestarting})
		return
	}
	u.renew = true
	s.stop(u.process)
}

// grantWishes answers the commands that have been carried out.
func (s *supervisor) grantWishes() {
	for _, u := range s.units {
		u.wishes = slices.DeleteFunc(u.wishes, u.grant)
	}
}

// grant answers a command if it has been carried out, or cannot be any more.
func (u *unit) grant(w *wish) bool {
	over := u.state == StateEnded && u.process == nil
	switch {
	case w.do == DoRestart && over:
		w.granted(fmt.Errorf("%s has ended", u.program.Name))
	case w.do == DoRestart && (u.renew || u.state != StateReady):
		return false
	case w.do == DoRestart, over, u.process == nil:
		w.granted(nil)
	default:
		return false
	}
	return true
}

// grantAll answers what is left when the run is over.
func (s *supervisor) grantAll() {
	s.grantWishes()
	for _, w := range s.wishes {
		w.answer()
	}
}
