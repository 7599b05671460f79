//go:build unix

package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// execStage is the argument of a shim that is to become the program.
const execStage = "exec"

// Shim is the whole life of a shim: what the program does when it is called with
// Options.ShimArgs and the arguments that follow them, which are args here. It starts
// one program in a process group of its own, and returns when that and everything it
// has started are gone. If the supervisor dies it stops the program.
func Shim(args []string) error {
	if len(args) > 1 && args[0] == execStage {
		return becomeProgram(args[1], args[2:])
	}
	if len(args) == 2 && args[0] == tempStage {
		return keepTemp(args[1], os.Stdin)
	}
	// The program is to be killed if the shim is; the system takes for the shim's
	// death that of the thread which started the program.
	runtime.LockOSThread()
	s, err := newShim()
	if err != nil {
		return fmt.Errorf("shim: %w: only a supervisor calls it", err)
	}
	return s.run()
}

// becomeProgram replaces this process by the program and tells it its own process ID
// in LISTEN_PID. No other process could: the ID is known only after the start.
func becomeProgram(path string, args []string) error {
	env := mergeEnv(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	err := syscall.Exec(path, args, env) //nolint:gosec // starting what it is told to is what it is for
	return fmt.Errorf("start %s: %w", path, err)
}

// shim is owned by the one goroutine that runs it.
type shim struct {
	task      task
	orders    <-chan order // closed when the supervisor is gone
	signals   chan os.Signal
	reaped    <-chan child // closed when there are no children
	reports   *json.Encoder
	listeners []*os.File

	pid      int // of the program, and of its group
	ended    bool
	orphaned bool
	stopping bool
	killing  bool
	termed   bool // SIGTERM was passed on, and is not sent again
	forGood  bool // what is shared is to end too
	keeping  bool // nothing but that is left
	timer    *time.Timer
	told     map[int]bool // the processes outside the group that were sent SIGTERM
}

// child is one that has ended.
type child struct {
	pid    int
	status syscall.WaitStatus
}

func newShim() (*shim, error) {
	orders, reports := inherit(ordersFD, "orders"), inherit(reportsFD, "reports")
	if _, err := orders.Stat(); err != nil {
		return nil, err
	}
	in := json.NewDecoder(orders)
	var first order
	if err := in.Decode(&first); err != nil {
		return nil, err
	}
	if first.Do != doPrepare || first.Task == nil {
		return nil, errors.New("no task")
	}
	s := &shim{task: *first.Task, reports: json.NewEncoder(reports), signals: make(chan os.Signal, 8), told: make(map[int]bool)}
	s.timer = time.NewTimer(time.Hour)
	s.timer.Stop()
	for i := range s.task.Listeners {
		s.listeners = append(s.listeners, inherit(firstListenerFD+i, "listener"))
	}
	// Only the supervisor ends a shim; a signal from anyone else makes it stop the
	// program. A signal that is ignored stays so, as it does for the program.
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(s.signals, sig)
		}
	}
	s.orders = readOrders(in)
	return s, nil
}

// inherit takes a file from the process that started this one, and keeps it from
// the program.
func inherit(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

// readOrders returns the orders as they come. Its goroutine lives as long as the process.
func readOrders(in *json.Decoder) <-chan order {
	orders := make(chan order)
	go func() {
		defer close(orders)
		for {
			var o order
			if in.Decode(&o) != nil {
				return
			}
			orders <- o
		}
	}()
	return orders
}

func (s *shim) report(r report) { _ = s.reports.Encode(r) } // a supervisor that is gone needs no reports

func (s *shim) run() error {
	adoptOrphans()
	s.report(report{Is: isReady})
	if !s.awaitStart() {
		return s.tidy()
	}
	if err := s.start(); err != nil {
		s.report(report{Is: isFailed, Error: err.Error()})
		return s.tidy()
	}
	s.report(report{Is: isStarted, PID: s.pid})
	s.reaped = reap()
	for s.reaped != nil || s.groupLives() {
		if err := s.step(); err != nil {
			return errors.Join(err, s.tidy())
		}
		s.keep()
	}
	return s.tidy()
}

// awaitStart reports whether the program is to be started at all.
func (s *shim) awaitStart() bool {
	for {
		select {
		case o, ok := <-s.orders:
			s.orphaned = !ok
			if !ok || o.Do != doSignal {
				return o.Do == doStart
			}
		case <-s.signals:
			return false
		}
	}
}

func (s *shim) start() error {
	path, args := s.task.Path, s.task.Args
	env := mergeEnv(s.task.Env, markOf(s.task.Mark, os.Getpid()))
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	if len(s.listeners) > 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		args = append([]string{os.Args[0], os.Args[1], execStage, path}, args...)
		path, env = self, mergeEnv(env, "LISTEN_FDS="+strconv.Itoa(len(s.listeners)))
		files = append(files, s.listeners...)
	}
	p, err := os.StartProcess(path, args, &os.ProcAttr{Files: files, Env: env, Sys: groupOfItsOwn()}) //nolint:gosec // as above
	if err != nil {
		return err
	}
	s.pid = p.Pid
	_ = p.Release() // reap waits for all children
	return closeAll(s.listeners)
}

// reap waits for all children, the program and those whose parents have died. Its
// goroutine ends with the last of them.
func reap() <-chan child {
	reaped := make(chan child)
	go func() {
		defer close(reaped)
		for {
			var c child
			var err error
			c.pid, err = syscall.Wait4(-1, &c.status, 0, nil)
			switch {
			case errors.Is(err, syscall.EINTR):
			case err != nil:
				return
			default:
				reaped <- c
			}
		}
	}()
	return reaped
}

// dyingTime is how long killed processes may take to disappear. One that takes longer
// hangs in the kernel, or belongs to another user.
const dyingTime = 30 * time.Second

// stillThere is the interval of checks for processes that are not our children.
const stillThere = 20 * time.Millisecond

// step waits for the next event and handles it.
func (s *shim) step() error {
	var again <-chan time.Time
	if s.reaped == nil || s.ended && len(s.task.Shared) > 0 && !s.keeping {
		again = time.After(stillThere)
	}
	select {
	case o, ok := <-s.orders:
		s.obey(o, ok)
	case <-s.signals:
		s.stop()
	case c, ok := <-s.reaped:
		s.bury(c, ok)
	case <-again:
	case <-s.timer.C:
		if s.killing {
			return fmt.Errorf("processes of group %d cannot be killed", s.pid)
		}
		s.kill()
	}
	return nil
}

func (s *shim) obey(o order, ok bool) {
	switch {
	case !ok:
		s.orders, s.orphaned = nil, true
		s.end()
	case o.Do == doEnd:
		s.end()
	case o.Do == doSignal && !s.ended:
		s.pass(syscall.Signal(o.Signal))
	case o.Do == doStop:
		s.stop()
	case o.Do == doKill:
		s.kill()
	}
}

// bury handles the end of a child, whose own children are the shim's from now on.
func (s *shim) bury(c child, ok bool) {
	if !ok {
		s.reaped = nil
		s.stop()
		return
	}
	if c.pid == s.pid && !s.ended {
		s.ended = true
		s.report(endOf(c.status))
		if !s.stopping {
			s.stop()
			return
		}
	}
	switch {
	case s.killing:
		s.killStrays()
	case s.stopping:
		s.stopStrays()
	}
}

func endOf(status syscall.WaitStatus) report {
	if status.Signaled() {
		return report{Is: isEnded, Signal: int(status.Signal())}
	}
	return report{Is: isEnded, Code: status.ExitStatus()}
}

// stop asks the program, and what it has started, to end, and allows a while for
// that.
func (s *shim) stop() {
	if s.stopping {
		return
	}
	s.stopping = true
	s.timer.Reset(s.task.Grace)
	if !s.termed || s.ended {
		s.pass(syscall.SIGTERM)
	}
	s.stopStrays()
}

// pass sends a signal to the program's group. A stopped process handles none but SIGCONT.
func (s *shim) pass(sig syscall.Signal) {
	s.signalGroup(sig)
	if sig == syscall.SIGTERM || sig == syscall.SIGINT {
		s.termed = s.termed || sig == syscall.SIGTERM
		s.signalGroup(syscall.SIGCONT)
	}
}

// end also ends what is shared.
func (s *shim) end() {
	if s.forGood {
		return
	}
	s.forGood = true
	if !s.keeping {
		s.stop()
		return
	}
	s.keeping = false
	s.timer.Reset(s.task.Grace)
	s.stopStrays()
}

// keep notices that all has ended but what is shared. That stays until it is told to end.
func (s *shim) keep() {
	if s.keeping || s.forGood || !s.ended || len(s.task.Shared) == 0 || s.groupLives() {
		return
	}
	left := strays(s.pid)
	if len(left) == 0 || len(s.without(left)) > 0 {
		return
	}
	s.keeping, s.killing = true, false
	s.timer.Stop()
	s.report(report{Is: isKeeping})
}

// without returns those of the processes outside the group that are not shared.
func (s *shim) without(all []int) []int {
	if s.forGood {
		return all
	}
	return slices.DeleteFunc(all, func(pid int) bool { return slices.ContainsFunc(s.task.Shared, nameOf(pid).is) })
}

// kill ends the program and what it has started.
func (s *shim) kill() {
	if s.killing {
		return
	}
	s.stopping, s.killing = true, true
	s.timer.Reset(dyingTime)
	s.signalGroup(syscall.SIGKILL)
	s.killStrays()
}

func (s *shim) signalGroup(sig syscall.Signal) { _ = syscall.Kill(-s.pid, sig) }

// groupLives reports whether the program's group still has processes.
func (s *shim) groupLives() bool { return !errors.Is(syscall.Kill(-s.pid, 0), syscall.ESRCH) }

// stopStrays asks children that are not in the program's group to end.
func (s *shim) stopStrays() {
	for _, pid := range s.without(strays(s.pid)) {
		if !s.told[pid] {
			s.told[pid] = true
			_ = syscall.Kill(pid, syscall.SIGTERM)
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

func (s *shim) killStrays() {
	for _, pid := range s.without(strays(s.pid)) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// tidy removes the scratch directory if the supervisor, whose task that is, has died.
// All shims share the directory above; it goes with the last of them.
func (s *shim) tidy() error {
	select {
	case _, ok := <-s.orders: // nil if it is known to be closed
		s.orphaned = s.orphaned || !ok
	default:
	}
	if !s.orphaned {
		return nil
	}
	outlive(s.task.Mark, time.Now().Add(s.task.Grace+margin))
	if s.task.Scratch == "" {
		return nil
	}
	err := os.RemoveAll(s.task.Scratch)
	_ = os.Remove(filepath.Dir(s.task.Scratch)) // fails while others have theirs in it
	return err
}
