package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// What the workers share and how large it is: few enough clusters to be full often.
const (
	sharedClusters = 20
	largestCluster = 20
	newClusters    = 40 // one in so many creates a cluster of its own
	firstVersion   = 1024
)

var (
	errLost    = errors.New("no answer came")
	errRefused = errors.New("the session ended with a refusal")
)

// round is a time in which workers work. It ends by a kill, which takes answers
// with it, or when they are told to stop, and then nothing may be lost.
type round struct {
	target  *regcred.Target
	killed  atomic.Bool // sessions may break
	stopped atomic.Bool // no more requests
	starved atomic.Bool // the registry may say to come back later
	unsure  bool        // what it refuses so may have happened nevertheless
	goes    bool        // sessions may break, and workers go on with another server
}

// worker is one node: it does one thing at a time, so that what happens to its
// seats is known. Its methods are for one goroutine.
type worker struct {
	who
	world    *world
	keys     *keys.Set
	protocol xlreg.Protocol
	rnd      *rand.Rand
	now      func() time.Time // nil: time.Now
	apart    string           // what the names of its clusters begin with

	node    *identity.Node
	id      xlreg.NodeID
	version int
	in      *round
}

func newWorkers(t *testing.T, w *world, n int, seed uint64) []*worker {
	t.Helper()
	protocols := []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}
	all := make([]*worker, n)
	for i := range all {
		set, err := keysOf(i, protocols[i%len(protocols)])
		must(t, err)
		w.addKeys(set)
		all[i] = &worker{
			who:   who{xlreg.Name(fmt.Sprintf("m%d", i)), set.SigKey},
			world: w, keys: set, protocol: protocols[i%len(protocols)],
			rnd: rand.New(rand.NewPCG(seed, uint64(i))), version: firstVersion,
		}
		if err := all[i].forget(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// forget is what happens to a machine that loses all but its key.
func (k *worker) forget() (err error) {
	k.id = ""
	k.node, err = identity.NewNode(identity.Options{Name: k.name, Keys: k.keys, Endpoints: k.endpoints()})
	return err
}

// endpoints tell the versions of what is registered.
func (k *worker) endpoints() []xlreg.Endpoint {
	return []xlreg.Endpoint{xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", k.version))}
}

// work has all workers work until the round is over.
func work(ctx context.Context, in *round, workers []*worker) {
	var working sync.WaitGroup
	for _, k := range workers {
		k.in = in
		working.Go(func() { k.run(ctx) })
	}
	working.Wait()
}

// run has one session after the other.
func (k *worker) run(ctx context.Context) {
	for ctx.Err() == nil && !k.in.stopped.Load() {
		err := k.session(ctx)
		switch {
		case err == nil || errors.Is(err, errRefused):
		case errors.Is(err, errLost) && k.in.killed.Load():
			return
		case errors.Is(err, errLost) && k.in.goes:
		default:
			k.world.wrong("%s over %v: %w", k.name, k.protocol, err)
			return
		}
	}
}

func (k *worker) session(ctx context.Context) error {
	c, err := client.Dial(ctx, k.in.target, client.Options{Node: k.node, Protocol: k.protocol, Now: k.now})
	if err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	defer c.Close()
	if err := k.identify(ctx, c); err != nil {
		return err
	}
	for n := 1 + k.rnd.IntN(40); n > 0 && !k.in.stopped.Load(); n-- {
		if err := k.act(ctx, c); err != nil {
			return err
		}
	}
	if k.rnd.IntN(4) == 0 && !k.in.stopped.Load() {
		return k.wait(ctx, c)
	}
	return nil
}

// identify says who the node is: anew, again, or by its ID.
func (k *worker) identify(ctx context.Context, c *client.Client) error {
	if k.id == "" || k.rnd.IntN(4) == 0 {
		return k.register(ctx, c)
	}
	return k.logIn(ctx, c)
}

// act does one thing.
func (k *worker) act(ctx context.Context, c *client.Client) error {
	choice := k.rnd.IntN(100)
	switch {
	case choice < 10:
		return k.create(ctx, c)
	case choice < 45:
		return k.join(ctx, c)
	case choice < 70 && !k.protocol.Classic():
		return k.leave(ctx, c)
	case choice < 75 && !k.protocol.Classic():
		return k.register(ctx, c)
	case choice < 76:
		return errors.Join(k.forget(), errRefused) // it has to begin anew
	}
	return k.get(ctx, c)
}

// settle tells what became of a request: nothing wrong; a refusal of one of the
// kinds that there may be; or that no answer came, which done is told of. An error
// ends the session.
func (k *worker) settle(err error, done, lost func(), kinds map[xlreg.Kind]func()) error {
	kind, ok := xlreg.KindOf(err)
	expected, ok := kinds[kind], ok && kinds[kind] != nil
	switch {
	case err == nil:
		done()
		return nil
	case errors.Is(err, client.ErrSessionEnded) || errors.Is(err, context.Canceled):
		lost()
		return fmt.Errorf("%w: %w", errLost, err)
	case kind == xlreg.ErrTryLater && k.in.starved.Load():
		k.comeBack(lost)
	case ok:
		expected()
	default:
		return err
	}
	k.world.refuse(kind)
	if k.protocol.Classic() || kind == xlreg.ErrTryLater {
		return errRefused
	}
	return nil
}

// comeBack is for what was refused as try again later. It has not happened, unless
// the store that failed cannot tell.
func (k *worker) comeBack(lost func()) {
	if k.in.unsure {
		lost()
	}
}

func nothing() {}

func (k *worker) register(ctx context.Context, c *client.Client) error {
	k.version++
	if k.version > 65535 {
		k.version = firstVersion
	}
	if err := k.node.SetEndpoints(k.endpoints()); err != nil {
		return err
	}
	id, err := c.Register(ctx)
	return k.settle(err,
		func() {
			if k.id != "" && k.id != id {
				k.world.wrong("%s proposed its ID %v and got %v", k.name, k.id, id)
			}
			k.id = id
			k.world.registered(k.who, id, k.version)
		},
		func() { k.world.registerLost(k.id, k.version) }, nil)
}

func (k *worker) logIn(ctx context.Context, c *client.Client) error {
	_, err := c.Login(ctx)
	return k.settle(err, k.world.loggedIn, nothing, nil)
}

// create asks for one of the shared clusters, or sometimes for a new one.
func (k *worker) create(ctx context.Context, c *client.Client) error {
	o := client.CreateOptions{Size: 2 + k.rnd.IntN(largestCluster-1)}
	n := k.rnd.IntN(newClusters)
	switch {
	case n > 0:
		o.Name = xlreg.Name(fmt.Sprintf("%sc%d", k.apart, k.rnd.IntN(sharedClusters)))
	case !k.protocol.Classic() && k.rnd.IntN(2) == 0:
		o.Name, o.Attrs = "u", xlreg.ClusterUnique
	}
	cluster, err := c.Create(ctx, o)
	if errors.Is(err, xlreg.ErrClusterSize) {
		err = nil // another came first, and the answer shows what is
	}
	return k.settle(err, func() { k.world.created(cluster) }, nothing, nil)
}

// pick returns a cluster, more often than not a shared one.
func (k *worker) pick() (xlreg.Cluster, bool) {
	if k.rnd.IntN(5) > 0 {
		return k.world.pick(k.rnd.IntN(sharedClusters))
	}
	return k.world.pick(k.rnd.IntN(1 << 16))
}

func (k *worker) join(ctx context.Context, c *client.Client) error {
	cluster, ok := k.pick()
	if !ok || k.id == "" {
		return nil
	}
	_, err := c.Join(ctx, xlreg.ClusterRef{ID: cluster.ID})
	return k.settle(err,
		func() { k.world.joined(cluster.ID, k.who, k.id) },
		func() { k.world.joinLost(cluster.ID, k.who, k.id) },
		map[xlreg.Kind]func(){xlreg.ErrClusterFull: func() { k.world.joinRefused(cluster.ID, k.who) }})
}

func (k *worker) leave(ctx context.Context, c *client.Client) error {
	cluster, ok := k.world.pickOf(k.name, k.rnd.IntN(1<<16))
	if !ok || k.rnd.IntN(8) == 0 {
		cluster, ok = k.pick()
	}
	if !ok || k.id == "" {
		return nil
	}
	err := c.Leave(ctx, xlreg.ClusterRef{ID: cluster.ID})
	return k.settle(err,
		func() { k.world.left(cluster.ID, k.who, k.id) },
		func() { k.world.leaveLost(cluster.ID, k.who, k.id) },
		map[xlreg.Kind]func(){xlreg.ErrNotMember: func() { k.world.leaveRefused(cluster.ID, k.who, k.id) }})
}

func (k *worker) get(ctx context.Context, c *client.Client) error {
	cluster, ok := k.pick()
	if !ok || k.id == "" {
		return nil
	}
	roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster.ID})
	return k.settle(err, func() { k.world.read(roster, k.who) }, nothing, nil)
}

// wait waits a little for a cluster to fill, and is the last of a session.
func (k *worker) wait(ctx context.Context, c *client.Client) error {
	cluster, ok := k.pick()
	if !ok || k.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(60+k.rnd.IntN(100))*time.Millisecond)
	defer cancel()
	roster, err := c.Wait(ctx, xlreg.ClusterRef{ID: cluster.ID}, 0)
	var incomplete *client.IncompleteError
	if errors.As(err, &incomplete) {
		return nil
	}
	return k.settle(err, func() { k.world.read(roster, k.who) }, nothing, nil)
}

// starving is a round in which the registry may say to come back later.
func starving() *round {
	in := new(round)
	in.starved.Store(true)
	return in
}

// workInBackground has the workers work until enough has happened, or something
// that must not.
func workInBackground(t *testing.T, in *round, workers []*worker, enough func() bool) {
	t.Helper()
	w := workers[0].world
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(t.Context(), in, workers)
	}()
	defer func() { <-done }()
	defer in.stopped.Store(true)
	until(t, "enough has happened", func() bool { return enough() || w.failed() })
}

// workFor has the workers work for a while, in which nothing may fail.
func workFor(t *testing.T, target *regcred.Target, workers []*worker, d time.Duration) {
	t.Helper()
	in := &round{target: target}
	stopping := time.AfterFunc(d, func() { in.stopped.Store(true) })
	defer stopping.Stop()
	work(t.Context(), in, workers)
	workers[0].world.check(t)
}
