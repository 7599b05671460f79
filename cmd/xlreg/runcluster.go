package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
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
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// clusterRun is one 'run' under way. What it opens is closed in reverse order.
type clusterRun struct {
	*globals
	o *runOptions

	dir     string
	temp    *run.TempDir // nil: the directory is one that was named
	keeper  *rundir.Dir
	kept    *rundir.Kept
	nodes   []*identity.Node
	ports   []*run.Ports
	own     *identity.Node // of a registry of this run; nil: there is none
	target  client.Target
	members []*client.Membership // none of a member that is alone
	data    []*launch.Data       // the cluster as each member sees it
	show    runShow
	control *control
	closers []func() error
}

// runGarbage is how much garbage there may be, in percent of what is in use. It is four times
// what Go allows: to form a cluster of many members leaves much of it in a second, and to look
// after their programs leaves none.
const runGarbage = 400

func (g *globals) runCluster(ctx context.Context, o *runOptions) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(runGarbage)
	}
	if err := o.checkOpenFiles(cli.OpenFileLimit()); err != nil {
		return err
	}
	r := &clusterRun{globals: g, o: o, show: silent{}}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.makeDir(ctx); err != nil {
		return err
	}
	ctx = r.beControlled(ctx)
	defer r.show.clear()
	steps := []func(context.Context) error{r.open, r.openRegistry, r.form, r.keep, r.launch}
	if o.isAlone() {
		steps = []func(context.Context) error{r.openNodes, r.standAlone, r.keep, r.launch}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkOpenFiles refuses a run that needs more open files than this process may have. What it
// counts is less than what is really open, so nothing is refused that would have gone well.
func (o *runOptions) checkOpenFiles(allowed int, known bool) error {
	const own, ofMember, ofPort = 14, 3, 2
	least := own + o.members*(ofMember+ofPort*len(o.plan.Ports.List))
	if !known || allowed >= least {
		return nil
	}
	return fmt.Errorf("%d members need more than %d open files, and this process may have %d: raise the limit with 'ulimit -n', or start fewer members", o.members, least, allowed)
}

func (r *clusterRun) onClose(f func() error) { r.closers = append(r.closers, f) }

func (r *clusterRun) close() error {
	var errs []error
	for _, f := range slices.Backward(r.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// open opens the members' nodes. A registry of their own needs larger keys than they do:
// one processor makes those meanwhile.
func (r *clusterRun) open(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.openNodes(ctx) })
	group.Go(func() (err error) {
		if r.o.place != nil || r.Registry != "" {
			return nil
		}
		r.own, err = cli.Interruptible(ctx, newRegistryNode)
		return err
	})
	return group.Wait()
}

// newRegistryNode makes the node of a run's own registry. Its keys are what a run waits for
// longest before anything else can begin, and so are made at the same time.
func newRegistryNode() (*identity.Node, error) {
	var both [2]keys.Private
	var group errgroup.Group
	for i := range both {
		group.Go(func() (err error) {
			both[i], err = keys.GenerateKey(keys.RSA, keys.DefaultBits)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	set, err := keys.NewSet(both[0], both[1])
	if err != nil {
		return nil, err
	}
	return identity.NewNode(identity.Options{Name: "xlreg-run", Keys: set})
}

// openNodes opens the members' nodes, or makes those that do not exist, and takes
// their ports.
func (r *clusterRun) openNodes(ctx context.Context) error {
	r.nodes = make([]*identity.Node, r.o.members)
	r.ports = make([]*run.Ports, r.o.members)
	r.onClose(r.closeNodes)
	line := r.show.line(r.Console)
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
	r.show.at(i, r.ports[i].Addrs())
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
func (r *clusterRun) openRegistry(context.Context) (err error) {
	switch {
	case r.o.place != nil:
		r.target = r.o.place.target
		return nil
	case r.own == nil:
		r.target, err = r.Target()
		return err
	}
	running, err := host.Start(host.Config{Node: r.own, Store: memory.New(), Admit: r.isMember})
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
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ctx, cancel := context.WithTimeout(ctx, r.o.wait)
	defer cancel()
	r.warnOfLoopback(ctx)
	ref := r.o.ref()
	p := r.newProgressOn(ctx, membersOf(ref), r.show.line(r.Console), r.firstStep())
	defer p.end()
	all := together{
		Options: client.Options{Protocol: r.Protocol.Protocol, Logger: p.loggerUntil(ownTrouble, giveUp)}, target: r.target,
		nodes: r.nodes, cluster: ref, size: r.o.size, endpointCount: len(r.o.plan.Ports.List),
		progress: p.show, sparing: p.sparing(), seated: r.show.joined, unverified: r.o.unverified,
		news: &strangerNews{globals: r.globals},
	}
	if r.isShared() && !r.Protocol.Classic() {
		all.lease = runLease
	}
	if r.members, err = all.form(ctx); err != nil {
		if cause := context.Cause(ctx); ownTrouble(cause) && (!ownTrouble(err) || errors.Is(err, context.Canceled)) {
			return cause
		}
		return explainShared(afterWait(err))
	}
	r.onClose(r.leave)
	return r.see()
}

// ownTrouble reports whether a trouble is this process's own, so that to try again is in vain.
func ownTrouble(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// firstStep says what is done first until all are there.
func (r *clusterRun) firstStep() string {
	if r.isShared() {
		return lookingForRegistry
	}
	return "forming the cluster" // the registry is here
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
		d, err := r.seenBy(m, dir)
		if err != nil {
			return err
		}
		d.Registry = url
		r.data = append(r.data, d)
	}
	return nil
}

// seenBy returns the cluster as a member sees it. As a rule all see the same.
func (r *clusterRun) seenBy(m *client.Membership, dir string) (*launch.Data, error) {
	roster, first := m.Roster(), r.members[0].Roster()
	if len(r.data) > 0 && roster.Sum != (keys.Sum{}) && roster.Sum == first.Sum && roster.Pinned == first.Pinned {
		return r.data[0].For(m.Self().Token.ID, dir)
	}
	return launch.NewData(roster, m.Self().Token.ID, dir)
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
	r.show.joined(0)
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
	node, err := r.messages().warnRecovered(identity.Open(r.memberDir(i)))
	if errors.Is(err, identity.ErrNoNode) {
		return identity.Init(r.memberDir(i), o)
	}
	return node, err
}

// memberDir returns the directory of the member i.
func (r *clusterRun) memberDir(i int) string { return filepath.Join(r.dir, string(r.o.name(i))) }

// filesDir returns the directory for its files of a cluster, where launch.DirOf has it for a
// node that has a directory. In a temporary one there is nothing else, and no other cluster.
func (r *clusterRun) filesDir(i int, cluster xlreg.Name) (string, error) {
	if r.temp != nil {
		return filepath.Abs(r.memberDir(i))
	}
	return filepath.Abs(filepath.Join(r.memberDir(i), "clusters", string(cluster)))
}

// keep notes what the next run in the same directory is to find again, and others now.
func (r *clusterRun) keep(context.Context) (err error) {
	k := rundir.Kept{Cluster: r.data[0].Cluster.Name, PortNames: r.o.plan.Ports.Names(), Members: make(map[string][]string)}
	if r.kept != nil { // of members that are not started this time
		for name, addrs := range r.kept.Members {
			k.Members[name] = addrs
		}
	}
	for i, node := range r.nodes {
		k.Members[string(node.Name())] = r.ports[i].Addrs()
	}
	if r.o.life.logDir != "" {
		if k.Logs, err = r.logDir(); err != nil {
			return err
		}
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
