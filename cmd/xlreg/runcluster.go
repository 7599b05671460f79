package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// clusterRun is one 'run' under way. What it opens is closed in reverse order.
type clusterRun struct {
	*globals
	o *runOptions

	dir     string
	nodes   []*identity.Node
	ports   []*run.Ports
	target  client.Target
	members []*client.Membership
	first   *launch.Data // the cluster as its first member sees it
	closers []func() error
}

func (g *globals) runCluster(ctx context.Context, o *runOptions) (err error) {
	r := &clusterRun{globals: g, o: o}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, step := range []func(context.Context) error{r.makeDir, r.openNodes, r.openRegistry, r.form, r.launch} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *clusterRun) onClose(f func() error) { r.closers = append(r.closers, f) }

func (r *clusterRun) close() error {
	var errs []error
	for _, f := range slices.Backward(r.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// makeDir makes the directory for everything, a temporary one if none was named.
func (r *clusterRun) makeDir(context.Context) (err error) {
	if r.o.dir != "" {
		r.dir = r.o.dir
		if err := private.Place(r.dir); err != nil {
			return err
		}
		if err := atomicfile.MkdirAll(r.dir, 0o700); err != nil {
			return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
		}
		return private.Dir(r.dir)
	}
	if r.dir, err = os.MkdirTemp("", "xlreg-run-"); err != nil {
		return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
	}
	r.onClose(func() error { return os.RemoveAll(r.dir) })
	return nil
}

// openNodes opens the members' nodes, or makes those that do not exist, and takes
// their ports.
func (r *clusterRun) openNodes(ctx context.Context) error {
	r.nodes = make([]*identity.Node, r.o.members)
	r.ports = make([]*run.Ports, r.o.members)
	r.onClose(r.closeNodes)
	line := cli.NewStatusLine(r.Console)
	defer line.End()
	var made counter
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range r.nodes {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			made.next(func(so int) { line.Show(fmt.Sprintf("making member %d of %d", so, r.o.members)) })
			return r.openMember(i)
		})
	}
	return group.Wait()
}

func (r *clusterRun) openMember(i int) (err error) {
	dir := filepath.Join(r.dir, string(r.o.name(i)))
	r.nodes[i], err = r.warnRecovered(identity.Open(dir))
	if errors.Is(err, identity.ErrNoNode) {
		r.nodes[i], err = identity.Init(dir, identity.Options{Name: r.o.name(i), Kind: r.o.keys.kind, Bits: r.o.keys.bits, CertificateLife: r.o.certLife})
	}
	if err != nil {
		return err
	}
	if r.ports[i], err = run.Reserve("127.0.0.1", r.o.ports); err != nil {
		return err
	}
	return r.nodes[i].SetEndpoints(endpointsOf(r.ports[i]))
}

// endpointsOf returns where ports are.
func endpointsOf(ports *run.Ports) []xlreg.Endpoint {
	var all []xlreg.Endpoint
	for _, addr := range ports.Addrs() {
		all = append(all, xlreg.Endpoint(addr))
	}
	return all
}

func (r *clusterRun) closeNodes() error {
	var errs []error
	for _, p := range r.ports {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	for _, node := range r.nodes {
		if node != nil {
			errs = append(errs, node.Close())
		}
	}
	return errors.Join(errs...)
}

// release lets go of the ports, for the programs. It may be called again.
func (r *clusterRun) release() error {
	var errs []error
	for _, p := range r.ports {
		if p != nil {
			errs = append(errs, p.Release())
		}
	}
	return errors.Join(errs...)
}

// openRegistry finds the registry that was named, or runs one that admits the keys
// of these members and no others.
func (r *clusterRun) openRegistry(ctx context.Context) (err error) {
	if r.o.place != nil {
		r.target = r.o.place.target
		return nil
	}
	if r.Registry != "" {
		r.target, err = r.Target()
		return err
	}
	node, err := cli.Interruptible(ctx, func() (*identity.Node, error) {
		return identity.NewNode(identity.Options{Name: "xlreg-run"})
	})
	if err != nil {
		return err
	}
	running, err := host.Start(host.Config{Node: node, Store: memory.New(), Admit: r.isMember})
	if err != nil {
		return err
	}
	r.onClose(running.Close)
	r.target, err = regcred.NewTarget(running.Cred())
	return err
}

func (r *clusterRun) isMember(key xlreg.SigKey) bool {
	return slices.ContainsFunc(r.nodes, func(n *identity.Node) bool { return n.Keys().SigKey == key })
}

// form lets the members form the cluster.
func (r *clusterRun) form(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.wait)
	defer cancel()
	ref := r.o.ref()
	p := r.newProgress(ctx, membersOf(ref))
	defer p.end()
	all := together{
		Options: client.Options{Protocol: r.Protocol.Protocol, Logger: p.logger()}, target: r.target,
		nodes: r.nodes, cluster: ref, size: r.o.size, endpointCount: r.o.ports,
		progress: p.callback(), unverified: r.o.unverified,
	}
	if r.isShared() && !r.Protocol.Classic() {
		all.lease = runLease
	}
	if r.members, err = all.form(ctx); err != nil {
		return explainShared(afterWait(err))
	}
	r.onClose(r.leave)
	return nil
}

// runLease is how long seats last after a run that was killed. Others that want the same
// names wait for that.
const runLease = 10 * time.Second

// isShared reports whether the registry is one that goes on when the run ends.
func (r *clusterRun) isShared() bool { return r.o.place != nil || r.Registry != "" }

// leaveTime bounds the giving up of seats at the end.
const leaveTime = 3 * time.Second

// leave gives up the members' seats once their programs have ended. If the registry is
// gone by then, nothing is lost.
func (r *clusterRun) leave() error {
	defer closeMembers(r.members)
	if !r.isShared() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if err := leaveAll(ctx, r.members); err != nil && !r.Protocol.Classic() {
		fmt.Fprintf(r.Err, "xlreg: the members' seats in the cluster are not given up: %s\n", oneLine(err))
	}
	return nil
}

// launch starts the programs and looks after them.
func (r *clusterRun) launch(ctx context.Context) error {
	programs, err := r.programs()
	if err != nil {
		return err
	}
	if err := r.describe(programs[0].Args[0]); err != nil {
		return errors.Join(err, run.Abandon(programs))
	}
	o, err := r.launchOptions()
	if err != nil {
		return errors.Join(err, run.Abandon(programs))
	}
	o.KeepGoing, o.Release = r.o.keepGoing, r.release
	return r.supervise(ctx, programs, o, nil)
}

// describe says who is in the cluster that is about to start, where its files are, and
// how to talk to it.
func (r *clusterRun) describe(program string) error {
	if r.o.quiet || r.Output == "json" {
		return nil
	}
	var b bytes.Buffer
	if err := r.describeRoster(&b, r.members[0].Roster(), r.Err); err != nil {
		return err
	}
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nfiles in %s%s\n", dir, map[bool]string{true: ", until this ends"}[r.o.dir == ""])
	if command, known := r.first.TalkTo(program); known {
		fmt.Fprintf(&b, "talk to it with\n\n  %s\n\n", command)
	}
	_, err = r.Err.Write(b.Bytes())
	return err
}

// programs writes every member's files and returns what is to be started.
func (r *clusterRun) programs() (programs []run.Program, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, run.Abandon(programs))
		}
	}()
	names := make([]string, len(r.members))
	for i, node := range r.nodes {
		names[i] = string(node.Name())
	}
	mergers := run.NewMergers(r.Out, r.Err)
	prefixes := [][]string{run.Prefixes(names, hasColor(r.Out)), run.Prefixes(names, hasColor(r.Err))}
	for i, m := range r.members {
		p, data, err := r.prepareProgram(m, r.target.Target(), memberPlace{allowUnverified: r.o.unverified}, r.o.command)
		if err != nil {
			return programs, err
		}
		if i == 0 {
			r.first = data
		}
		p.Stdout, p.Stderr = mergers[0].Line(prefixes[0][i]), mergers[1].Line(prefixes[1][i])
		if r.o.dir == "" {
			p.Scratch = m.Node().Dir()
		}
		if r.o.program.pass {
			p.Passed, err = r.ports[i].Files()
		}
		programs = append(programs, p)
		if err != nil {
			return programs, err
		}
	}
	return programs, nil
}

// hasColor reports whether a terminal shows colors, and may.
func hasColor(f any) bool { return cli.HasLine(f) && os.Getenv("NO_COLOR") == "" }
