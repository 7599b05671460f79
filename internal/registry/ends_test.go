package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
)

// The leases of earlier seats run on, and their end is news for nobody; a key that leaves
// leaves every epoch.
func TestEarlierSeatsEnd(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 3)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	for _, p := range []*person{a, b, d} {
		if _, err := p.try(c, registry.JoinRequest{Run: "1", Fresh: true, Lease: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	a.join(c, "2", true)
	state := w.roster(c).State
	if state.Epoch != 2 {
		t.Fatalf("epoch %d", state.Epoch)
	}
	if _, err := w.Leave(t.Context(), b.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	_, err := w.Leave(t.Context(), b.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrNotMember)
	x := w.person("x")
	w.clock.advance(20 * time.Second)
	w.Alive(t.Context(), a.s, c.ID)
	x.join(c, "1", false) // gets the seat of b
	w.wantMembers(c, 2, "a", "x", "")
	state = w.roster(c).State
	_, err = w.person("y").try(c, registry.JoinRequest{})
	wantKind(t, err, xlreg.ErrClusterFull) // d has the last one
	for range 3 {
		w.Alive(t.Context(), a.s, c.ID)
		w.pass(20 * time.Second)
	}
	if after := w.roster(c).State; after != state {
		t.Errorf("when the lease of an earlier seat is over, the cluster is %+v and was %+v", after, state)
	}
	w.person("y").join(c, "1", false)
	w.check()
}

// The lease of a seat that somebody else has got ends with the next look, and is not
// looked at for ever.
func TestLeasesOfDisplacedSeatsAreForgotten(t *testing.T) {
	w := newWorldOn(t, memory.New())
	k := w.keyed("c", 2)
	a, b, x := w.person("a"), w.person("b"), w.person("x")
	for _, p := range []*person{a, b} {
		req := k.admitted(p)
		req.Run, req.Fresh, req.Lease = "1", true, 10*time.Second
		if _, err := p.try(k.cluster, req); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*person{a, x} {
		req := k.admitted(p)
		req.Run, req.Fresh = "2", true
		if _, err := p.try(k.cluster, req); err != nil {
			t.Fatal(err)
		}
	}
	w.wantMembers(k.cluster, 2, "a", "x")
	w.pass(11 * time.Second)
	w.wantMembers(k.cluster, 2, "a", "x")
	if n := w.Leases(); n != 0 {
		t.Errorf("%d leases of members who have none", n)
	}
}

// afterStore does something when the next Update has been done, before its caller knows.
type afterStore struct {
	store.Store
	then func()
}

func (s *afterStore) Update(ctx context.Context, f func(store.Writer) error) error {
	err := s.Store.Update(ctx, f)
	if then := s.then; then != nil {
		s.then = nil
		then()
	}
	return err
}

// Who confirms a seat over a new connection keeps it, though the last one ends before
// anybody has noted that.
func TestAJoinAgainstTheEndOfTheLastConnection(t *testing.T) {
	s := &afterStore{Store: memory.New()}
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", true)
	last := a.s
	a.connect()
	s.then = func() { w.End(t.Context(), last) }
	a.join(c, "1", true)
	w.wantMembers(c, 1, "a", "")
	w.End(t.Context(), a.s)
	w.wantMembers(c, 1, "", "")
}

// A Join that is refused has renewed nothing: the seat stays with the connection that it
// came with.
func TestARefusedJoinRenewsNothing(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", true)
	first := a.s
	a.connect()
	again := registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}, Run: "1", Fresh: true, Lease: time.Minute}
	_, _, err := w.Join(t.Context(), a.s, again, registry.AllowNothing)
	wantKind(t, err, xlreg.ErrTooManyRequests)
	w.End(t.Context(), a.s)
	w.wantMembers(c, 1, "a", "")
	w.End(t.Context(), first)
	w.wantMembers(c, 1, "", "")
}

// awayStore is away while it is told to be.
type awayStore struct {
	store.Store
	away atomic.Bool
}

var errAway = errors.New("the store is away")

func (s *awayStore) View(ctx context.Context, f func(store.Reader) error) error {
	if s.away.Load() {
		return errAway
	}
	return s.Store.View(ctx, f)
}

func (s *awayStore) Update(ctx context.Context, f func(store.Writer) error) error {
	if s.away.Load() {
		return errAway
	}
	return s.Store.Update(ctx, f)
}

// While the store fails nobody can be heard, so nobody loses a seat for that: from its
// return on every lease has one full term.
func TestLeasesAfterTheStoreWasAway(t *testing.T) {
	s := &awayStore{Store: memory.New()}
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	a := w.person("a")
	if _, err := a.try(c, registry.JoinRequest{Run: "1", Lease: 15 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s.away.Store(true)
	w.pass(14 * time.Second)
	_, err := w.Cluster(t.Context(), xlreg.ClusterRef{ID: c.ID}, xlreg.Protocol20) // with which it would renew its lease
	wantKind(t, err, xlreg.ErrTryLater)
	w.pass(2 * time.Second)
	s.away.Store(false)
	w.pass(12 * time.Second)
	w.wantMembers(c, 1, "a", "")
	w.pass(15 * time.Second)
	w.wantMembers(c, 1, "", "")
}

// A thousand leases that run out together are over together.
func TestManyLeasesRunOutAtOnce(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", xlreg.MaxClusterSize)
	for i := range c.MaxSize {
		if _, err := w.person(fmt.Sprint("n", i)).try(c, registry.JoinRequest{Lease: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Minute)
	if n := len(w.roster(c).Members); n != 0 {
		t.Errorf("%d members a quarter of a second after the last lease was over", n)
	}
}

// A cluster whose last member leaves after a long life was in use until then.
func TestTheLastMemberTouchesItsCluster(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", false)
	w.days(60)
	if _, err := w.Leave(t.Context(), a.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	w.days(20)
	if _, err := w.Cluster(t.Context(), xlreg.ClusterRef{ID: c.ID}, xlreg.Protocol20); err != nil {
		t.Errorf("20 days after its last member: %v", err)
	}
}

// An ephemeral cluster goes with the last member of its epoch, however that goes, but not
// when it is opened anew, and not while it keeps somebody out.
func TestEphemeralKeyedClusters(t *testing.T) {
	w := newWorldOn(t, memory.New())
	cluster := func(name string) (*keyed, xlreg.KeySum) {
		t.Helper()
		k := &keyed{w: w, owner: keys.NewOwner()}
		spec := k.spec(name, 2)
		spec.Attrs = xlreg.ClusterEphemeral
		k.owner.SignCreate(&spec)
		made, _, err := w.Create(t.Context(), reader(), spec, registry.AllowAll)
		if err != nil {
			t.Fatal(err)
		}
		k.cluster = made.Cluster
		a := w.person("a")
		if _, err := a.try(k.cluster, k.admitted(a)); err != nil {
			t.Fatal(err)
		}
		return k, keys.KeySum(a.set.SigKey)
	}
	for kind, goes := range map[xlreg.OrderKind]bool{xlreg.OrderEvict: true, xlreg.OrderBan: false, xlreg.OrderReopen: false} {
		k, sum := cluster(kind.String())
		done, err := k.order(xlreg.Order{Kind: kind, KeySum: sum})
		if err != nil || done.State.Orders != 1 {
			t.Fatalf("%v: %+v, %v", kind, done, err)
		}
		_, err = w.Cluster(t.Context(), xlreg.ClusterRef{ID: k.cluster.ID}, xlreg.Protocol20)
		if gone := errors.Is(err, xlreg.ErrNoSuchClusterID); gone != goes {
			t.Errorf("after %v: %v", kind, err)
		}
		if goes {
			again, _, err := w.Create(t.Context(), reader(), k.spec(kind.String(), 2), registry.AllowAll)
			if err != nil || again.Cluster.ID == k.cluster.ID {
				t.Errorf("its name and key are not free: %v", err)
			}
		}
	}
	w.days(1)
	if n := w.check(); n.Clusters != 3 {
		t.Errorf("what is left: %+v", n)
	}
}

// Of several things that are wrong with an order, the first is said, and none counts.
func TestOrderOfFaultsOfAnOrder(t *testing.T) {
	w := newWorld(t)
	k, gone := w.keyed("c", 2), w.keyed("d", 2)
	open := w.create("open", 2)
	stranger := keys.NewOwner()
	if _, err := gone.order(xlreg.Order{Kind: xlreg.OrderDelete}); err != nil {
		t.Fatal(err)
	}
	unknown := xlreg.ClusterID("no cluster has this ID, I think.")
	for name, c := range map[string]struct {
		order xlreg.Order
		by    *keys.Owner
		want  xlreg.Kind
	}{
		"no sum, of no cluster":       {xlreg.Order{Cluster: unknown, Kind: xlreg.OrderEvict, KeySum: "short"}, stranger, xlreg.ErrBadSignature},
		"no invite, of no cluster":    {xlreg.Order{Cluster: unknown, Kind: xlreg.OrderRevoke, Invite: "short"}, stranger, xlreg.ErrBadSignature},
		"of no cluster":               {xlreg.Order{Cluster: unknown, Kind: 99}, stranger, xlreg.ErrNoSuchClusterID},
		"of an ID that is none":       {xlreg.Order{Cluster: "x", Kind: 99}, stranger, xlreg.ErrNoSuchClusterID},
		"of one that is deleted":      {xlreg.Order{Cluster: gone.cluster.ID, Serial: 7, Kind: 99}, stranger, xlreg.ErrNoSuchClusterID},
		"of an open one":              {xlreg.Order{Cluster: open.ID, Serial: 7, Kind: 99}, stranger, xlreg.ErrBadSignature},
		"by a stranger":               {xlreg.Order{Cluster: k.cluster.ID, Serial: 7, Kind: 99}, stranger, xlreg.ErrBadSignature},
		"another serial, no kind":     {xlreg.Order{Cluster: k.cluster.ID, Serial: 7, Kind: 99}, k.owner, xlreg.ErrOrdersChanged},
		"no serial":                   {xlreg.Order{Cluster: k.cluster.ID, Kind: xlreg.OrderReopen}, k.owner, xlreg.ErrOrdersChanged},
		"no kind":                     {xlreg.Order{Cluster: k.cluster.ID, Serial: 1, Kind: 99}, k.owner, xlreg.ErrIllFormedToken},
		"kind 0":                      {xlreg.Order{Cluster: k.cluster.ID, Serial: 1}, k.owner, xlreg.ErrIllFormedToken},
		"an eviction of a non-member": {xlreg.Order{Cluster: k.cluster.ID, Serial: 1, Kind: xlreg.OrderEvict, KeySum: keys.KeySum("x")}, k.owner, xlreg.ErrNotMember},
	} {
		_, err := k.send(c.order, c.by)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		var e *xlreg.Error
		if c.want == xlreg.ErrOrdersChanged && (!errors.As(err, &e) || e.Orders != 0) {
			t.Errorf("%s: %+v says another number of orders than none", name, e)
		}
	}
	if state := w.roster(k.cluster).State; state.Orders != 0 {
		t.Errorf("%d orders count", state.Orders)
	}
	spent := xlreg.Order{Cluster: k.cluster.ID, Serial: 1, Kind: xlreg.OrderReopen}
	if _, err := k.send(spent, k.owner); err != nil {
		t.Fatal(err)
	}
	forged := xlreg.SignedOrder{Bytes: k.owner.SignOrder([]byte("1")).Bytes, Sig: stranger.SignOrder([]byte("1")).Sig}
	_, _, err := w.Order(t.Context(), reader(), registry.OrderRequest{Signed: forged, Order: spent}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrBadSignature) // the repeat, too, is the owner's to ask for
}

// What is kept for one cluster is bounded, and what is kept goes on.
func TestBansAndUsesAreBounded(t *testing.T) {
	w := newWorldOn(t, memory.New())
	k := w.keyed("c", 2)
	ban := func(i int) error {
		_, err := k.order(xlreg.Order{Kind: xlreg.OrderBan, KeySum: keys.KeySum(xlreg.SigKey(fmt.Sprint(i)))})
		return err
	}
	const most = 4096
	for i := range most - 1 {
		if err := ban(i); err != nil {
			t.Fatal(err)
		}
	}
	a, b := w.person("a"), w.person("b")
	counted := k.invite(time.Time{}, 10)
	if _, err := a.try(k.cluster, invited(t, counted, a)); err != nil {
		t.Fatal(err)
	}
	_, err := b.try(k.cluster, invited(t, counted, b))
	wantKind(t, err, xlreg.ErrRegistryFull)
	if _, err := a.try(k.cluster, invited(t, counted, a)); err != nil {
		t.Errorf("who has used it comes back: %v", err)
	}
	wantKind(t, ban(most), xlreg.ErrRegistryFull)
	k.serial--
	_, err = k.order(xlreg.Order{Kind: xlreg.OrderRevoke, Invite: keys.NewOwner().Public()})
	wantKind(t, err, xlreg.ErrRegistryFull)
	k.serial--
	if err := ban(1); err != nil {
		t.Errorf("a ban that there is: %v", err)
	}
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderReopen}); err != nil {
		t.Errorf("an order that keeps nothing: %v", err)
	}
}

// What the seats and bans of a deleted cluster take is free at once; a stone is left.
func TestADeletedClusterLeavesAStoneAlone(t *testing.T) {
	w := newWorldOn(t, memory.New())
	k := w.keyed("c", 64)
	for i := range 40 {
		p := w.person(fmt.Sprint("n", i))
		if _, err := p.try(k.cluster, k.admitted(p)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderDelete}); err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		err := w.store.View(t.Context(), func(tx store.Reader) error {
			n = 0
			for _, root := range []string{"c", "k", "m"} {
				for _, err := range tx.Scan(root) {
					if err != nil {
						return err
					}
					n++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for left() > 1 { // until the test's time is over
		w.settle()
	}
	_, _, err := w.Create(t.Context(), reader(), k.spec("c", 2), registry.AllowAll)
	wantRefusal(t, err, "deleted")
	w.check()
}

// A revision from before a cluster was made is none of it.
func TestRevisionsOfNobody(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	first := w.roster(c).State.Revision
	w.person("a").join(c, "1", false)
	r := w.roster(c)
	if _, ok := r.ChangedSince(first - 1); ok {
		t.Error("known what has changed since a revision that is not the cluster's")
	}
	if changed, ok := r.ChangedSince(first); !ok || changed != xlreg.SeatsOf(0) {
		t.Errorf("since the first: %v, %v", changed, ok)
	}
}

// How long a lease lasts does not depend on the time of day, which may be set.
func TestLeasesAndAClockThatIsSet(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	if _, err := a.try(c, registry.JoinRequest{Run: "1", Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []time.Duration{24 * time.Hour, -48 * time.Hour} {
		w.clock.setBy(step)
		w.pass(20 * time.Second)
		w.wantMembers(c, 1, "a", "")
	}
	w.pass(21 * time.Second)
	w.wantMembers(c, 1, "", "")
}
