//go:build unix

package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a shim and its program, as the supervisor sees them.
type process struct {
	index  int
	name   string
	cmd    *exec.Cmd
	pipe   *os.File // carries orders
	orders *json.Encoder

	reports *os.File
	outputs []*output
	copies  sync.WaitGroup
}

// event is what has happened to a process.
type event struct {
	process *process
	report  report
	gone    bool // the shim has ended; this is the process's last event
}

// startShim starts the shim for a program and gives it its task. The program is
// not started yet.
func startShim(index int, p *Program, o *Options) (*process, error) {
	sh := &process{index: index, name: p.Name}
	err := sh.start(p, o)
	err = errors.Join(err, closeAll(p.Passed))
	if err != nil {
		sh.abandon()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	t := &task{
		Path: p.Path, Args: p.Args, Env: mergeEnv(os.Environ(), p.Env...),
		Listeners: len(p.Passed), Grace: o.Grace, Scratch: p.Scratch,
	}
	sh.order(order{Do: doPrepare, Task: t})
	return sh, nil
}

func (sh *process) start(p *Program, o *Options) error {
	sh.cmd = &exec.Cmd{
		Path: o.ShimPath,
		Args: slices.Concat(o.ShimArgs, []string{p.Name}), // the name is for people who look at processes
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
	sh.pipe, sh.orders = pipe, json.NewEncoder(pipe)
	reader, reports, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reports.Close()
	sh.reports = reader
	stdout, err := sh.output(p.Stdout)
	if err != nil {
		return err
	}
	defer stdout.done()
	stderr, err := sh.output(p.Stderr)
	if err != nil {
		return err
	}
	defer stderr.done()
	stdout.give(&sh.cmd.Stdout)
	stderr.give(&sh.cmd.Stderr)
	sh.cmd.ExtraFiles = append([]*os.File{orders, reports}, p.Passed...)
	return sh.cmd.Start()
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

// order tells the shim to do something. That the shim is gone is seen by watch.
func (sh *process) order(o order) { _ = sh.orders.Encode(o) }

// watch reports events until the shim has ended and all output is copied.
func (sh *process) watch(events chan<- event) {
	for _, out := range sh.outputs {
		sh.copies.Go(out.copy)
	}
	var last report
	var pid int
	reports := json.NewDecoder(sh.reports)
	for {
		var r report
		if reports.Decode(&r) != nil {
			break
		}
		pid, last = max(pid, r.PID), r
		events <- event{process: sh, report: r}
	}
	err := sh.cmd.Wait()
	if err != nil && pid > 0 {
		// The shim was killed, or gave up. Linux kills the program with it; this is for
		// the other systems, and for what the program has started.
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	if last.Is != isEnded && last.Is != isFailed {
		events <- event{process: sh, report: report{Is: isFailed, Error: fmt.Sprintf("lost with its shim: %v", err)}}
	}
	for _, out := range sh.outputs {
		out.end()
	}
	sh.copies.Wait()
	sh.abandon()
	events <- event{process: sh, gone: true}
}

// output is a pipe from a program to a writer.
type output struct {
	from  *os.File
	to    io.Writer
	ended atomic.Bool
}

// lastWords is how long to wait for the rest of the output of a program that has ended.
// The pipe ends at once, unless a process that escaped holds it open.
const lastWords = 500 * time.Millisecond

// outlet is what a program is given to write to.
type outlet struct {
	file *os.File
	mine bool // to be closed once the program has it
}

// give sets where a command writes to. Nothing given is nowhere.
func (o outlet) give(to *io.Writer) {
	if o.file != nil {
		*to = o.file
	}
}

func (o outlet) done() {
	if o.mine {
		o.file.Close()
	}
}

func (sh *process) output(w io.Writer) (outlet, error) {
	if f, ok := w.(*os.File); ok || w == nil {
		return outlet{file: f}, nil
	}
	r, f, err := os.Pipe()
	if err != nil {
		return outlet{}, err
	}
	sh.outputs = append(sh.outputs, &output{from: r, to: w})
	return outlet{file: f, mine: true}, nil
}

func (o *output) copy() {
	buffer := make([]byte, 32<<10)
	for {
		if o.ended.Load() {
			_ = o.from.SetReadDeadline(time.Now().Add(lastWords))
		}
		n, err := o.from.Read(buffer)
		if n > 0 {
			_, _ = o.to.Write(buffer[:n]) // the program goes on even if its output goes nowhere
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !o.ended.Load() {
			continue
		}
		if err != nil {
			break
		}
	}
	if c, ok := o.to.(io.Closer); ok {
		_ = c.Close()
	}
}

// end bounds the wait for more.
func (o *output) end() {
	o.ended.Store(true)
	_ = o.from.SetReadDeadline(time.Now().Add(lastWords))
}
