//go:build unix

package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
)

// execStage is the argument of a shim that is to become the program.
const execStage = "exec"

// Margin is how much longer than it should a shim may take to end. Then it hangs, and is
// killed with all that it looks after.
const Margin = 5 * time.Second

// Run is the whole life of a shim: what a program does when its supervisor calls it as one.
// The arguments are those that follow what tells it so.
func Run(args []string) error {
	if len(args) > 1 && args[0] == execStage {
		return becomeProgram(args[1], args[2:])
	}
	if len(args) > 1 && args[0] == TempStage {
		return keepTemp(args[1:], os.Stdin)
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
// in LISTEN_PID. No other process could: the ID is known only after the start. Why that
// failed is for the shim, which tells it to whoever has to know.
func becomeProgram(path string, args []string) error {
	passed, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return err
	}
	failure := inherit(firstPassedFD+passed, "failure") // closed without a word once the program runs
	env := proc.MergeEnv(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	err = syscall.Exec(path, args, env) //nolint:gosec // starting what it is told to is what it is for
	_, err = fmt.Fprintf(failure, "start %s: %v", path, err)
	return err
}

// firstPassedFD is where a program finds the first of the files that it is given.
const firstPassedFD = 3

// shim is owned by the one goroutine that runs it.
type shim struct {
	task      Task
	orders    <-chan Order // closed when the supervisor is gone
	signals   chan os.Signal
	reaped    <-chan child // closed when there are no children
	reports   *json.Encoder
	listeners []*os.File

	pid      int // of the program, and of its group
	ended    bool
	emptied  bool // the group has no processes any more, and its ID may become another's
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
	var first Order
	if err := in.Decode(&first); err != nil {
		return nil, err
	}
	if first.Do != DoPrepare || first.Task == nil {
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
func readOrders(in *json.Decoder) <-chan Order {
	orders := make(chan Order)
	go func() {
		defer close(orders)
		for {
			var o Order
			if in.Decode(&o) != nil {
				return
			}
			orders <- o
		}
	}()
	return orders
}

func (s *shim) report(r Report) { _ = s.reports.Encode(r) } // a supervisor that is gone needs no reports

func (s *shim) run() error {
	adoptOrphans()
	s.report(Report{Is: IsReady})
	if !s.awaitStart() {
		return s.tidy()
	}
	if err := s.start(); err != nil {
		s.report(Report{Is: IsFailed, Error: err.Error()})
		return s.tidy()
	}
	s.report(Report{Is: IsStarted, PID: s.pid})
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
			if !ok || o.Do != DoSignal {
				return o.Do == DoStart
			}
		case <-s.signals:
			return false
		}
	}
}

func (s *shim) start() error {
	program, args := s.task.Path, s.task.Args
	env := proc.MergeEnv(s.task.Env, proc.MarkOf(s.task.Mark, os.Getpid()))
	files := []uintptr{0, 1, 2}
	var failure, failureEnd *os.File
	if len(s.listeners) > 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		args = append([]string{os.Args[0], os.Args[1], execStage, program}, args...)
		program, env = proc.Self(self), proc.MergeEnv(env, "LISTEN_FDS="+strconv.Itoa(len(s.listeners)))
		if failure, failureEnd, err = os.Pipe(); err != nil {
			return err
		}
		defer failure.Close()
		for _, f := range append(slices.Clone(s.listeners), failureEnd) {
			files = append(files, f.Fd())
		}
	}
	// Not os.StartProcess: that makes sure that it could wait for the program, by starting
	// another one, and it is reap that waits.
	var err error
	s.pid, err = syscall.ForkExec(program, args, &syscall.ProcAttr{Files: files, Env: env, Sys: groupOfItsOwn()}) //nolint:gosec // as above
	for _, f := range append(slices.Clone(s.listeners), failureEnd) {
		if f != nil {
			f.Close()
		}
	}
	if err != nil {
		return ExplainStart(&os.PathError{Op: "fork/exec", Path: program, Err: err})
	}
	s.told[s.pid] = true // by pass, wherever it goes
	if failure == nil {
		return nil
	}
	return s.awaitProgram(failure)
}

// awaitProgram returns when the process that was started has become the program, or the reason
// why it could not.
func (s *shim) awaitProgram(failure io.Reader) error {
	why, err := io.ReadAll(failure)
	if err != nil || len(why) == 0 {
		return err
	}
	_, _ = syscall.Wait4(s.pid, nil, 0, nil) // it has nothing left to do
	return errors.New(string(why))
}

// ExplainStart says what to do about a process that cannot be started, where the system's own
// words for it say too little.
func ExplainStart(err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("%w: there may be too many processes: see 'ulimit -u'", err)
	}
	return err
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

func (s *shim) obey(o Order, ok bool) {
	switch {
	case !ok:
		s.orders, s.orphaned = nil, true
		s.end()
	case o.Do == DoEnd:
		s.end()
	case o.Do == DoSignal && !s.ended:
		s.pass(syscall.Signal(o.Signal))
	case o.Do == DoStop:
		s.stop()
	case o.Do == DoKill:
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
	delete(s.told, c.pid) // the next process of that ID has not been told
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

func endOf(status syscall.WaitStatus) Report {
	if status.Signaled() {
		return Report{Is: IsEnded, Signal: int(status.Signal())}
	}
	return Report{Is: IsEnded, Code: status.ExitStatus()}
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
	s.report(Report{Is: IsKeeping})
}

// without returns those of the processes outside the group that are not shared.
func (s *shim) without(all []int) []int {
	if s.forGood {
		return all
	}
	return slices.DeleteFunc(all, func(pid int) bool { return slices.ContainsFunc(s.task.Shared, proc.NameOf(pid).Is) })
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

// signalGroup sends a signal to the program, too, if that has gone to another group.
func (s *shim) signalGroup(sig syscall.Signal) {
	if s.groupLives() {
		_ = syscall.Kill(-s.pid, sig)
	}
	if group, err := syscall.Getpgid(s.pid); !s.ended && err == nil && group != s.pid {
		_ = syscall.Kill(s.pid, sig)
	}
}

// groupLives reports whether the program's group still has processes. Once the program has
// ended, a group without any is gone for good: a shim that keeps shared helpers must not
// signal the next group to get that ID.
func (s *shim) groupLives() bool {
	if !s.emptied && errors.Is(syscall.Kill(-s.pid, 0), syscall.ESRCH) {
		s.emptied = s.ended
		return false
	}
	return !s.emptied
}

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

// tidy removes the scratch directory if the supervisor, whose task that is, has died. Each
// shim waits for the programs of the others, so that none of them writes there afterwards.
func (s *shim) tidy() error {
	select {
	case _, ok := <-s.orders: // nil if it is known to be closed
		s.orphaned = s.orphaned || !ok
	default:
	}
	if !s.orphaned {
		return nil
	}
	proc.Outlive(s.task.Mark, time.Now().Add(s.task.Grace+Margin))
	if s.task.Scratch == "" {
		return nil
	}
	return os.RemoveAll(s.task.Scratch)
}
