package linear

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long says that the long form of the tests is wanted.
func long() bool { return os.Getenv("XLREG_LONG") != "" }

// rounds returns how many histories there are to be in either form.
func rounds(short, manyMore int) int {
	if long() {
		return manyMore
	}
	return short
}

// firstSeed returns XLREG_SEED, with which the clients make the choices of an earlier
// run again, or another number each time. What the scheduler did then does not come
// back; so a seed makes a failure likely, not sure.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano() % 1e9)
	if given := os.Getenv("XLREG_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("XLREG_SEED: %v", err)
		}
	}
	t.Logf("first seed %d: XLREG_SEED=%d makes the same choices again", seed, seed)
	return seed
}

// testNodes are made once: keys and signatures are what is slow. The last of the keys
// is the registry's.
var testNodes = sync.OnceValues(func() (*nodes, error) {
	sets := make([]*keys.Set, keysPerWorld*mostWorlds+1)
	var g errgroup.Group
	for i := range sets {
		g.Go(func() error {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				return err
			}
			private, err := keys.NewPrivate(key)
			if err != nil {
				return err
			}
			sets[i], err = keys.NewSet(private, private) // one key for both, which the protocol allows
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return newNodes(sets, "a", "b", "d", "e")
})

func mustNodes(t *testing.T) *nodes {
	t.Helper()
	all, err := testNodes()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// crowd is how many ask how much.
type crowd struct {
	worlds, clients, requests int // clients of each world, requests of each client
	hurry                     int // one in so many times the clock moves instead
	restless                  bool
}

// run lets the crowd loose on the registry and returns when each client has asked its
// requests. At the end somebody reads all clusters once more.
func (k crowd) run(ctx context.Context, to *target, rec *recorder, seed uint64) error {
	worlds := make([]*world, k.worlds)
	g, running := errgroup.WithContext(ctx)
	for i := range worlds {
		worlds[i] = newWorld(i, to.cred.ID)
		defer worlds[i].end()
		for j := range k.clients {
			c := k.client(to, rec, worlds[i], i*k.clients+j, seed)
			g.Go(func() error { return c.run(running) })
		}
	}
	err := g.Wait()
	if to.settled != nil {
		err = errors.Join(err, to.settled(ctx))
	}
	if err != nil {
		return err
	}
	for _, w := range worlds {
		last := k.client(to, rec, w, k.worlds*k.clients, seed)
		if err := last.audit(ctx); err != nil {
			return fmt.Errorf("last reader: %w", err)
		}
	}
	return nil
}

func (k crowd) client(to *target, rec *recorder, w *world, number int, seed uint64) *client {
	rnd := mathrand.New(mathrand.NewPCG(seed, uint64(number)))
	return &client{target: to, number: number, world: w, rec: rec, rnd: rnd, left: k.requests, hurry: k.hurry, restless: k.restless}
}

// audit reads every cluster, and sees whether every node is known.
func (c *client) audit(ctx context.Context) error {
	for key := range keysPerWorld {
		c.protocol = xlreg.Protocol20
		c.begin(key)
		if err := c.dial(ctx); err != nil {
			return err
		}
		err := c.auditAs(ctx)
		c.close()
		if err != nil && !errors.Is(err, errOver) {
			return err
		}
	}
	return nil
}

func (c *client) auditAs(ctx context.Context) error {
	var all []*request
	for _, ref := range c.world.refs() {
		all = append(all, &request{verb: get, ref: ref, modern: true})
	}
	for _, n := range c.world.nodes(c.key) {
		all = append(all, &request{verb: logIn, id: n.id, node: node{key: n.key}, modern: true, key: n.key})
	}
	for _, rq := range all {
		if err := c.ask(ctx, rq); err != nil {
			return err
		}
	}
	return nil
}

// registryUnderTest is what a registry is made of, some of which may be broken.
type registryUnderTest struct {
	data  store.Store
	clock *clock
	deaf  bool // it is not told who reads
}

// openHost runs a registry in this process, and returns how to stop it.
func openHost(ctx context.Context, r *registryUnderTest, all *nodes) (*target, func() error, error) {
	n, err := identity.NewNode(identity.Options{Name: "registry", Keys: all.keys[keysPerWorld*mostWorlds]})
	if err != nil {
		return nil, nil, err
	}
	h, err := host.Open(host.Config{Node: n, Store: r.data, Listen: []string{"127.0.0.1:0"}, Clock: r.clock})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	stop := func() error {
		cancel()
		return errors.Join(<-served, h.Close())
	}
	return &target{cred: h.Cred(), nodes: all, inner: &inner{clock: r.clock, host: h, deaf: r.deaf}}, stop, nil
}

// recordHost records a history of a registry in this process on a store, which it
// closes.
func (k crowd) recordHost(t *testing.T, data store.Store, seed uint64) (*recorder, *target) {
	t.Helper()
	rec, to, err := k.tryHost(t, data, seed)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return rec, to
}

// tryHost is recordHost on a store that may be broken.
func (k crowd) tryHost(t *testing.T, data store.Store, seed uint64) (*recorder, *target, error) {
	t.Helper()
	return k.tryRegistry(t, &registryUnderTest{data: data, clock: newClock()}, seed)
}

// tryRegistry records a history of a registry that may be broken.
func (k crowd) tryRegistry(t *testing.T, r *registryUnderTest, seed uint64) (*recorder, *target, error) {
	t.Helper()
	to, stop, err := openHost(t.Context(), r, mustNodes(t))
	if err != nil {
		t.Fatal(err)
	}
	rec := newRecorder()
	rec.timed = true
	err = k.run(t.Context(), to, rec, seed)
	return rec, to, errors.Join(err, stop(), r.data.Close())
}

// checkTime is how long a history is searched for its order. Those here take seconds.
const checkTime = time.Minute

// brokenTime is the same for a history of something that is broken. There may be no order,
// which can take long to see; then the next may be quicker.
const brokenTime = 30 * time.Second

// verdict checks a history against the rules.
func verdict(r rules, history []porcupine.Operation, within time.Duration) porcupine.CheckResult {
	m := r.model()
	return porcupine.CheckOperationsTimeout(m, history, within)
}

// isWrong reports whether it is seen in time that a history does not fit the rules.
func isWrong(rec *recorder, r rules) bool {
	return verdict(r, rec.history(), brokenTime) == porcupine.Illegal
}

// mustFit fails the test if the history does not fit the rules, and draws it then. Now and
// then one has so much at a time that its order cannot be found in time; that is no
// fault, and told by check if there are many of them. mustFit reports whether there was a
// verdict.
func (n *counts) mustFit(t *testing.T, rec *recorder, r rules, seed uint64) bool {
	t.Helper()
	history, start := rec.history(), time.Now()
	n.histories++
	switch verdict(r, history, checkTime) {
	case porcupine.Ok:
		n.slowest = max(n.slowest, time.Since(start))
	case porcupine.Unknown:
		n.undecided++
		t.Logf("seed %d: no verdict on %d requests within %v: the history is too long, or one of its parts", seed, len(history), checkTime)
		return false
	case porcupine.Illegal:
		t.Fatalf("seed %d: a history of %d requests is not linearizable: see %s", seed, len(history), draw(t, r, history))
	}
	return true
}

// draw writes a picture of a history into a file that outlives the test.
func draw(t *testing.T, r rules, history []porcupine.Operation) string {
	t.Helper()
	m := r.model()
	_, info := porcupine.CheckOperationsVerbose(m, history, checkTime)
	f, err := os.CreateTemp("", "xlreg-history-*.html") //nolint:usetesting // whoever reads of the failure wants to see it
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(porcupine.Visualize(m, info, f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(f.Name())
}

// counts are what a history has of what, so that an empty one is not taken for a good
// one.
type counts struct {
	done    map[verb]int
	refused map[xlreg.Kind]int
	lost    int
	slowest time.Duration // check

	histories, undecided int
}

func (n *counts) add(rec *recorder) {
	if n.done == nil {
		n.done, n.refused = make(map[verb]int), make(map[xlreg.Kind]int)
	}
	for _, d := range rec.done {
		switch {
		case d.answer.lost:
			n.lost++
		case d.answer.kind != 0:
			n.refused[d.answer.kind]++
		default:
			n.done[d.request.verb]++
		}
	}
}

// check fails the test unless each of these requests was done and each of these refusals
// met, and some answer was lost.
func (n *counts) check(t *testing.T, requests []verb, refusals ...xlreg.Kind) {
	t.Helper()
	if t.Failed() {
		return
	}
	for _, v := range requests {
		if n.done[v] == 0 {
			t.Errorf("no %s was ever answered", v)
		}
	}
	for _, k := range refusals {
		if n.refused[k] == 0 {
			t.Errorf("nothing was ever answered with %q", k)
		}
	}
	if n.lost == 0 {
		t.Error("no answer was ever lost")
	}
	if n.undecided > max(1, n.histories/8) {
		t.Errorf("no verdict on %d of %d histories", n.undecided, n.histories)
	}
	t.Logf("done %v, refused %v, %d answers lost; slowest check %v", n.done, n.refused, n.lost, n.slowest)
}
