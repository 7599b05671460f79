package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

// runMember is a member of a run that is about to start.
type runMember struct {
	data    *launch.Data
	program run.Program
	env     []string // what whoever talks to the cluster as this member finds in its environment
	tail    *tail    // what it has said last
	log     *rundir.Log

	wasReady bool // once at least; written while the run lasts, and read after it
}

// prepare writes every member's files, and returns what is to be started.
func (r *clusterRun) prepare() ([]*runMember, error) {
	if err := r.complete(); err != nil {
		return nil, err
	}
	if err := r.writeFiles(); err != nil {
		return nil, err
	}
	members := make([]*runMember, len(r.data))
	for i, d := range r.data {
		m, err := r.prepareMember(i, d)
		if err != nil {
			return nil, err
		}
		members[i] = m
	}
	env := make(map[string][]string, len(members))
	for _, m := range members {
		env[m.data.Self.Name] = m.env
	}
	return members, r.keeper.SetEnv(env)
}

// complete tells the members what they do not know from the roster.
func (r *clusterRun) complete() error {
	secret, err := r.secret()
	if err != nil {
		return err
	}
	for _, d := range r.data {
		r.o.plan.Complete(d)
		d.SetSecret(secret)
	}
	return nil
}

// secret returns the one that all members have in common.
func (r *clusterRun) secret() (string, error) {
	given, err := r.o.program.secretOf()
	switch {
	case given != "" || err != nil:
		return given, err
	case r.temp == nil:
		return r.keeper.Secret()
	}
	return rundir.NewSecret()
}

// authorityLife is that of an authority, and of the certificates that it makes, unless
// --cert-life says otherwise.
const authorityLife = 90 * 24 * time.Hour

// writeFiles writes the files with which members know each other. The key of an authority
// is gone when they have theirs.
func (r *clusterRun) writeFiles() error {
	o := launch.FileOptions{Names: r.o.plan.SAN, KeyStores: r.o.plan.KeyStores(), Temporary: r.temp != nil}
	if r.o.plan.TLS == recipe.TLSCA {
		var err error
		if o.Authority, err = r.authority(); err != nil {
			return err
		}
		defer o.Authority.Forget()
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, d := range r.data {
		if err := r.checkTLS(d); err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error { return o.Write(d, r.nodes[i]) })
	}
	return group.Wait()
}

// authority returns the one that certifies the members. It is new, unless they have
// certificates that will do, or one was given.
func (r *clusterRun) authority() (*launch.Authority, error) {
	life := cmp.Or(r.o.certLife, authorityLife)
	if given := r.o.authority; given != nil {
		given.Prepare(r.data, r.o.plan.SAN, life)
		return given, nil
	}
	if kept := launch.KeptAuthority(r.data, r.o.plan.SAN); kept != nil {
		return kept, nil
	}
	return launch.NewAuthority("authority of "+r.data[0].Cluster.Name, life)
}

// checkTLS refuses a member that would have to do without TLS though nobody said so: its
// peers could be anybody.
func (r *clusterRun) checkTLS(d *launch.Data) error {
	_, err := d.TLS()
	switch {
	case err == nil || d.NoTLS:
		return nil
	case r.o.unverified:
		r.warn("%s: %v", d.Self.Name, err)
		return nil
	}
	return fmt.Errorf("%s is not started: %w", d.Self.Name, err)
}

func (r *clusterRun) prepareMember(i int, d *launch.Data) (*runMember, error) {
	told := r.o.plan.Members[i]
	x, err := told.Command.Expand(d)
	if err != nil {
		return nil, err
	}
	if err := x.WriteMade(); err != nil {
		return nil, err
	}
	m := &runMember{data: d, tail: newTail()}
	m.program = run.Program{Name: d.Self.Name, Args: x.Args, Shared: r.o.plan.Shared}
	m.program.Release = func() error { return r.releasePorts(i) }
	if m.program.Path, err = lookPath(x.Args[0], r.o.plan.Recipe); err != nil {
		return nil, err
	}
	own, err := d.Environment()
	if err != nil {
		return nil, err
	}
	m.program.Env = slices.Concat(own, []string{noTicket}, x.Env)
	clients, err := r.o.plan.Env(d)
	if err != nil {
		return nil, err
	}
	m.env = slices.Concat(own, x.Env, clients)
	m.program.Ready, err = r.ready(m, told.Ready)
	return m, err
}

// releasePorts lets a member have its ports. With --address others have ports of the same
// numbers at other addresses, and those are let go, too: it may be that this member listens on
// all addresses, as Ray's head does.
func (r *clusterRun) releasePorts(i int) error {
	errs := []error{r.ports[i].Release()}
	for _, other := range r.ports {
		errs = append(errs, other.ReleaseLike(r.ports[i]))
	}
	return errors.Join(errs...)
}

// command runs a command for sh as a member sees the cluster, and returns when it, and all
// that it has started, has ended.
func (r *clusterRun) command(ctx context.Context, name, text string, m *runMember, p run.Program) error {
	p.Name, p.Env = name, slices.Concat(m.env, []string{noTicket}) // several may be under way
	return r.runShell(ctx, p, text, r.o.plan.StopTimeout)
}

// pass gives the open ports to the programs that take them over.
func (r *clusterRun) pass(members []*runMember) (err error) {
	if !r.o.program.pass {
		return nil
	}
	for i, m := range members {
		if m.program.Passed, err = r.ports[i].Files(); err != nil {
			return errors.Join(err, run.Abandon(programsOf(members)))
		}
	}
	return nil
}

func programsOf(members []*runMember) []run.Program {
	programs := make([]run.Program, len(members))
	for i, m := range members {
		programs[i] = m.program
	}
	return programs
}
