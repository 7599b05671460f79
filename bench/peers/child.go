package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A process of its own for each family keeps the memory, the threads and the
// garbage of one from being another's. This program starts itself for that, and asks
// in lines of JSON.

// childArg is the one argument of a process that is asked.
const childArg = "answer"

// request is a formation that is wanted, or with N of 0 a server.
type request struct {
	System  string // its label
	Cluster string
	N       int
	Where   string // the server; empty for one in the process that is asked
}

// reply is the answer. In one to who wants a server, Where is what members need.
type reply struct {
	Cost  cost
	Where string
	Error string
}

// runChild answers requests until there are no more.
func runChild(ctx context.Context, in io.Reader, out, progress io.Writer) error {
	a := &answerer{systems: newSystems(progress), servers: make(map[string]server)}
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		err := requests.Decode(&q)
		if errors.Is(err, io.EOF) {
			return a.close()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read request: %w", err), a.close())
		}
		r, err := a.answer(ctx, q)
		if err != nil {
			r.Error = err.Error()
		}
		if err := replies.Encode(r); err != nil {
			return errors.Join(fmt.Errorf("write reply: %w", err), a.close())
		}
	}
}

// answerer keeps the servers that it has started.
type answerer struct {
	systems []system
	servers map[string]server // by the system's label
	dirs    []string
}

const formTime = 2 * time.Minute

func (a *answerer) answer(ctx context.Context, q request) (r reply, err error) {
	s, err := a.find(q.System)
	if err != nil {
		return r, err
	}
	if r.Where = q.Where; r.Where == "" {
		if r.Where, err = a.serve(ctx, s); err != nil {
			return r, err
		}
	}
	if q.N == 0 {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	r.Cost, err = s.form(ctx, r.Where, q.Cluster, q.N)
	return r, err
}

func (a *answerer) find(label string) (system, error) {
	for _, s := range a.systems {
		if s.label() == label {
			return s, nil
		}
	}
	return system{}, fmt.Errorf("no system %q", label)
}

// serve returns where the system's server is, which it starts the first time.
func (a *answerer) serve(ctx context.Context, s system) (string, error) {
	if running, ok := a.servers[s.label()]; ok {
		return running.where, nil
	}
	dir, err := os.MkdirTemp("", "xlreg-peers-")
	if err != nil {
		return "", err
	}
	a.dirs = append(a.dirs, dir)
	started, err := s.serve(ctx, dir)
	if err != nil {
		return "", err
	}
	a.servers[s.label()] = started
	return started.where, nil
}

func (a *answerer) close() error {
	var errs []error
	for _, s := range a.servers {
		errs = append(errs, s.close())
	}
	for _, dir := range a.dirs {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// child is a process that answers.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(ctx context.Context, progress io.Writer) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, childArg) //nolint:gosec // this program itself
	cmd.Stderr = progress
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it clears up
	cmd.WaitDelay = startTime
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

func (c *child) ask(q request) (reply, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return reply{}, err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return reply{}, fmt.Errorf("ask for %s: %w", q.System, err)
	}
	if line, err = c.out.ReadBytes('\n'); err != nil {
		return reply{}, fmt.Errorf("ask for %s: %w", q.System, err)
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{}, fmt.Errorf("ask for %s: %w", q.System, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s, %d members: %s", q.System, q.N, r.Error)
	}
	return r, nil
}

// close ends the process by ending its input.
func (c *child) close() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}
