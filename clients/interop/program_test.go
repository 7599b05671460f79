//go:build linux

package interop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a command that runs. It ends with its test.
type program struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer // at whose end what runs as a member ends, whoever has started it
	exited chan struct{}
	err    error // after exited

	mu   sync.Mutex
	out  []string // guarded by mu; lines of standard output
	errs []string // guarded by mu; lines of standard error
}

// launch starts a command of a client.
func launch(t *testing.T, name string, command []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), command[0], append(slices.Clone(command[1:]), args...)...)
	p.cmd.Env = append(os.Environ(), "XLREG_ALLOW_UNVERIFIED=true")
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.run(out, errs)
	t.Cleanup(p.end)
	return p
}

// run reads what the program says until it has ended.
func (p *program) run(out, errs io.Reader) {
	var both sync.WaitGroup
	both.Go(func() { p.read(out, &p.out) })
	both.Go(func() { p.read(errs, &p.errs) })
	both.Wait()
	p.err = p.cmd.Wait()
	close(p.exited)
}

func (p *program) read(from io.Reader, lines *[]string) {
	all := bufio.NewScanner(from)
	all.Buffer(nil, 4<<20)
	for all.Scan() {
		p.mu.Lock()
		*lines = append(*lines, all.Text())
		p.mu.Unlock()
	}
}

// said returns the lines of standard output so far.
func (p *program) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.out)
}

// complained returns all of standard error so far.
func (p *program) complained() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.errs, "\n")
}

// end asks the program to end, and insists after a while.
func (p *program) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // has ended already
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		p.die()
	}
	if p.t.Failed() {
		p.t.Logf("%s said %q and complained %q", p.name, p.said(), p.complained())
	}
}

// die ends the program as a crash does.
func (p *program) die() {
	_ = p.cmd.Process.Kill() // has ended already
	p.stdin.Close()
	<-p.exited
}

// result waits until the program has ended, and returns an error if it has failed.
func (p *program) result() error {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended within %v", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w: %s", p.name, p.err, p.complained())
	}
	return nil
}

// roster waits for the program to end, and returns the roster that it has printed.
func (p *program) roster() *roster {
	p.t.Helper()
	if err := p.result(); err != nil {
		p.t.Fatal(err)
	}
	r := new(roster)
	if err := json.Unmarshal([]byte(strings.Join(p.said(), "\n")), r); err != nil {
		p.t.Fatalf("%s: %v in %q", p.name, err, p.said())
	}
	return r
}
