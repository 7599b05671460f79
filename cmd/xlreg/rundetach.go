package main

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg/internal/detach"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

// runDetached starts this program a second time, in the background, and returns when all
// members are ready there. In that second process it is the run itself.
func (g *globals) runDetached(ctx context.Context, o *runOptions) error {
	starter := detach.Inherited()
	if starter == nil {
		log := rundir.LogPath(rundir.LogsIn(o.dir), rundir.RunLog)
		if o.life.logDir != "" {
			log = rundir.LogPath(o.life.logDir, rundir.RunLog)
		}
		return detach.Start(ctx, detach.Options{Out: g.Out, Err: g.Err, Log: log})
	}
	defer starter.Close()
	o.life.starter = starter
	g.Out, g.Err = starter.Out(), starter.Err()
	err := g.runCluster(ctx, o)
	if err != nil {
		starter.Failed(oneLine(err), exitCode(err))
	}
	return err
}

// isDetached reports whether this process goes on in the background.
func (o *lifeOptions) isDetached() bool { return o.starter != nil }

// logItself sends what the run itself says to a log, if nobody else is going to see it.
func (r *clusterRun) logItself() error {
	if !r.o.life.isDetached() {
		return nil
	}
	dir, err := r.logDir()
	if err != nil {
		return err
	}
	log, err := rundir.OpenLog(dir, rundir.RunLog)
	if err != nil {
		return err
	}
	r.onClose(log.Close)
	return r.o.life.starter.LogTo(log.File())
}

// letGo says how the run in the background is found again, and lets its starter end.
func (r *clusterRun) letGo() {
	if !r.o.life.isDetached() {
		return
	}
	if !r.o.quiet && r.Output != "json" {
		fmt.Fprintf(r.Err, "the run goes on in the background; to end it:\n\n  xlreg stop --dir %s\n\n", launch.Quote(r.dir))
	}
	r.o.life.starter.Ready()
}
