package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
)

// memberOrder keeps to the order in which members are started when the others are on other
// machines: it waits for member 0, and runs what is to be run once all are ready.
type memberOrder struct {
	*globals
	plan *runplan.Plan
	data *launch.Data
	told *launch.Expanded
	env  []string // of the member's program
}

// isFirst reports whether this is the member that the others wait for.
func (o *memberOrder) isFirst() bool { return o.data.Self.Index == 0 }

// hasMore reports whether this member runs something once all are ready. Member 0 does that
// for all.
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
	shown, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := o.newProgress(shown, fmt.Sprintf("%s to be ready (%s)", first.Name, check.What))
	defer p.end()
	err = check.Await(ctx, first.Name)
	switch late := (*run.NotReadyError)(nil); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &late):
		return cli.Mark(err, errDeadline)
	}
	return err
}

// check returns how to find out from here whether m is ready. A check that is a command can
// only be run on m's own machine; in its place it has to do that m's first endpoint is served.
func (o *memberOrder) check(m *launch.MemberData) (*run.Ready, error) {
	ready := o.plan.Members[m.Index].Ready
	if ready == nil || ready.Kind == recipe.ReadyCommand {
		ready = &runplan.Ready{Kind: recipe.ReadyTCP, Port: "0"}
	}
	theirs := *o.data
	theirs.Self = m
	addr, path, err := ready.Where(&theirs)
	if err != nil {
		return nil, err
	}
	if ready.Kind == recipe.ReadyTCP {
		return &run.Ready{What: "tcp " + string(addr), Check: run.CheckServed(string(addr))}, nil
	}
	_, shown, err := ready.Where(withoutSecret(&theirs))
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("%s://%s", ready.Kind, addr)
	check, err := checkHTTP(where+path, o.data)
	return &run.Ready{What: where + shown, Check: check}, err
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
	}, text, o.plan.StopTimeout)
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
			o.note("%s; the recipe's after-ready is run when it is", oneLine(err))
		}
	}
}

// runShell runs a command for sh, and returns when it, and all that it has started, has
// ended.
func (g *globals) runShell(ctx context.Context, p run.Program, text string, grace time.Duration) error {
	var err error
	p.Args, p.Env = []string{"sh", "-c", text}, run.WithSearchPath(p.Env, launch.EnvPath)
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

// checkHTTP returns a check of a URL by d's member.
func checkHTTP(url string, d *launch.Data) (func(context.Context) error, error) {
	if !strings.HasPrefix(url, recipe.ReadyHTTPS+":") {
		return run.CheckHTTP(url, nil), nil
	}
	config, err := clientTLS(d)
	return run.CheckHTTP(url, config), err
}
