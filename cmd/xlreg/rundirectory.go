package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
)

// makeDir makes the directory for everything, a temporary one if none was named, and looks
// at what an earlier run has left there.
func (r *clusterRun) makeDir(context.Context) (err error) {
	owner := rundir.Owner{Command: withoutSecrets(os.Args), Mark: r.mark, Clear: r.clear}
	path := r.o.dir
	if path == "" {
		if err := r.makeTempDir(); err != nil {
			return err
		}
		path, owner.Temporary = r.temp.Path(), true
	}
	if r.keeper, err = rundir.Open(path, owner); err != nil {
		return err
	}
	r.onClose(r.keeper.Close)
	r.dir = r.keeper.Path()
	if err := r.prepareLogs(); err != nil {
		return err
	}
	if err := r.logItself(); err != nil {
		return err
	}
	if r.kept, err = r.keeper.Kept(); err != nil {
		return err
	}
	if r.kept != nil && r.o.cluster == "" && r.o.place == nil {
		r.o.cluster = xlreg.Name(r.kept.Cluster)
	}
	return nil
}

// prepareLogs makes sure that there can be logs where they are wanted, before members are made
// that would be of no use.
func (r *clusterRun) prepareLogs() error {
	if r.o.life.logDir == "" {
		return nil
	}
	dir, err := r.logDir()
	if err != nil {
		return err
	}
	err = rundir.PrepareLogs(dir)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w; choose with --log-dir a directory that can be written to", err)
	}
	return err
}

// secretOfTicket is the part of a ticket that is a secret.
var secretOfTicket = regexp.MustCompile(`([?&](?:owner|invite)=)[^&\s'"]+`)

// withoutSecrets returns a command line as it may be kept, and shown to those who ask about the
// run: the key in a ticket is left out.
func withoutSecrets(args []string) []string {
	shown := make([]string, len(args))
	for i, arg := range args {
		shown[i] = secretOfTicket.ReplaceAllString(arg, "${1}…")
	}
	return shown
}

// tempPrefix begins the names of the temporary directories of runs.
const tempPrefix = "xlreg-run-"

// makeTempDir makes a directory that goes with the run, even if that is killed.
func (r *clusterRun) makeTempDir() error {
	o, err := r.launchOptions()
	if err != nil {
		return err
	}
	o.Grace = r.o.plan.StopTimeout
	r.temp, err = run.NewTempDir(tempPrefix, o)
	if made := (*fs.PathError)(nil); errors.As(err, &made) && made.Op == "mkdir" && !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
	}
	if err != nil {
		return err
	}
	r.onClose(r.temp.Close)
	return nil
}

// sweepTime is how long a run that ends waits until it has removed what others have left behind,
// and mostSwept how many directories it removes. The next run goes on with the rest.
const (
	sweepTime = 2 * time.Second
	mostSwept = 16
)

// sweepTemp begins to remove the temporary directories of runs that were killed together with
// all their shims, as by a power cut. Nobody is told of what cannot be removed: it is in nobody's
// way, and the next run tries again.
func (r *clusterRun) sweepTemp() {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		dirs, _ := run.TempDirs(tempPrefix) // those that were found
		for left := mostSwept; len(dirs) > 0 && left > 0 && ctx.Err() == nil; dirs = dirs[1:] {
			if removed, _ := rundir.RemoveAbandoned(ctx, dirs[0], run.EndOrphans); removed {
				left--
			}
		}
	})
	r.onClose(func() error {
		late := time.AfterFunc(sweepTime, cancel)
		work.Wait()
		late.Stop()
		cancel()
		return nil
	})
}

// clear ends what is left of an earlier run in the same directory that was killed: it may
// still have the members' ports and data.
func (r *clusterRun) clear(mark string) error {
	left := run.Leftovers(mark)
	if len(left) == 0 {
		return nil
	}
	r.warn("the last run in %s was killed: the processes that it has left behind (%d) are ended first", r.o.dir, len(left))
	return run.EndLeftovers(mark, r.o.plan.StopTimeout)
}
