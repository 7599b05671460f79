package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/keys"
)

var operator = registry.Actor{Admin: "local"}

func (w *world) order(o registry.AdminOrder) registry.AdminDone {
	w.t.Helper()
	done, err := w.AdminOrder(w.t.Context(), operator, o)
	if err != nil {
		w.t.Fatalf("%v: %v", o.Kind, err)
	}
	return done
}

func (w *world) wantOrder(o registry.AdminOrder, want error) {
	w.t.Helper()
	if _, err := w.AdminOrder(w.t.Context(), operator, o); !errors.Is(err, want) {
		w.t.Errorf("%v: %v, want %v", o.Kind, err, want)
	}
}

func (p *person) sum() xlreg.KeySum { return keys.KeySum(p.set.SigKey) }

// An evicted member loses its seat, those that wait learn it, and it may come back. Orders
// are the owner's, so none is counted.
func TestAnAdminEvicts(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	c := w.create("c", 3)
	a, b := w.person("a"), w.person("b")
	a.mustTry(c, registry.JoinRequest{Run: "1", Lease: time.Minute})
	b.join(c, "1", false)
	before := w.roster(c).State
	ready, release, err := w.Await(t.Context(), &c, registry.Wait{Since: &before.Revision, Limit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	l.take()

	done := w.order(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, Member: "a", Revision: &before.Revision})
	<-ready.Done()
	w.wantMembers(c, 1, "", "b", "")
	after := w.roster(c).State
	if !slices.Equal(done.Evicted, []xlreg.Name{"a"}) || done.Deleted || done.Head.State != after || after.Revision <= before.Revision || after.Orders != 0 {
		t.Errorf("done %+v, and the cluster is %+v", done, after)
	}
	if w.Leases() != 0 {
		t.Error("the lease of the seat runs on")
	}
	events := l.take()
	if len(events) != 2 || events[0].Kind != registry.EventOrdered || events[0].Order != xlreg.OrderEvict || events[0].KeySum != a.sum() || events[0].Serial != 0 ||
		events[1].Kind != registry.EventEvicted || events[1].Member != "a" || events[1].KeySum != a.sum() || events[1].By != operator {
		t.Errorf("told %+v", events)
	}
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, Member: "a"}, xlreg.ErrNotMember)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, KeySum: a.sum()}, xlreg.ErrNotMember)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, Member: "b", Revision: &before.Revision}, registry.ErrChanged)
	a.join(c, "2", false)
	w.wantMembers(c, 1, "a", "b", "")
	w.check()
}

// Of several members with one key, who came over a classic carrier, one may be evicted.
func TestAnAdminEvictsOneOfAKey(t *testing.T) {
	w, set := newWorld(t), testKeys()[0]
	c := w.create("c", 4)
	for _, name := range []string{"a", "b", "d"} {
		w.join(w.node(name, set, end), c)
	}
	w.order(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, Member: "b"})
	w.wantMembers(c, 1, "a", "", "d", "")
	done := w.order(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID, KeySum: keys.KeySum(set.SigKey)})
	if w.wantMembers(c, 1, "", "", "", ""); len(done.Evicted) != 2 {
		t.Errorf("evicted %v", done.Evicted)
	}
	w.check()
}

// Who is banned does not come back to this cluster, over no carrier, and to others it may.
func TestAnAdminBans(t *testing.T) {
	w, l := newObservedWorld(t, storetest.Strict(t, memory.New()))
	c, other := w.create("c", 4), w.create("d", 4)
	a, b := w.person("a"), w.person("b")
	a.join(c, "1", false)
	old := w.node("old", testKeys()[0], end)
	w.join(old, c)
	w.order(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.ID, Member: "a"})
	w.order(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.ID, KeySum: keys.KeySum(testKeys()[0].SigKey)})
	w.wantMembers(c, 1, "", "", "", "")
	_, err := a.try(c, registry.JoinRequest{Run: "2"})
	wantRefusal(t, err, "banned")
	_, _, err = w.Join(t.Context(), w.sessions[old], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
	wantRefusal(t, err, "banned")
	a.join(other, "1", false)
	b.join(c, "1", false)
	k := w.keyed("k", 2)
	_, err = b.try(c, k.admitted(b))
	wantRefusal(t, err, "open")

	l.take()
	before := w.roster(c).State
	w.order(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.ID, KeySum: a.sum()})
	if after := w.roster(c).State; after != before || len(l.take()) > 0 {
		t.Errorf("a second ban has changed %+v to %+v", before, after)
	}
	w.order(registry.AdminOrder{Kind: xlreg.OrderReopen, Cluster: c.ID})
	_, err = a.try(c, registry.JoinRequest{Run: "3"})
	wantRefusal(t, err, "banned")
	w.check()
}

// All seats become free, and the members meet again in the next epoch.
func TestAnAdminReopens(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a, b := w.person("a"), w.person("b")
	a.join(c, "1", false)
	b.join(c, "1", false)
	done := w.order(registry.AdminOrder{Kind: xlreg.OrderReopen, Cluster: c.ID})
	if w.wantMembers(c, 2, "", ""); done.Head.State.Epoch != 2 {
		t.Errorf("done %+v", done)
	}
	b.join(c, "1", false)
	w.wantMembers(c, 2, "b", "")
	w.check()
}

// A deleted cluster is gone for everybody, and its name is free at once. Nothing is left.
func TestAnAdminDeletes(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	a.mustTry(c, registry.JoinRequest{Run: "1", Lease: time.Minute})
	old := w.node("old", testKeys()[0], end)
	w.join(old, c)
	ready, release := w.await(t.Context(), &c, 2, time.Minute)
	defer release()
	done := w.order(registry.AdminOrder{Kind: xlreg.OrderDelete, Cluster: c.ID})
	<-ready.Done()
	if !done.Deleted {
		t.Errorf("done %+v", done)
	}
	for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20} {
		_, err := w.Roster(t.Context(), xlreg.ClusterRef{ID: c.ID}, p)
		wantKind(t, err, xlreg.ErrNoSuchClusterID)
		_, err = w.Roster(t.Context(), xlreg.ClusterRef{Name: c.Name}, p)
		wantKind(t, err, xlreg.ErrNoSuchClusterName)
	}
	_, _, err := w.Join(t.Context(), w.sessions[old], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderDelete, Cluster: c.ID}, xlreg.ErrNoSuchClusterID)
	again, _, err := w.Create(t.Context(), classicSession(), xlreg.ClusterSpec{Name: "c", MaxSize: 2}, registry.AllowAll)
	if err != nil || again.Cluster.ID == c.ID {
		t.Errorf("a cluster of the same name: %+v, %v", again, err)
	}
	w.pass(2 * time.Minute)
	w.days(1)
	if n := w.check(); n.Clusters != 1 || n.Seats != 0 || w.Leases() != 0 {
		t.Errorf("what is left: %+v, %d leases", n, w.Leases())
	}
}

// An ephemeral cluster goes with its last member, whoever takes that away.
func TestAnAdminEmptiesAnEphemeralCluster(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	made, _, err := w.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "e", MaxSize: 2, Attrs: xlreg.ClusterEphemeral}, registry.AllowAll)
	if err != nil {
		t.Fatal(err)
	}
	w.person("a").join(made.Cluster, "1", false)
	if done := w.order(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: made.Cluster.ID, Member: "a"}); !done.Deleted {
		t.Errorf("done %+v", done)
	}
	if events := l.take(); events[len(events)-1].Kind != registry.EventDeleted {
		t.Errorf("told %+v", events)
	}
	w.days(1)
	if n := w.check(); n.Clusters != 0 {
		t.Errorf("what is left: %+v", n)
	}
}

// What an admin may not order, or nobody can.
func TestWhatAnAdminIsRefused(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	k := w.keyed("k", 2)
	c := w.create("c", 2)
	l.take()
	nobody := keys.KeySum("nobody")
	for _, kind := range []xlreg.OrderKind{xlreg.OrderEvict, xlreg.OrderBan, xlreg.OrderReopen, xlreg.OrderDelete} {
		w.wantOrder(registry.AdminOrder{Kind: kind, Cluster: k.cluster.ID, KeySum: nobody}, registry.ErrOwned)
		w.wantOrder(registry.AdminOrder{Kind: kind, Cluster: "no such cluster", KeySum: nobody}, xlreg.ErrNoSuchClusterID)
		old := uint64(1)
		w.wantOrder(registry.AdminOrder{Kind: kind, Cluster: c.ID, KeySum: nobody, Revision: &old}, registry.ErrChanged)
	}
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderRevoke, Cluster: c.ID}, registry.ErrNoOrder)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.ID}, registry.ErrNoOrder)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.ID, KeySum: "short"}, registry.ErrNoOrder)
	w.wantOrder(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.ID, Member: "nobody"}, xlreg.ErrNotMember)
	if events := l.take(); len(events) > 0 {
		t.Errorf("told %+v", events)
	}
	for _, err := range []error{registry.ErrOwned, registry.ErrChanged, registry.ErrNoSuchNode, registry.ErrSeated, registry.ErrNoOrder} {
		if _, ok := xlreg.KindOf(err); ok {
			t.Errorf("%v has a kind", err)
		}
	}
	_, err := w.AdminOrder(t.Context(), operator, registry.AdminOrder{Kind: xlreg.OrderDelete, Cluster: k.cluster.ID})
	if _, ok := xlreg.KindOf(err); ok {
		t.Errorf("what an admin is told has the kind of a failure: %v", err)
	}
}

// A node without a seat can be forgotten, also while it is connected, which does no harm.
func TestANodeIsForgotten(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	c := w.create("c", 2)
	a, b := w.person("a"), w.person("b")
	a.join(c, "1", false)
	l.take()
	if err := w.ForgetNode(t.Context(), operator, a.s.Node()); !errors.Is(err, registry.ErrSeated) {
		t.Errorf("one with a seat: %v", err)
	}
	for range 2 {
		if _, err := w.Node(t.Context(), b.s.Node()); err != nil {
			t.Fatal(err)
		}
		if err := w.ForgetNode(t.Context(), operator, b.s.Node()); err != nil {
			t.Fatal(err)
		}
		events := l.take()
		if len(events) != 1 || events[0].Kind != registry.EventForgotten || events[0].Node != b.s.Node() || events[0].By != operator {
			t.Errorf("told %+v", events)
		}
		err := w.ForgetNode(t.Context(), operator, b.s.Node())
		if _, nodeErr := w.Node(t.Context(), b.s.Node()); !errors.Is(err, registry.ErrNoSuchNode) || !errors.Is(nodeErr, registry.ErrNoSuchNode) {
			t.Errorf("one that is gone: %v, %v", err, nodeErr)
		}
		b.connect()
	}
	if err := w.ForgetNode(t.Context(), operator, b.s.Node()); err != nil {
		t.Fatal(err)
	}
	seat := b.join(c, "1", false)
	was := b.s.Node()
	b.connect()
	if again := b.join(c, "2", false); again.Index != seat.Index || b.s.Node() == was {
		t.Errorf("a node that is new again has seat %d, and had %d", again.Index, seat.Index)
	}
	w.wantMembers(c, 1, "a", "b")
	w.check()
}

// Over a classic carrier nodes may share a key, and each is looked at for itself.
func TestANodeOfASharedKeyIsForgotten(t *testing.T) {
	w, set := newWorld(t), testKeys()[0]
	c := w.create("c", 2)
	a, b := w.node("a", set, end), w.node("b", set, end)
	w.join(a, c)
	if err := w.ForgetNode(t.Context(), operator, a); !errors.Is(err, registry.ErrSeated) {
		t.Errorf("one with a seat: %v", err)
	}
	if err := w.ForgetNode(t.Context(), operator, b); err != nil {
		t.Error(err)
	}
	if n := w.check(); n.Nodes != 1 {
		t.Errorf("what is left: %+v", n)
	}
}

// A cluster in detail is what its readers see, and what the registry knows besides.
func TestDetail(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b := w.person("a"), w.person("b")
	a.mustTry(c, registry.JoinRequest{Run: "1", Lease: 20 * time.Second})
	b.join(c, "1", false)
	ready, release := w.await(t.Context(), &c, 3, time.Minute)
	defer release()
	w.clock.advance(5 * time.Second)
	w.Alive(t.Context(), a.s, c.ID)
	seen := w.clock.Now()
	w.clock.advance(3 * time.Second)
	d, err := w.Detail(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	roster := w.roster(c)
	if d.Head.Cluster != c || d.Head.State != roster.State || d.Waiting != 1 || len(d.Members) != 2 || !pending(ready) {
		t.Errorf("%+v, want that of %+v", d, roster)
	}
	if d.Head.Created.After(seen) || seen.Sub(d.Head.Created) > 6*time.Second {
		t.Errorf("created at %v", d.Head.Created)
	}
	want := []registry.Lease{{Length: 20 * time.Second, Seen: seen, Due: seen.Add(20 * time.Second)}, {}}
	if !slices.Equal(d.Leases, want) {
		t.Errorf("leases %+v, want %+v", d.Leases, want)
	}
	k := w.keyed("k", 2)
	if _, err := w.Detail(t.Context(), k.cluster.ID); err != nil {
		t.Errorf("one with an owner: %v", err)
	}
	for _, id := range []xlreg.ClusterID{"", "x", xlreg.ClusterID(self)} {
		_, err := w.Detail(t.Context(), id)
		wantKind(t, err, xlreg.ErrNoSuchClusterID)
	}
}

// All nodes come in the order of their IDs, whose lengths are mixed, each once, in pages of
// any size.
func TestNodesAfter(t *testing.T) {
	w := newWorldOn(t, memory.New())
	var want []xlreg.NodeID
	err := w.store.Update(t.Context(), func(tx store.Writer) error {
		want = nil
		for i := range 60 {
			id := make([]byte, []int{xlreg.ShortIDLen, xlreg.LongIDLen}[i%2])
			id[0], id[1], id[len(id)-1] = byte(i/3*13), byte(i%3), byte(i)
			want = append(want, xlreg.NodeID(id))
			if err := records.NewWriter(tx).PutNode(&records.Node{Token: xlreg.Token{ID: xlreg.NodeID(id), Name: "n"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 59, 60, 61, 500} {
		var got []xlreg.NodeID
		var after xlreg.NodeID
		for more := true; more; {
			var page []records.Node
			page, more, err = w.NodesAfter(t.Context(), after, limit)
			if err != nil || len(page) > limit || more && len(page) != limit {
				t.Fatalf("a page of %d, more %v, %v", len(page), more, err)
			}
			for i := range page {
				got = append(got, page[i].Token.ID)
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %d nodes, want %d", limit, len(got), len(want))
		}
	}
	if page, more, err := w.NodesAfter(t.Context(), "\xff", 5); len(page) > 0 || more || err != nil {
		t.Errorf("behind the last: %d, %v, %v", len(page), more, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.NodesAfter(ctx, "", 5); err == nil {
		t.Error("no error although the context has ended")
	}
}
