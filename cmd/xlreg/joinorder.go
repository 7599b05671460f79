package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
)

// memberOrder is what comes before and after what for a member whose others are started
// elsewhere.
type memberOrder struct {
	*globals
	plan *runplan.Plan
	data *launch.Data
	env  []string // of the member's program
}

// isFirst reports whether this is the member that the others wait for.
func (o *memberOrder) isFirst() bool { return o.data.Self.Index == 0 }

// hasMore reports whether this member does something once all are ready. One does it for
// all.
func (o *memberOrder) hasMore() bool { return o.isFirst() && o.plan.AfterReady != nil }

// awaitFirst returns when member 0 is ready, if this one is to wait for that.
func (o *memberOrder) awaitFirst(ctx context.Context, limit time.Duration) error {
	if !o.plan.First || o.isFirst() {
		return nil
	}
	first, err := o.data.Member(0)
	if err != nil {
		return err
	}
	check, err := o.check(first)
	if err != nil {
		return err
	}
	check.Timeout = limit
	o.note("%s starts when %s is ready (%s)", o.data.Self.Name, first.Name, check.What)
	err = check.Await(ctx, first.Name)
	switch late := (*run.NotReadyError)(nil); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &late):
		return cli.Mark(err, errDeadline)
	}
	return err
}

// check returns how to find out from here whether m is ready. A command looks at a member
// where that runs, so of such a member it is asked only whether its first endpoint is served.
func (o *memberOrder) check(m *launch.MemberData) (*run.Ready, error) {
	ready := o.plan.Members[m.Index].Ready
	if ready == nil || ready.Kind == runplan.ReadyCommand {
		ready = &runplan.Ready{Kind: runplan.ReadyTCP, Port: "0"}
	}
	theirs := *o.data
	theirs.Self = m
	addr, path, err := ready.Where(&theirs)
	if err != nil {
		return nil, err
	}
	if ready.Kind == runplan.ReadyTCP {
		return &run.Ready{What: "tcp " + string(addr), Check: run.CheckServed(string(addr))}, nil
	}
	return httpReady(ready.Kind, string(addr), path, o.data)
}

// laterNote is how long member 0 waits for the others in silence.
const laterNote = 10 * time.Second

// afterReady waits for all members, and does what is done then.
func (o *memberOrder) afterReady(ctx context.Context) error {
	for _, m := range o.data.Members {
		if err := o.awaitMember(ctx, m); err != nil {
			return err
		}
	}
	text, err := o.plan.AfterReady.Expand(o.data)
	if err != nil {
		return err
	}
	clients, err := o.plan.Env(o.data)
	if err != nil {
		return err
	}
	line := run.NewMergers(o.Err)[0]
	return o.runShell(ctx, run.Program{
		Name: "--after-ready", Env: append(append([]string(nil), o.env...), clients...),
		Stdout: line.Line("after-ready | "), Stderr: line.Line("after-ready | "),
	}, text, run.DefaultGrace)
}

// awaitMember waits for a member for as long as this one runs: it may be started much later.
func (o *memberOrder) awaitMember(ctx context.Context, m *launch.MemberData) error {
	check, err := o.check(m)
	if err != nil {
		return err
	}
	for told := false; ; told = true {
		check.Timeout = laterNote
		err := check.Await(ctx, m.Name)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			o.note("%s; what comes once all members are ready waits for it", oneLine(err))
		}
	}
}

// runShell runs a command for sh, and returns when it, and all that it has started, has
// ended.
func (g *globals) runShell(ctx context.Context, p run.Program, text string, grace time.Duration) error {
	var err error
	p.Args = []string{"sh", "-c", text}
	if p.Path, err = run.LookPath("sh"); err != nil {
		return err
	}
	o, err := g.launchOptions()
	if err != nil {
		return err
	}
	o.Grace = grace
	return run.Once(ctx, p, o)
}

// httpReady returns a check of a URL by d's member. The kind is one of package runplan's.
func httpReady(kind, addr, path string, d *launch.Data) (ready *run.Ready, err error) {
	ready = &run.Ready{What: fmt.Sprintf("%s://%s%s", kind, addr, path)}
	if kind == runplan.ReadyHTTP {
		ready.Check = run.CheckHTTP(ready.What, nil)
		return ready, nil
	}
	config, err := clientTLS(d)
	ready.Check = run.CheckHTTP(ready.What, config)
	return ready, err
}
