package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// writeFiles writes a member's files into dir, or inside its node if dir is empty, and
// returns the cluster as the member sees it.
func writeFiles(roster *client.Roster, id xlreg.NodeID, node *identity.Node, target *regcred.Target, dir string) (d *launch.Data, err error) {
	if dir == "" {
		dir, err = launch.DirOf(node, roster.Cluster.Name)
	} else {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, err
	}
	if d, err = launch.NewData(roster, id, dir); err != nil {
		return nil, err
	}
	if d.Registry, err = target.URL(); err != nil {
		return nil, err
	}
	return d, launch.WriteFiles(d, node)
}

// prepareProgram writes a member's files and returns the program to start there.
func (g *globals) prepareProgram(m *client.Membership, target *regcred.Target, dir string, command *launch.Command) (p run.Program, err error) {
	d, err := writeFiles(m.Roster(), m.Self().Token.ID, m.Node(), target, dir)
	if err != nil {
		return p, err
	}
	if _, err := d.TLS(); err != nil && cli.HasLine(g.Err) {
		fmt.Fprintf(g.Err, "%s: %s\n", d.Self.Name, oneLine(err))
	}
	x, err := command.Expand(d)
	if err != nil {
		return p, err
	}
	if err := x.WriteMade(); err != nil {
		return p, err
	}
	p = run.Program{Name: d.Self.Name, Args: x.Args}
	if p.Path, err = run.LookPath(x.Args[0]); err != nil {
		return p, err
	}
	p.Env, err = d.Environment()
	p.Env = append(p.Env, x.Env...)
	return p, err
}

// supervise runs programs until all have ended. Signals are theirs from now on.
func (g *globals) supervise(ctx context.Context, programs []run.Program, o run.Options) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	if ctx.Err() != nil { // a signal came before that
		_ = run.Abandon(programs)
		return ctx.Err()
	}
	o.Signals = signals
	stop := g.warnOfExpiry(&programs[0]) // all have the same peers
	defer stop()
	return run.All(programs, o)
}

// warnOfExpiry warns when certificates that programs have of each other are about to
// expire. The function that it returns ends the watch.
func (g *globals) warnOfExpiry(program *run.Program) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	watcher.Go(func() {
		launch.WatchExpiry(ctx, program.Getenv(launch.EnvTLSPeers), func(e launch.Expiry) {
			fmt.Fprintf(g.Err, "xlreg: the certificate of %s ends at %s; run 'xlreg join NAME --refresh' for every member, and let the programs read their files again\n",
				e.Name, e.End.Format(time.RFC3339))
		})
	})
	return func() {
		cancel()
		watcher.Wait()
	}
}
