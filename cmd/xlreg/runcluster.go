package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// clusterRun is one 'run' under way. What it opens is closed in reverse order.
type clusterRun struct {
	*globals
	o *runOptions

	dir     string
	temp    *run.TempDir // nil: the directory is one that was named
	keeper  *rundir.Dir  // nil: the directory is a temporary one
	kept    *rundir.Kept
	nodes   []*identity.Node
	ports   []*run.Ports
	target  client.Target
	members []*client.Membership // none of a member that is alone
	data    []*launch.Data       // the cluster as each member sees it
	show    runShow
	closers []func() error
}

func (g *globals) runCluster(ctx context.Context, o *runOptions) (err error) {
	r := &clusterRun{globals: g, o: o}
	defer func() { err = errors.Join(err, r.close()) }()
	steps := []func(context.Context) error{r.makeDir, r.openNodes, r.openRegistry, r.form, r.keep, r.launch}
	if o.isAlone() {
		steps = []func(context.Context) error{r.makeDir, r.openNodes, r.standAlone, r.keep, r.launch}
	}
	for _, step := range steps {
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

// makeDir makes the directory for everything, a temporary one if none was named, and looks
// at what an earlier run has left there.
func (r *clusterRun) makeDir(context.Context) (err error) {
	if r.o.dir == "" {
		return r.makeTempDir()
	}
	if r.keeper, err = rundir.Open(r.o.dir); err != nil {
		return err
	}
	r.onClose(r.keeper.Close)
	r.dir = r.keeper.Path()
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

// makeTempDir makes a directory that goes with the run, even if that is killed.
func (r *clusterRun) makeTempDir() error {
	o, err := r.launchOptions()
	if err != nil {
		return err
	}
	if r.temp, err = run.NewTempDir("xlreg-run-", o); err != nil {
		return fmt.Errorf("%w; choose with --dir a directory that can be written to", err)
	}
	r.dir = r.temp.Path()
	r.onClose(r.temp.Close)
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
	if r.nodes[i], err = r.openNode(i); err != nil {
		return err
	}
	if r.ports[i], err = r.takePorts(i); err != nil {
		return err
	}
	var labels map[string]string
	if role := r.o.plan.Members[i].Role; role != "" {
		labels = map[string]string{launch.RoleLabel: role}
	}
	if err := client.SetLabels(r.nodes[i], labels); err != nil {
		return err
	}
	return r.nodes[i].SetEndpoints(endpointsOf(r.ports[i]))
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
		nodes: r.nodes, cluster: ref, size: r.o.size, endpointCount: len(r.o.plan.Ports.List),
		progress: p.callback(), unverified: r.o.unverified,
	}
	if r.isShared() && !r.Protocol.Classic() {
		all.lease = runLease
	}
	if r.members, err = all.form(ctx); err != nil {
		return explainShared(afterWait(err))
	}
	r.onClose(r.leave)
	return r.see()
}

// see notes how each member sees the cluster.
func (r *clusterRun) see() error {
	url, err := r.target.Target().URL()
	if err != nil {
		return err
	}
	for i, m := range r.members {
		dir, err := r.filesDir(i, m.Roster().Cluster.Name)
		if err != nil {
			return err
		}
		d, err := launch.NewData(m.Roster(), m.Self().Token.ID, dir)
		if err != nil {
			return err
		}
		d.Registry = url
		r.data = append(r.data, d)
	}
	return nil
}

// standAlone makes a cluster of the one member there is.
func (r *clusterRun) standAlone(context.Context) error {
	if r.o.cluster == "" {
		r.o.cluster = newClusterName()
	}
	dir, err := r.filesDir(0, r.o.cluster)
	if err != nil {
		return err
	}
	d, err := launch.Alone(r.nodes[0], r.o.cluster, dir)
	r.data = []*launch.Data{d}
	return err
}

// newClusterName returns a name that nobody has used, of the kind that a registry gives.
func newClusterName() xlreg.Name {
	const length = 16
	return xlreg.Name("c-" + strings.ToLower(rand.Text()[:length]))
}

// openNode opens the node of the member i, or makes it. In a temporary directory it would
// be of use to nobody, and stays in memory.
func (r *clusterRun) openNode(i int) (*identity.Node, error) {
	o := identity.Options{Name: r.o.name(i), Kind: r.o.keys.kind, Bits: r.o.keys.bits, CertificateLife: r.o.certLife}
	if r.temp != nil {
		return identity.NewNode(o)
	}
	node, err := r.warnRecovered(identity.Open(r.memberDir(i)))
	if errors.Is(err, identity.ErrNoNode) {
		return identity.Init(r.memberDir(i), o)
	}
	return node, err
}

// memberDir returns the directory of the member i.
func (r *clusterRun) memberDir(i int) string { return filepath.Join(r.dir, string(r.o.name(i))) }

// filesDir returns the directory for its files of a cluster, where launch.DirOf has it for a
// node that has a directory.
func (r *clusterRun) filesDir(i int, cluster xlreg.Name) (string, error) {
	return filepath.Abs(filepath.Join(r.memberDir(i), "clusters", string(cluster)))
}

// keep notes what the next run in the same directory is to find again.
func (r *clusterRun) keep(context.Context) error {
	if r.keeper == nil {
		return nil
	}
	k := rundir.Kept{Cluster: r.data[0].Cluster.Name, PortNames: r.o.plan.Ports.Names(), Members: make(map[string][]string)}
	if r.kept != nil { // of members that are not started this time
		for name, addrs := range r.kept.Members {
			k.Members[name] = addrs
		}
	}
	for i, node := range r.nodes {
		k.Members[string(node.Name())] = r.ports[i].Addrs()
	}
	return r.keeper.Save(k)
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
