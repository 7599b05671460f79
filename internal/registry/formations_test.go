package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/keys"
)

// Clusters of 64 form through three servers, again and again, and every member gets a
// roster of 64. It is 500 times that a cache which is filled too late is found out.
const formationSize, servers = 64, 3

func formations() int {
	if os.Getenv("XLREG_LONG") != "" {
		return 500
	}
	return 10
}

// fleet is registries on one database, and nodes that have registered with them.
type fleet struct {
	stores     []*mirror.Store
	registries []*registry.Registry
	ledger     ledger              // of all registries
	sessions   []*registry.Session // the one at i talks to the registry at i % servers
}

func newFleet(t *testing.T, open func() *mirror.Store) *fleet {
	t.Helper()
	f := &fleet{}
	for range servers {
		s := open()
		r, err := registry.New(registry.Config{Store: s, Self: self, Observe: f.ledger.observe})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(r.Close(), s.Close()); err != nil {
				t.Error(err)
			}
		})
		r.Counted() // so that what follows is counted alone
		f.stores, f.registries = append(f.stores, s), append(f.registries, r)
	}
	return f
}

// all calls do for each member, at one time.
func (f *fleet) all(t *testing.T, do func(r *registry.Registry, i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range formationSize {
		wg.Go(func() {
			if err := do(f.registries[i%servers], i); err != nil {
				t.Errorf("member %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (f *fleet) register(t *testing.T) {
	t.Helper()
	tokens := make([]*xlreg.Token, formationSize)
	f.sessions = make([]*registry.Session, formationSize)
	for i := range tokens {
		set, err := keys.Generate(keys.P256, 256)
		if err != nil {
			t.Fatal(err)
		}
		tokens[i], f.sessions[i] = modern(t, fmt.Sprintf("m%d", i), set, end)
	}
	f.all(t, func(r *registry.Registry, i int) error {
		_, _, err := r.Register(t.Context(), f.sessions[i], tokens[i], registry.AllowAll)
		return err
	})
}

// form forms one cluster.
func (f *fleet) form(t *testing.T, name string) {
	t.Helper()
	c, _, err := f.registries[0].Create(t.Context(), reader(),
		xlreg.ClusterSpec{Name: name, MaxSize: formationSize, EndpointCount: 1}, registry.AllowAll)
	if err != nil {
		t.Fatal(err)
	}
	f.ledger.take()
	f.all(t, func(r *registry.Registry, i int) error { return f.joinAndWait(t.Context(), r, i, c.Cluster) })
	told := make(map[registry.EventKind]int)
	for _, e := range f.ledger.take() {
		told[e.Kind]++
	}
	if want := (map[registry.EventKind]int{registry.EventJoined: formationSize, registry.EventFormed: 1}); !maps.Equal(told, want) {
		t.Fatalf("told %v, want %v", told, want)
	}
}

// command gives orders of an admin through one server, which those who wait at another
// learn.
func (f *fleet) command(t *testing.T, name string) {
	t.Helper()
	here, there := f.registries[0], f.registries[1]
	ref := xlreg.ClusterRef{Name: xlreg.Name(name)}
	roster, err := here.Roster(t.Context(), ref, xlreg.Protocol20)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		registry.AdminOrder
		left int
	}{
		{registry.AdminOrder{Kind: xlreg.OrderEvict, Member: "m3"}, formationSize - 1},
		{registry.AdminOrder{Kind: xlreg.OrderBan, Member: "m4"}, formationSize - 2},
		{registry.AdminOrder{Kind: xlreg.OrderReopen}, 0},
		{registry.AdminOrder{Kind: xlreg.OrderDelete}, -1},
	} {
		ready, release, err := there.Await(t.Context(), &roster.Cluster, registry.Wait{Since: &roster.State.Revision, Limit: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		o.Cluster, o.Revision = roster.Cluster.ID, &roster.State.Revision
		done, err := here.AdminOrder(t.Context(), operator, o.AdminOrder)
		if err != nil {
			t.Fatalf("%v: %v", o.Kind, err)
		}
		<-ready.Done()
		release()
		seen, err := there.Roster(t.Context(), ref, xlreg.Protocol20)
		if o.left < 0 {
			wantKind(t, err, xlreg.ErrNoSuchClusterName)
			return
		}
		if err != nil || len(seen.Members) != o.left || seen.State != done.Head.State {
			t.Fatalf("%v: another server has %d members, %+v, %v; want %d, %+v", o.Kind, len(seen.Members), seen.State, err, o.left, done.Head.State)
		}
		roster = seen
	}
}

func (f *fleet) joinAndWait(ctx context.Context, r *registry.Registry, i int, c xlreg.Cluster) error {
	ref := xlreg.ClusterRef{ID: c.ID}
	if _, _, err := r.Join(ctx, f.sessions[i], registry.JoinRequest{Ref: ref}, registry.AllowAll); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	ready, release, err := r.Await(ctx, &c, registry.Wait{Size: formationSize, Limit: time.Minute})
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	defer release()
	<-ready.Done()
	roster, err := r.Roster(ctx, ref, xlreg.Protocol20)
	if err != nil {
		return fmt.Errorf("roster: %w", err)
	}
	return complete(roster)
}

func complete(r *registry.Roster) error {
	seen := make(map[xlreg.NodeID]bool)
	for i := range r.Members {
		seen[r.Members[i].Token.ID] = true
	}
	if len(r.Members) != formationSize || len(seen) != formationSize {
		return fmt.Errorf("a roster of %d with %d nodes in it", len(r.Members), len(seen))
	}
	return nil
}

func (f *fleet) counts() mirror.Counts {
	var sum mirror.Counts
	for _, s := range f.stores {
		c := s.Counts()
		sum.Writes += c.Writes
		sum.Conflicts += c.Conflicts
		sum.Failures += c.Failures
		sum.Looks += c.Looks
		sum.Misses += c.Misses
	}
	return sum
}

// late holds everything up for a while that chance decides, so that answers and news
// overtake each other.
func late(most time.Duration) mirrortest.Faults {
	pause := func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(most)):
			return nil
		}
	}
	return mirrortest.Faults{
		Request: func(ctx context.Context, _ *mirror.Txn) error { return pause(ctx) },
		News:    func(ctx context.Context, _ *mirror.News) error { return pause(ctx) },
		Answer: func(ctx context.Context, _ *mirror.Txn, _ *mirror.Answer) error {
			_ = pause(context.WithoutCancel(ctx)) // it has been done, and so it is told
			return nil
		},
	}
}

func TestFormationsThroughThreeServers(t *testing.T) {
	db := mirrortest.New()
	f := newFleet(t, func() *mirror.Store {
		return mirror.Open(db.Connect(late(2*time.Millisecond)), mirror.Options{Limits: mirror.Limits{Compares: 128, Changes: 128}, Timeout: time.Minute})
	})
	f.register(t)
	began := time.Now()
	for n := range formations() {
		f.form(t, fmt.Sprintf("c%d", n))
	}
	t.Logf("%d formations in %v: %+v", formations(), time.Since(began), f.counts())
	f.command(t, "c0")
}

func TestFormationsOnEtcd(t *testing.T) {
	c := etcdtest.Start(t, etcdtest.Options{Members: 3})
	f := newFleet(t, func() *mirror.Store {
		s, err := etcd.Open(t.Context(), c.URL("formations"), etcd.Options{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	f.register(t)
	began := time.Now()
	for n := range formations() {
		f.form(t, fmt.Sprintf("c%d", n))
	}
	t.Logf("%d formations in %v: %+v", formations(), time.Since(began), f.counts())
	f.command(t, "c0")
}

// What a formation asks of etcd is bounded: far fewer transactions with changes than
// members, registering included. Here all members come at one instant, which is when
// servers meet conflicts most; then it is a third of the transactions at most.
func TestFormationCostsOfEtcd(t *testing.T) {
	const rounds = 4
	c := etcdtest.Start(t, etcdtest.Options{Members: 3, Fsync: true})
	f := newFleet(t, func() *mirror.Store {
		s, err := etcd.Open(t.Context(), c.URL("cost"), etcd.Options{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	before := f.counts()
	for n := range rounds {
		f.register(t)
		f.form(t, fmt.Sprintf("c%d", n))
	}
	after := f.counts()
	writes, conflicts := after.Writes-before.Writes, after.Conflicts-before.Conflicts
	t.Logf("%d members: %d transactions with changes, %d of them in vain; %d comparisons",
		rounds*formationSize, writes, conflicts, after.Looks-before.Looks)
	if writes > rounds*formationSize/2 || conflicts*3 > writes {
		t.Errorf("%d transactions with changes for %d members, of which %d met a conflict", writes, rounds*formationSize, conflicts)
	}
}
