package registry_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
	"github.com/xlattice/xlreg/keys"
)

// ledger is what a registry says that has happened.
type ledger struct {
	mu     sync.Mutex
	events []registry.Event
}

func (l *ledger) observe(e registry.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// take returns what has happened since it was last called.
func (l *ledger) take() []registry.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return events
}

// newObservedWorld is newWorldOn with somebody who is told of events.
func newObservedWorld(t *testing.T, s store.Store) (*world, *ledger) {
	t.Helper()
	clock, l := newFakeClock(), new(ledger)
	r, err := registry.New(registry.Config{Store: s, Self: self, Clock: clock, Observe: l.observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		s.Close()
	})
	r.Counted()
	return &world{Registry: r, t: t, clock: clock, store: s, sessions: make(map[xlreg.NodeID]*registry.Session)}, l
}

// book is the state of a registry as its events tell it.
type book struct {
	t        *testing.T
	clusters map[xlreg.ClusterID]*page
	gone     map[xlreg.ClusterID]bool
}

type page struct {
	epoch, revision   uint64
	members, reserved map[int]string
	created           time.Time
	formed            bool
}

func (b *book) add(e registry.Event) {
	b.t.Helper()
	id := e.Cluster.ID
	p := b.clusters[id]
	if e.Kind == registry.EventCreated {
		if p != nil || b.gone[id] {
			b.t.Fatalf("created twice: %+v", e)
		}
		p = &page{epoch: 1, created: e.Time.Truncate(time.Millisecond), members: make(map[int]string), reserved: make(map[int]string)}
		b.clusters[id] = p
	}
	if p == nil {
		b.t.Fatalf("of no cluster that there is: %+v", e)
	}
	if e.Epoch > p.epoch {
		maps.Copy(p.reserved, p.members)
		p.members = make(map[int]string)
	}
	p.epoch, p.revision = e.Epoch, e.Revision
	switch e.Kind {
	case registry.EventCreated:
	case registry.EventOrdered:
		if e.Order == xlreg.OrderReopen {
			clear(p.reserved)
		}
	case registry.EventFormed:
		if p.formed || e.Members != e.Cluster.MaxSize || e.Took != e.Time.Truncate(time.Millisecond).Sub(p.created) {
			b.t.Fatalf("formed: %+v, of %+v", e, p)
		}
		p.formed = true
	case registry.EventDeleted, registry.EventForgotten:
		delete(b.clusters, id)
		b.gone[id] = true
	default:
		b.seat(p, &e)
	}
}

func (b *book) seat(p *page, e *registry.Event) {
	b.t.Helper()
	name := fmt.Sprint(e.Member, " ", e.Node)
	switch e.Kind {
	case registry.EventJoined, registry.EventRejoined, registry.EventTookOver:
		_, member := p.members[e.Index]
		_, known := p.reserved[e.Index]
		if (member || known) != (e.Kind != registry.EventJoined) && !(known && e.Cluster.Key != "") {
			b.t.Fatalf("%+v, where members are %v and others %v", e, p.members, p.reserved)
		}
		delete(p.reserved, e.Index)
		p.members[e.Index] = name
	case registry.EventLeft, registry.EventLapsed, registry.EventDisconnected, registry.EventEvicted:
		of := p.members
		if of[e.Index] != name {
			of = p.reserved
		}
		if of[e.Index] != name {
			b.t.Fatalf("%+v, where members are %v and others %v", e, p.members, p.reserved)
		}
		delete(of, e.Index)
	default:
		b.t.Fatalf("what is this: %+v", e)
	}
}

// compare holds what the events tell against what is kept.
func (b *book) compare(w *world) {
	b.t.Helper()
	for id, p := range b.clusters {
		d, err := w.Detail(b.t.Context(), id)
		if err != nil {
			b.t.Fatalf("a cluster of which no event says that it is gone: %v", err)
		}
		members := make(map[int]string)
		for _, m := range d.Members {
			members[m.Index] = fmt.Sprint(m.Token.Name, " ", m.Token.ID)
		}
		if !maps.Equal(members, p.members) || d.Head.State.Epoch != p.epoch || d.Head.State.Revision != p.revision || p.formed != (d.Head.Completed > 0) {
			b.t.Fatalf("events tell %+v, and it has %v, %+v, complete in epoch %d", p, members, d.Head.State, d.Head.Completed)
		}
	}
	for id := range b.gone {
		_, err := w.Detail(b.t.Context(), id)
		wantKind(b.t, err, xlreg.ErrNoSuchClusterID)
	}
}

// usage does whatever clients, owners and admins do, by chance.
type usage struct {
	w      *world
	l      *ledger
	book   *book
	rnd    *rand.Rand
	people []*person
	keyed  *keyed
	open   []xlreg.Cluster
	names  int
}

func (u *usage) cluster() xlreg.Cluster {
	if n := u.rnd.IntN(len(u.open) + 1); n < len(u.open) {
		return u.open[n]
	}
	return u.keyed.cluster
}

func (u *usage) create() error {
	spec := xlreg.ClusterSpec{Name: fmt.Sprint("c", u.rnd.IntN(4)), MaxSize: uint32(2 + u.rnd.IntN(2)), EndpointCount: 1}
	if u.rnd.IntN(2) == 0 {
		spec.Attrs = xlreg.ClusterEphemeral
	}
	made, _, err := u.w.Create(u.w.t.Context(), reader(), spec, registry.AllowAll)
	if err == nil && !slices.Contains(u.open, made.Cluster) {
		u.open = append(u.open, made.Cluster)
	}
	return err
}

func (u *usage) join() error {
	p, c := u.people[u.rnd.IntN(len(u.people))], u.cluster()
	var req registry.JoinRequest
	if c.Key != "" {
		req = u.keyed.admitted(p)
	}
	req.Run, req.Fresh = xlreg.Run(fmt.Sprint(u.rnd.IntN(12))), u.rnd.IntN(3) == 0
	if u.rnd.IntN(3) == 0 {
		req.Lease = 10 * time.Second
	}
	_, err := p.try(c, req)
	return err
}

func (u *usage) leave() error {
	p := u.people[u.rnd.IntN(len(u.people))]
	_, err := u.w.Leave(u.w.t.Context(), p.s, xlreg.ClusterRef{ID: u.cluster().ID}, registry.AllowAll)
	return err
}

func (u *usage) hangUp() error {
	p := u.people[u.rnd.IntN(len(u.people))]
	u.w.End(u.w.t.Context(), p.s)
	p.connect()
	return nil
}

// somebody returns a kind of order, and whom it is about.
func (u *usage) somebody() (xlreg.OrderKind, xlreg.KeySum) {
	kinds := []xlreg.OrderKind{xlreg.OrderEvict, xlreg.OrderEvict, xlreg.OrderReopen, xlreg.OrderBan, xlreg.OrderDelete}
	sum := keys.KeySum(u.people[u.rnd.IntN(len(u.people))].set.SigKey)
	return kinds[u.rnd.IntN(len(kinds))], sum
}

func (u *usage) adminOrder() error {
	c := u.cluster()
	kind, sum := u.somebody()
	_, err := u.w.AdminOrder(u.w.t.Context(), registry.Actor{Admin: "me"}, registry.AdminOrder{Kind: kind, Cluster: c.ID, KeySum: sum})
	return err
}

func (u *usage) ownerOrder() error {
	kind, sum := u.somebody()
	if _, err := u.keyed.order(xlreg.Order{Kind: kind, KeySum: sum}); err != nil {
		u.keyed.serial--
		return err
	}
	if kind == xlreg.OrderDelete {
		u.names++
		u.keyed = u.w.keyed(fmt.Sprint("k", u.names), 3)
	}
	return nil
}

func (u *usage) pass() error {
	u.w.pass([]time.Duration{time.Second, 15 * time.Second, 40 * time.Second}[u.rnd.IntN(3)])
	return nil
}

// step does one thing, and holds what is told of it against what it has done.
func (u *usage) step() {
	u.w.t.Helper()
	steps := []func() error{u.create, u.join, u.join, u.join, u.join, u.join, u.join, u.leave, u.hangUp, u.adminOrder, u.ownerOrder, u.pass}
	err := steps[u.rnd.IntN(len(steps))]()
	if events := u.tell(); err != nil && len(events) > 0 {
		u.w.t.Fatalf("what was refused has happened: %v: %+v", err, events)
	}
	u.book.compare(u.w)
}

// tell writes down what has happened. Leases end several at once, so that they are told in
// any order.
func (u *usage) tell() []registry.Event {
	u.w.t.Helper()
	events := u.l.take()
	slices.SortStableFunc(events, func(a, b registry.Event) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, e := range events {
		if !e.Time.Equal(u.w.clock.Now()) && e.By != (registry.Actor{}) {
			u.w.t.Fatalf("at another time: %+v", e)
		}
		u.book.add(e)
	}
	return events
}

// Whatever happens is told once: what the events tell is what is kept, on stores of
// different kinds, of which one runs every closure several times.
func TestEventsTellWhatIsKept(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"memory, three times": func(t *testing.T) store.Store { return storetest.Strict(t, memory.New()) },
		"optimistic":          func(*testing.T) store.Store { return group.New(optimistic.NewBackend().Driver()) },
		"bolt": func(t *testing.T) store.Store {
			s, err := bolt.Open(filepath.Join(t.TempDir(), "data"), bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, l := newObservedWorld(t, open(t))
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			u := &usage{w: w, l: l, rnd: rand.New(rand.NewPCG(seed, 1)), book: &book{
				t: t, clusters: make(map[xlreg.ClusterID]*page), gone: make(map[xlreg.ClusterID]bool),
			}}
			u.keyed = w.keyed("k0", 3)
			u.tell()
			for i := range 5 {
				u.people = append(u.people, w.person(fmt.Sprint("p", i)))
			}
			for range 400 {
				u.step()
			}
			w.check()
		})
	}
}

// Many at once, through two servers that meet conflicts: what each is told is told once,
// and one of them tells what happens once for all.
func TestEventsOfACrowd(t *testing.T) {
	const size = 24
	b := optimistic.NewBackend()
	l := new(ledger)
	var worlds [2]*world
	for i := range worlds {
		s := group.New(b.Driver())
		r, err := registry.New(registry.Config{Store: s, Self: self, Observe: l.observe})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			r.Close()
			s.Close()
		})
		worlds[i] = &world{Registry: r, t: t, store: s, sessions: make(map[xlreg.NodeID]*registry.Session)}
	}
	people := make([]*person, size)
	for i := range people {
		people[i] = worlds[i%2].person(fmt.Sprint("p", i))
	}
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(func() {
			made, _, err := p.w.Create(t.Context(), p.s, xlreg.ClusterSpec{Name: "c", MaxSize: size, EndpointCount: 1}, registry.AllowAll)
			if err == nil {
				_, err = p.try(made.Cluster, registry.JoinRequest{Run: "1"})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	counts, who := make(map[registry.EventKind]int), make(map[xlreg.NodeID]bool)
	for _, e := range l.take() {
		counts[e.Kind]++
		if e.Kind == registry.EventJoined {
			who[e.Node] = e.By.Node == e.Node
		}
	}
	want := map[registry.EventKind]int{registry.EventCreated: 1, registry.EventJoined: size, registry.EventFormed: 1}
	if !maps.Equal(counts, want) || len(who) != size || slices.Contains(slices.Collect(maps.Values(who)), false) {
		t.Errorf("events %v of %d nodes, want %v", counts, len(who), want)
	}
	if b.Conflicts() == 0 {
		t.Log("no closure has run twice")
	}
}

// What nobody needs is told when it is forgotten, and what is forgotten otherwise by whom.
func TestEventsOfForgetting(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	l.take()
	w.days(35)
	events := l.take()
	slices.SortFunc(events, func(x, y registry.Event) int { return len(x.Node) - len(y.Node) })
	if len(events) != 2 || events[0].Cluster != c || events[1].Node != a.s.Node() {
		t.Fatalf("%+v", events)
	}
	for _, e := range events {
		if e.Kind != registry.EventForgotten || e.By != (registry.Actor{}) {
			t.Errorf("%+v", e)
		}
	}
	w.days(3)
	if events := l.take(); len(events) > 0 {
		t.Errorf("told again: %+v", events)
	}
}

// A cluster whose beginning nobody wrote down forms as others do.
func TestFormedAfterAnUnknownTime(t *testing.T) {
	w, l := newObservedWorld(t, memory.New())
	c := w.create("c", 2)
	err := w.store.Update(t.Context(), func(tx store.Writer) error {
		rw := records.NewWriter(tx)
		head, err := rw.Cluster(c.ID)
		if err != nil {
			return err
		}
		head.Created = time.Time{}
		return rw.PutCluster(&head)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.person("a").join(c, "1", false)
	w.person("b").join(c, "1", false)
	events := l.take()
	last := events[len(events)-1]
	if last.Kind != registry.EventFormed || last.Took >= 0 || last.Members != 2 {
		t.Errorf("%+v", last)
	}
}

// Nobody is told of events for nothing, and telling costs little.
func BenchmarkEvents(b *testing.B) {
	var told int
	for name, observe := range map[string]func(registry.Event){
		"observed": func(registry.Event) { told++ }, "unobserved": nil,
	} {
		b.Run(name, func(b *testing.B) {
			s := memory.New()
			r, err := registry.New(registry.Config{Store: s, Self: self, Observe: observe})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			defer r.Close()
			by := registry.Actor{From: "192.0.2.1:5", Protocol: xlreg.Protocol20, Node: self}
			head := &records.Cluster{Cluster: xlreg.Cluster{Name: "c", MaxSize: 5}, Taken: xlreg.SeatsBelow(5)}
			seat := &records.Seat{}
			b.ReportAllocs()
			for b.Loop() {
				r.Tell(by, registry.EventJoined, head, seat)
			}
		})
	}
}

// A key that has several seats from classic times leaves all but one when it joins over
// 2.0, and that is told of each; an admin may take a whole cluster of them at once.
func TestEventsOfAKeyWithManySeats(t *testing.T) {
	w, l := newObservedWorld(t, storetest.Strict(t, memory.New()))
	c, whole := w.create("c", 3), w.create("w", xlreg.MaxClassicClusterSize)
	set := testKeys()[0]
	for i := range c.MaxSize {
		id := w.node(fmt.Sprint("n", i), set, end)
		w.join(id, c)
	}
	p := &person{w: w, name: "n1", set: set}
	p.connect()
	l.take()
	p.join(c, "1", false)
	var told []string
	for _, e := range l.take() {
		told = append(told, fmt.Sprint(e.Kind, e.Member, e.Index, e.Members))
	}
	want := []string{
		fmt.Sprint(registry.EventLeft, "n1", 1, 1), fmt.Sprint(registry.EventLeft, "n2", 2, 1),
		fmt.Sprint(registry.EventTookOver, "n1", 0, 1),
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	for i := range whole.MaxSize {
		w.join(w.node(fmt.Sprint("w", i), set, end), whole)
	}
	done := w.order(registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: whole.ID, Member: "w7"})
	if len(done.Evicted) != whole.MaxSize || done.Head.Taken.Len() != 0 {
		t.Errorf("evicted %d, and %d are left", len(done.Evicted), done.Head.Taken.Len())
	}
	w.check()
}
