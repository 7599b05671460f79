package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/launch"
)

// following keeps a member's files as the cluster is now, while its program runs.
type following struct {
	*globals
	member   *client.Membership
	o        *joining
	place    memberPlace
	told     *launch.Expanded // what the program was told last
	onChange string           // as it was given
	saver    *saver

	stop   chan os.Signal     // tells the program to end
	lost   context.CancelFunc // keeps it from being started
	cancel context.CancelFunc // ends the following
	work   sync.WaitGroup

	mu   sync.Mutex
	twin error // guarded by mu; another process runs as this node
}

// newFollowing begins to follow the cluster. It must be ended. If another process turns out to
// run as this node, it calls lost, for a program that has not been started yet.
func (g *globals) newFollowing(j *joined, o *joining, l *joinLaunch, lost context.CancelFunc) *following {
	ctx, cancel := context.WithCancel(context.Background())
	f := &following{
		globals: g, member: j.member, o: o, onChange: l.onChange, told: j.order.told, cancel: cancel, lost: lost, stop: make(chan os.Signal, 1),
		place: memberPlace{dir: l.dir, listen: o.listen, allowUnverified: o.AllowUnverified, plan: j.order.plan, secret: l.secret, authority: l.authority, certLife: g.certLife},
		saver: newSaver(o, j.member),
	}
	if !g.Protocol.Classic() {
		f.save()
		f.work.Go(func() { f.run(ctx) })
		f.work.Go(func() { every(ctx, saveEvery, saveEvery, f.save) })
	}
	return f
}

// end stops following, and waits for that.
func (f *following) end() {
	f.cancel()
	f.work.Wait()
}

// run follows until ctx ends, or the node is no member any more. Then its program goes on
// with what it has, unless another process has taken its place.
func (f *following) run(ctx context.Context) {
	for change, err := range f.member.Watch(ctx) {
		if err == nil {
			err = f.take(ctx, &change)
		}
		if ctx.Err() != nil {
			return
		}
		if twin := (*client.TwinError)(nil); errors.As(err, &twin) {
			f.halt(err)
			return
		}
		if err != nil {
			f.warn("%s", oneLine(err))
		}
	}
}

// halt ends the program, since another process runs as this node.
func (f *following) halt(twin error) {
	f.mu.Lock()
	f.twin = twin
	f.mu.Unlock()
	f.lost()
	f.stop <- syscall.SIGTERM
}

// instead returns why the program had to end, or else how it ended.
func (f *following) instead(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.twin != nil {
		return f.twin
	}
	return err
}

// take writes the files anew and tells who wants to know.
func (f *following) take(ctx context.Context, c *client.Change) error {
	f.save()
	d, err := writeFiles(c.Roster, f.member.Self().Token.ID, f.member.Node(), f.o.place.registry(), f.place)
	if err != nil {
		return err
	}
	if err := f.tellAnew(d); err != nil { // a template may need a member that is gone
		f.warn("the files for the program stay as they were: %s", oneLine(err))
	}
	if f.place.plan.OnChange == nil {
		return nil
	}
	return f.runOnChange(ctx, c, d)
}

// tellAnew writes the files of the program's templates for the cluster as it is now.
func (f *following) tellAnew(d *launch.Data) error {
	x, err := f.place.plan.Members[d.Self.Index].Command.Expand(d)
	if err != nil {
		return err
	}
	if err := x.RewriteMade(f.told); err != nil {
		return err
	}
	f.told = x
	return nil
}

// runOnChange runs the command of --on-change.
func (f *following) runOnChange(ctx context.Context, c *client.Change, d *launch.Data) error {
	text, err := f.place.plan.OnChange.Expand(d)
	if err != nil {
		return err
	}
	env, err := d.Environment()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", text) //nolint:gosec // running what the user says is what it is for
	cmd.Stdout, cmd.Stderr = f.Out, f.Err
	cmd.Env = slices.Concat(os.Environ(), env, f.told.Env, changeEnv(c))
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("--on-change %s: %w", launch.Quote(f.onChange), err)
	}
	return nil
}

// changeEnv returns what the command of --on-change finds in its environment besides what
// COMMAND does.
func changeEnv(c *client.Change) []string {
	return []string{
		"XLREG_CAME=" + namesOf(c.Came), "XLREG_WENT=" + namesOf(c.Went), "XLREG_CHANGED=" + namesOf(c.Changed), noTicket,
	}
}

func namesOf(members []client.Member) string {
	names := make([]string, len(members))
	for i := range members {
		names[i] = string(members[i].Token.Name)
	}
	return strings.Join(names, " ")
}

// noTicket keeps a ticket that this program found in its environment from the programs that
// it starts: they do not need it, and it may be a secret.
const noTicket = "XLREG_TICKET="
