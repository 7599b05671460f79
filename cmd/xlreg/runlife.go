package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

// launch starts the programs and stays until they have ended.
func (r *clusterRun) launch(ctx context.Context) error {
	members, err := r.prepare()
	if err != nil {
		return err
	}
	if err := r.describe(); err != nil {
		return err
	}
	if err := r.setOutputs(members); err != nil {
		return err
	}
	o, err := r.lifeOptions(members)
	if err != nil {
		return err
	}
	o.Commands, o.Tell = r.control.commands, func(e run.Event) {
		members[e.Index].wasReady = members[e.Index].wasReady || e.State == run.StateReady
		r.control.tell(e)
	}
	r.control.begin(r.data[0].Cluster.Name, members)
	r.onClose(r.control.close)
	r.sweepTemp()
	if err := r.pass(members); err != nil {
		return err
	}
	defer r.show.end()
	return r.explainEnd(members, r.supervise(ctx, programsOf(members), o, r.control.signals, renewByRun))
}

// lifeOptions say how the programs live and end.
func (r *clusterRun) lifeOptions(members []*runMember) (run.Options, error) {
	o, err := r.launchOptions()
	if err != nil {
		return o, err
	}
	o.KeepGoing, o.First, o.Restart, o.Grace = r.o.life.keepGoing, r.o.plan.First, r.o.life.again, r.o.plan.StopTimeout
	if r.temp != nil {
		o.Scratch = r.temp.Path()
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
	p := run.Program{Stdout: mergers[0].Line("after-ready | "), Stderr: mergers[0].Line("after-ready | ")}
	return r.control.whileAllLive(ctx, func(ctx context.Context) error { return r.command(ctx, "--after-ready", text, m, p) })
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
	prefixes := [][]string{run.Prefixes(names, cli.HasColor(out)), run.Prefixes(names, cli.HasColor(r.Err))}
	for i, m := range members {
		if err := r.openLog(m); err != nil {
			return err
		}
		if r.hidesOutput() {
			both := m.output(run.NewMergers(io.Discard)[0].Line(""))
			m.program.Stdout, m.program.Stderr = both, both
			continue
		}
		m.program.Stdout = m.output(mergers[0].Line(prefixes[0][i]))
		m.program.Stderr = m.output(mergers[1].Line(prefixes[1][i]))
	}
	return nil
}

// hidesOutput reports whether what members print goes to their logs only.
func (r *clusterRun) hidesOutput() bool {
	return r.o.life.isDetached() || r.o.plan.Then != nil && r.o.quiet
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
	case r.temp == nil:
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
