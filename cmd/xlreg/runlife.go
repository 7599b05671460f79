package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

// launch starts the programs and looks after them.
func (r *clusterRun) launch(ctx context.Context) error {
	members, err := r.prepare()
	if err != nil {
		return err
	}
	if err := r.describe(); err != nil {
		return err
	}
	r.show = r.newShow()
	defer r.show.end()
	if err := r.setOutputs(members); err != nil {
		return err
	}
	o, err := r.lifeOptions(members)
	if err != nil {
		return err
	}
	control := r.newControl(members)
	o.Commands, o.Tell = control.commands, control.tell
	if r.keeper != nil {
		r.keeper.Serve(control)
	}
	if err := r.pass(members); err != nil {
		return err
	}
	return r.explainEnd(members, r.supervise(ctx, programsOf(members), o, r.stop()))
}

// lifeOptions say how the programs live and end.
func (r *clusterRun) lifeOptions(members []*runMember) (run.Options, error) {
	o, err := r.launchOptions()
	if err != nil {
		return o, err
	}
	o.KeepGoing, o.First, o.Restart, o.Grace = r.o.life.keepGoing, r.o.plan.First, r.o.life.again, r.o.plan.StopTimeout
	if r.temp != nil {
		o.Release = r.temp.HandOver
	}
	o.HangupEnds = !r.o.life.isDetached()
	o.AfterReady = func(ctx context.Context) error { return r.afterReady(ctx, members) }
	if r.o.plan.Then != nil {
		o.Then = func(ctx context.Context) error { return r.then(ctx, members[0]) }
	}
	return o, nil
}

// afterReady is what is done once all members are ready.
func (r *clusterRun) afterReady(ctx context.Context, members []*runMember) error {
	r.show.end()
	if text, err := runplan.Expand(r.o.plan.AfterReady, members[0].data); err != nil {
		return err
	} else if text != "" {
		if err := r.runAfterReady(ctx, text, members[0]); err != nil {
			return err
		}
	}
	if err := r.describeTalk(members[0].program.Args[0]); err != nil {
		return err
	}
	r.letGo()
	return nil
}

func (r *clusterRun) runAfterReady(ctx context.Context, text string, m *runMember) error {
	mergers := run.NewMergers(r.Err)
	said := newTail()
	p := run.Program{Stdout: said.also(mergers[0].Line("after-ready | ")), Stderr: said.also(mergers[0].Line("after-ready | "))}
	return r.command(ctx, "--after-ready", text, m, p)
}

// then runs the command whose end is the run's. Its output goes unchanged to where this
// program's own goes.
func (r *clusterRun) then(ctx context.Context, m *runMember) error {
	text, err := r.o.plan.Then.Expand(m.data)
	if err != nil {
		return err
	}
	return r.command(ctx, "--then", text, m, run.Program{Stdout: r.Out, Stderr: r.Err})
}

// setOutputs says where each member's output goes: to the console with the member's name in
// front of each line, and into its log. The output of a --then is kept apart from it.
func (r *clusterRun) setOutputs(members []*runMember) error {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.data.Self.Name
	}
	out := r.Out
	if r.o.plan.Then != nil {
		out = r.Err
	}
	mergers := run.NewMergers(r.show.above(out), r.show.above(r.Err))
	prefixes := [][]string{run.Prefixes(names, hasColor(out)), run.Prefixes(names, hasColor(r.Err))}
	for i, m := range members {
		if err := r.openLog(m); err != nil {
			return err
		}
		if r.o.life.isDetached() || r.o.plan.Then != nil && r.o.quiet {
			both := m.output(run.NewMergers(io.Discard)[0].Line(""))
			m.program.Stdout, m.program.Stderr = both, both
			continue
		}
		m.program.Stdout = m.output(mergers[0].Line(prefixes[0][i]))
		m.program.Stderr = m.output(mergers[1].Line(prefixes[1][i]))
	}
	return nil
}

// openLog begins the log of a member, if there is a place for logs.
func (r *clusterRun) openLog(m *runMember) error {
	dir, err := r.logDir()
	if dir == "" || err != nil {
		return err
	}
	if m.log, err = rundir.OpenLog(dir, m.data.Self.Name); err != nil {
		return err
	}
	r.onClose(func() error {
		if err := m.log.Close(); err != nil {
			r.warn("%s: %s", m.data.Self.Name, oneLine(err))
		}
		return nil
	})
	return nil
}

// logDir returns the directory for logs; empty if there is none.
func (r *clusterRun) logDir() (string, error) {
	switch {
	case r.o.life.logDir != "":
		return filepath.Abs(r.o.life.logDir)
	case r.keeper != nil:
		return r.keeper.LogsPath(), nil
	}
	return "", nil
}

// output returns a writer to all places where the member's output goes.
func (m *runMember) output(console io.WriteCloser) io.WriteCloser {
	w := m.tail.also(console)
	if m.log == nil {
		return w
	}
	return m.log.Tee(w)
}

// stop returns the channel on which the run is told to end because its directory is gone,
// or because whoever has detached it died before it was ready.
func (r *clusterRun) stop() <-chan os.Signal {
	if r.keeper == nil {
		return nil
	}
	var left <-chan struct{} // nil: nobody can
	if r.o.life.isDetached() {
		left = r.o.life.starter.Gone()
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan os.Signal, 1)
	gone := r.keeper.Gone(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-gone:
			r.warn("%s is gone: the run ends", r.dir)
		case <-left:
		case <-ctx.Done():
			return
		}
		stop <- syscall.SIGTERM
	})
	r.onClose(func() error {
		cancel()
		watcher.Wait()
		return nil
	})
	return stop
}

// explainEnd adds to an error what helps to find its cause.
func (r *clusterRun) explainEnd(members []*runMember, err error) error {
	var late *run.NotReadyError
	if !errors.As(err, &late) {
		return err
	}
	if !late.Ended {
		err = cli.Mark(err, errDeadline)
	}
	for _, m := range members {
		if m.data.Self.Name != late.Name {
			continue
		}
		if lines := m.tail.last(tailLines); len(lines) > 0 {
			err = fmt.Errorf("%w; it said last: %s", err, strings.Join(lines, " / "))
		}
		if m.log != nil {
			err = fmt.Errorf("%w; its log is %s", err, m.log.Path())
		}
	}
	return err
}

// control lets others look at a run, and say what is to be done with it.
type control struct {
	show     runShow
	commands chan run.Command
	ended    chan struct{} // closed when nobody takes commands any more

	mu     sync.Mutex
	status rundir.Status     // guarded by mu
	wanted map[string]run.Do // guarded by mu; what is to be done with a member, by its name
}

func (r *clusterRun) newControl(members []*runMember) *control {
	c := &control{show: r.show, commands: make(chan run.Command), ended: make(chan struct{}), wanted: make(map[string]run.Do)}
	r.onClose(sync.OnceValue(func() error {
		close(c.ended)
		return nil
	}))
	c.status = rundir.Status{PID: os.Getpid(), Cluster: r.data[0].Cluster.Name, Started: time.Now()}
	if r.o.plan.Recipe != nil {
		c.status.Recipe = r.o.plan.Recipe.Name
	}
	for i, m := range members {
		one := rundir.Member{
			Name: m.data.Self.Name, Index: m.data.Self.Index, Role: r.o.plan.Members[i].Role, State: string(run.StateWaiting),
			Since: c.status.Started, Endpoints: endpointTexts(m.data),
		}
		if m.log != nil {
			one.Log = m.log.Path()
		}
		c.status.Members = append(c.status.Members, one)
	}
	return c
}

func endpointTexts(d *launch.Data) []string { return texts(d.Self.Endpoints) }

// tell notes what has happened to a program.
func (c *control) tell(e run.Event) {
	c.mu.Lock()
	m := &c.status.Members[e.Index]
	m.State, m.PID, m.Since, m.Restarts = string(e.State), e.PID, e.At, e.Restarts
	if e.State == run.StateEnded && e.Asked && e.Err == nil {
		e.Err = c.asked(e.Name)
	}
	if e.Err != nil {
		m.Why = oneLine(e.Err)
	}
	c.mu.Unlock()
	c.show.tell(e)
}

// asked says that somebody wanted a member to end; nil if nobody did, so that the whole run
// ends. The lock is held.
func (c *control) asked(name string) error {
	do := c.wanted[name]
	delete(c.wanted, name)
	switch do {
	case run.DoKill:
		return fmt.Errorf("%s was killed, as somebody wanted", name)
	case run.DoStop:
		return fmt.Errorf("%s was stopped, as somebody wanted", name)
	}
	return nil
}

// want notes what is to be done with a member.
func (c *control) want(o rundir.Order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Name != "" {
		c.wanted[o.Name] = run.Do(o.Do)
	}
}

// Status implements rundir.Controlled.
func (c *control) Status() rundir.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Members = append([]rundir.Member(nil), s.Members...)
	return s
}

// errNoRun says that a run ends, and takes no orders any more.
var errRunEnds = errors.New("the run ends")

// Obey implements rundir.Controlled.
func (c *control) Obey(ctx context.Context, o rundir.Order) error {
	done := make(chan error, 1)
	command := run.Command{Do: run.Do(o.Do), Name: o.Name, Done: done}
	if o.Signal != 0 {
		command.Signal = syscall.Signal(o.Signal)
	}
	c.want(o)
	select {
	case c.commands <- command:
	case <-c.ended:
		return errRunEnds
	case <-ctx.Done():
		return errRunEnds
	}
	select {
	case err := <-done:
		return err
	case <-c.ended:
		return errRunEnds
	case <-ctx.Done():
		return errRunEnds
	}
}
