package main

import (
	"cmp"
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
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// memberPlace is where a member's files are and where it listens, and whether it may go
// without TLS.
type memberPlace struct {
	dir             string           // empty: inside its node
	listen          []xlreg.Endpoint // empty: where the others find it
	allowUnverified bool
	plan            *runplan.Plan     // nil: no program is started
	secret          string            // empty: there is none
	authority       *launch.Authority // nil: there is none
	certLife        time.Duration     // of what it issues; 0: the usual
}

// writeFiles writes a member's files, and returns the cluster as the member sees it.
func writeFiles(roster *client.Roster, id xlreg.NodeID, node *identity.Node, target *regcred.Target, place memberPlace) (d *launch.Data, err error) {
	dir := place.dir
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
	d.Listen = place.listen
	if d.Registry, err = target.URL(); err != nil {
		return nil, err
	}
	if place.plan == nil {
		return d, launch.WriteFiles(d, node)
	}
	place.plan.Complete(d)
	if place.secret != "" {
		d.SetSecret(place.secret)
	}
	o := launch.FileOptions{Names: place.plan.SAN, KeyStores: place.plan.KeyStores()}
	if place.plan.TLS == recipe.TLSCA {
		o.Authority = place.authority
		o.Authority.Prepare([]*launch.Data{d}, place.plan.SAN, cmp.Or(place.certLife, authorityLife))
	}
	return d, o.Write(d, node)
}

// prepareProgram writes a member's files and returns the program to start there. One
// that would have to do without TLS is started only if that is allowed: its peers could
// be anybody.
func (g *globals) prepareProgram(m *client.Membership, target *regcred.Target, place memberPlace, l *joinLaunch) (p run.Program, o *memberOrder, err error) {
	told := *l.told
	told.Members, told.Size = m.Roster().Cluster.MaxSize, m.Roster().Cluster.MaxSize
	told.OwnRole, told.Role = "", rolesIn(m.Roster())
	plan, err := runplan.Make(&told)
	if err != nil {
		return p, nil, err
	}
	place.plan, place.secret, place.authority = plan, l.secret, l.authority
	d, err := writeFiles(m.Roster(), m.Self().Token.ID, m.Node(), target, place)
	if err != nil {
		return p, nil, err
	}
	_, err = d.TLS()
	if err != nil && !d.NoTLS && !place.allowUnverified {
		return p, nil, fmt.Errorf("%s is not started: %w", d.Self.Name, err)
	}
	if err != nil && !d.NoTLS {
		g.warn("%s: %v", d.Self.Name, err)
	}
	x, err := plan.Members[d.Self.Index].Command.Expand(d)
	if err != nil {
		return p, nil, err
	}
	if err := x.WriteMade(); err != nil {
		return p, nil, err
	}
	p = run.Program{Name: d.Self.Name, Args: x.Args}
	if p.Path, err = lookPath(x.Args[0], plan.Recipe); err != nil {
		return p, nil, err
	}
	p.Env, err = d.Environment()
	p.Env = append(append(p.Env, noTicket), x.Env...)
	return p, &memberOrder{globals: g, plan: plan, data: d, told: x, env: p.Env}, err
}

// rolesIn returns the roles that members have told, as --role has them. A label role may be
// something else as well, which is then no role of a recipe.
func rolesIn(roster *client.Roster) []string {
	var roles []string
	for i := range roster.Members {
		m := &roster.Members[i]
		if role, err := xlreg.ParseName(m.Labels()[launch.RoleLabel]); err == nil {
			roles = append(roles, fmt.Sprintf("%d=%s", m.Index, role))
		}
	}
	return roles
}

// How certificates are made anew, for warnOfExpiry.
const (
	renewByJoin = "run 'xlreg join NAME --refresh' for every member, and let the programs read their files again"
	renewByRun  = "stop the run and start it again, and the members get new ones"
)

// supervise runs programs until all have ended. Signals are theirs from now on, and what
// comes from stop, which may be nil, is one, too. The last argument says how certificates are
// made anew.
func (g *globals) supervise(ctx context.Context, programs []run.Program, o run.Options, stop <-chan os.Signal, renew string) error {
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
	o.Signals, o.Stuck = signals, endHere
	ended := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		select {
		case sig := <-stop:
			select {
			case signals <- sig:
			case <-ended:
			}
		case <-ended:
		}
	})
	defer passing.Wait()
	defer close(ended)
	quiet := g.warnOfExpiry(&programs[0], renew) // all have the same peers, and were certified at the same time
	defer quiet()
	return run.All(programs, o)
}

// endHere ends this process if a run was told to end and cannot, most likely since nobody reads
// what its programs have written: that cannot be given up in any other way, nor said. The shims
// clean up, as they do whenever a run is killed.
func endHere() { os.Exit(exitInterrupted) }

// warnOfExpiry warns when one of the certificates that a program has is about to expire: one of
// the other members, or its own, which the others need not have if an authority has signed it.
// The function that it returns ends the watch.
func (g *globals) warnOfExpiry(program *run.Program, renew string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	watcher.Go(func() {
		files := []string{program.Getenv(launch.EnvTLSPeers), program.Getenv(launch.EnvTLSCert)}
		launch.WatchExpiry(ctx, files, func(e launch.Expiry) {
			g.warn("the certificate of %s ends at %s: %s", e.Name, e.End.Format(time.RFC3339), renew)
		})
	})
	return func() {
		cancel()
		watcher.Wait()
	}
}
