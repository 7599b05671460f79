//go:build unix

package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
	"github.com/xlattice/xlreg/internal/run/shim"
)

// process is a shim and its program, as the supervisor sees them.
type process struct {
	unit   *unit
	name   string
	cmd    *exec.Cmd
	pipe   *os.File        // carries orders
	orders chan shim.Order // closed when the shim is gone

	reports *os.File
	outputs []*output
	copies  sync.WaitGroup

	// The rest is owned by the supervisor.

	prepared  bool // the shim has its task
	told      bool // to start the program
	pid       int  // of the program; 0 before it has started
	stopping  bool // it was told to end
	ended     bool // the program
	dismissed bool // a keeper that was told to end
	cancel    context.CancelFunc
	killAt    time.Time // when to have the program killed; zero: not at all
	forceAt   time.Time // when to kill the shim too; zero: not at all
}

// mostOrders is more than a shim is ever given before it has read the first.
const mostOrders = 32

// startShim starts the shim for a program and gives it its task. The program is
// not started yet.
func startShim(u *unit, o *Options) (*process, error) {
	p := u.program
	sh := &process{unit: u, name: p.Name, orders: make(chan shim.Order, mostOrders), cancel: func() {}}
	err := sh.start(o)
	if !u.reuse {
		err = errors.Join(err, closeAll(p.Passed))
	}
	if err != nil {
		sh.abandon()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	sh.order(shim.Order{Do: shim.DoPrepare, Task: &shim.Task{
		Path: p.Path, Args: p.Args, Env: proc.MergeEnv(proc.WithoutMark(os.Environ()), p.Env...), Mark: o.Mark, Shared: p.Shared,
		Listeners: len(p.Passed), Grace: o.Grace, Scratch: o.Scratch,
	}})
	return sh, nil
}

func (sh *process) start(o *Options) error {
	u, p := sh.unit, sh.unit.program
	sh.cmd = &exec.Cmd{
		Path: proc.Self(o.ShimPath),
		Args: slices.Concat(o.ShimArgs, []string{p.Name}), // the name is for people who look at processes
		Env:  proc.WithoutMark(os.Environ()),
		// A terminal's Ctrl-C is passed on, not shared.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if p.Stdin != nil {
		sh.cmd.Stdin = p.Stdin
	}
	orders, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer orders.Close()
	sh.pipe = pipe
	reader, reports, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reports.Close()
	sh.reports = reader
	stdout, err := sh.output(u.sinks[0])
	if err != nil {
		return err
	}
	defer stdout.done()
	stderr, err := sh.output(u.sinks[1])
	if err != nil {
		return err
	}
	defer stderr.done()
	stdout.give(&sh.cmd.Stdout)
	stderr.give(&sh.cmd.Stderr)
	sh.cmd.ExtraFiles = append([]*os.File{orders, reports}, p.Passed...)
	return shim.ExplainStart(sh.cmd.Start())
}

// abandon closes the files of a shim that has ended or did not start.
func (sh *process) abandon() {
	for _, f := range []*os.File{sh.pipe, sh.reports} {
		if f != nil {
			f.Close()
		}
	}
	for _, out := range sh.outputs {
		out.from.Close()
	}
}

// order tells the shim to do something. That the shim is gone is seen by watch, and one
// that reads no orders is killed when the time is up.
func (sh *process) order(o shim.Order) {
	select {
	case sh.orders <- o:
	default:
	}
}

// send writes the orders to the shim, which may be stopped and not read them.
func (sh *process) send() {
	encoder := json.NewEncoder(sh.pipe)
	for o := range sh.orders {
		_ = encoder.Encode(o)
	}
}

// end notes that the program has ended. What it left has until some time to do so too.
func (sh *process) end(limit time.Time) {
	sh.ended, sh.forceAt = true, limit
	sh.cancel()
}

// keeps notes that nothing but shared helpers is left.
func (sh *process) keeps() { sh.killAt, sh.forceAt = time.Time{}, time.Time{} }

// force kills a shim that does not do what it is told. The rest is up to watch.
func (sh *process) force() { _ = sh.cmd.Process.Kill() }

// watch reports what happens until the shim has ended and all output is copied.
func (sh *process) watch(notices chan<- notice, mark string) {
	for _, out := range sh.outputs {
		sh.copies.Go(out.copy)
	}
	var last shim.Report
	var pid int
	reports := json.NewDecoder(sh.reports)
	for {
		var r shim.Report
		if reports.Decode(&r) != nil {
			break
		}
		pid, last = max(pid, r.PID), r
		if r.Is == shim.IsKeeping {
			pid = 0 // its group is gone
		}
		notices <- notice{process: sh, report: r}
	}
	limit := time.AfterFunc(shim.Margin, sh.force) // a shim that reports no more has nothing left to do
	err := sh.cmd.Wait()
	limit.Stop()
	killed := err != nil
	if killed {
		// The shim was killed, or gave up. Linux kills the program with it; this is for
		// the other systems, and for what the program has started.
		killGroup(pid)
		proc.Sweep(mark, sh.unit.program.Shared)
	}
	if !slices.Contains([]string{shim.IsEnded, shim.IsFailed, shim.IsKeeping}, last.Is) {
		notices <- notice{process: sh, report: shim.Report{Is: shim.IsLost, PID: pid, Error: lostWith(err)}}
	}
	for _, out := range sh.outputs {
		out.end()
	}
	sh.copies.Wait()
	sh.abandon()
	notices <- notice{process: sh, gone: true, killed: killed}
}

// lostWith says why nothing is known of the end of a program.
func lostWith(err error) string {
	if err == nil {
		return "its shim ended first"
	}
	return fmt.Sprintf("lost with its shim: %v", err)
}

func killGroup(pid int) {
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
