package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/keys"
)

// keyed is a cluster with a key, and whoever holds that.
type keyed struct {
	w       *world
	owner   *keys.Owner
	cluster xlreg.Cluster
	serial  uint64
}

func (w *world) keyed(name string, size uint32) *keyed {
	w.t.Helper()
	k := &keyed{w: w, owner: keys.NewOwner()}
	made, _, err := w.Create(w.t.Context(), reader(), k.spec(name, size), registry.AllowAll)
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	k.cluster = made.Cluster
	return k
}

func (k *keyed) spec(name string, size uint32) xlreg.ClusterSpec {
	spec := xlreg.ClusterSpec{Name: name, MaxSize: size, EndpointCount: 1, Key: k.owner.Public()}
	k.owner.SignCreate(&spec)
	return spec
}

// admission is what a request carries; the bytes stand for any encoding of it.
func admission(a xlreg.Admission) registry.JoinRequest {
	return registry.JoinRequest{Parsed: a, Admission: append([]byte("encoded "), a.Sig...)}
}

// admitted returns a Join with the owner's leave for p.
func (k *keyed) admitted(p *person) registry.JoinRequest {
	k.w.t.Helper()
	a, err := k.owner.Admit(k.cluster.Name, p.set.SigKey)
	if err != nil {
		k.w.t.Fatal(err)
	}
	return admission(a)
}

func (k *keyed) invite(notAfter time.Time, uses int) *keys.Inviter {
	k.w.t.Helper()
	i, err := k.owner.Invite(k.cluster.Name, notAfter, uses)
	if err != nil {
		k.w.t.Fatal(err)
	}
	return i
}

func invited(t *testing.T, i *keys.Inviter, p *person) registry.JoinRequest {
	t.Helper()
	a, err := i.Admit(p.set.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	return admission(a)
}

// order does what the order says, with the next serial number unless it has one.
func (k *keyed) order(o xlreg.Order) (registry.Ordered, error) {
	k.w.t.Helper()
	o.Cluster = k.cluster.ID
	if o.Serial == 0 {
		k.serial++
		o.Serial = k.serial
	}
	return k.send(o, k.owner)
}

func (k *keyed) send(o xlreg.Order, by *keys.Owner) (registry.Ordered, error) {
	k.w.t.Helper()
	encoded := []byte(o.Kind.String() + string(o.Cluster) + string(rune(o.Serial)) + string(o.KeySum) + string(o.Invite))
	req := registry.OrderRequest{Signed: by.SignOrder(encoded), Order: o}
	done, _, err := k.w.Order(k.w.t.Context(), reader(), req, registry.AllowAll)
	return done, err
}

func wantRefusal(t *testing.T, err error, why string) {
	t.Helper()
	wantKind(t, err, xlreg.ErrNotAdmitted)
	if err != nil && !strings.Contains(err.Error(), why) {
		t.Errorf("%v, want %q", err, why)
	}
}

// Nobody takes a seat, or the name, without the owner's leave.
func TestAStrangerIsNotAdmitted(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 3)
	a := w.person("a")
	_, err := a.try(k.cluster, registry.JoinRequest{})
	wantRefusal(t, err, "none")

	other := keys.NewOwner()
	forged, _ := other.Admit("c", a.set.SigKey)
	_, err = a.try(k.cluster, admission(forged))
	wantRefusal(t, err, "bad signature")
	b := w.person("b")
	_, err = b.try(k.cluster, k.admitted(a))
	wantRefusal(t, err, "bad signature")
	if _, err := a.try(k.cluster, k.admitted(a)); err != nil {
		t.Errorf("who is admitted: %v", err)
	}

	open := w.create("c", 3) // another cluster: the two never meet
	if open.ID == k.cluster.ID {
		t.Error("the open cluster of that name is the keyed one")
	}
	_, err = b.try(open, k.admitted(b))
	wantRefusal(t, err, "open")
	_, err = w.Cluster(t.Context(), xlreg.ClusterRef{ID: open.ID, Key: k.owner.Public()}, xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	_, err = w.Cluster(t.Context(), xlreg.ClusterRef{ID: k.cluster.ID}, xlreg.Protocol19)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	found, err := w.Cluster(t.Context(), xlreg.ClusterRef{Name: "c", Key: k.owner.Public()}, xlreg.Protocol20)
	if err != nil || found != k.cluster {
		t.Errorf("by name and key: %+v, %v", found, err)
	}
}

func TestCreateNeedsTheOwner(t *testing.T) {
	w := newWorld(t)
	k := &keyed{w: w, owner: keys.NewOwner()}
	create := func(spec xlreg.ClusterSpec) error {
		_, _, err := w.Create(t.Context(), reader(), spec, registry.AllowAll)
		return err
	}
	spec := k.spec("c", 3)
	for name, change := range map[string]func(*xlreg.ClusterSpec){
		"size": func(s *xlreg.ClusterSpec) { s.MaxSize++ }, "name": func(s *xlreg.ClusterSpec) { s.Name = "d" },
		"attrs": func(s *xlreg.ClusterSpec) { s.Attrs = 1 }, "endpoints": func(s *xlreg.ClusterSpec) { s.EndpointCount++ },
		"key":      func(s *xlreg.ClusterSpec) { s.Key = keys.NewOwner().Public() },
		"unsigned": func(s *xlreg.ClusterSpec) { s.OwnerSig = nil },
	} {
		changed := spec
		change(&changed)
		if err := create(changed); err == nil {
			t.Errorf("another %s: accepted", name)
		}
	}
	if err := create(spec); err != nil {
		t.Fatal(err)
	}
	unsigned := spec
	unsigned.OwnerSig = nil
	wantKind(t, create(unsigned), xlreg.ErrBadSignature) // also where the cluster exists
	short := spec
	short.Key = short.Key[1:]
	wantKind(t, create(short), xlreg.ErrIllFormedName)
	wantKind(t, create(k.spec("", 3)), xlreg.ErrIllFormedName)
	unique := xlreg.ClusterSpec{Name: "u", MaxSize: 2, Key: k.owner.Public(), Attrs: xlreg.ClusterUnique}
	k.owner.SignCreate(&unique)
	wantKind(t, create(unique), xlreg.ErrIllFormedName)
}

// The end of an invite and its uses count when a key first joins with it.
func TestInvites(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 4)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	until := w.clock.Now().Add(time.Hour)
	twice, once := k.invite(until, 2), k.invite(time.Time{}, 1)
	for _, p := range []*person{a, b, a} {
		if _, err := p.try(k.cluster, invited(t, twice, p)); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	_, err := d.try(k.cluster, invited(t, twice, d))
	wantRefusal(t, err, "used up")
	if _, err := d.try(k.cluster, invited(t, once, d)); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Hour)
	if _, err := a.try(k.cluster, invited(t, twice, a)); err != nil {
		t.Errorf("a member comes back after the end of its invite: %v", err)
	}
	late := k.invite(until, 0)
	e := w.person("e")
	_, err = e.try(k.cluster, invited(t, late, e))
	wantRefusal(t, err, "expired")
}

// A use counts when the Join succeeds, and not before.
func TestARefusedJoinIsNoUse(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	a.mustTry(k.cluster, k.admitted(a))
	b.mustTry(k.cluster, k.admitted(b))
	once := k.invite(time.Time{}, 1)
	_, err := d.try(k.cluster, invited(t, once, d))
	wantKind(t, err, xlreg.ErrClusterFull)
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderEvict, KeySum: keys.KeySum(a.set.SigKey)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.try(k.cluster, invited(t, once, d)); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

// A member of a keyed cluster has proved all there is.
func TestKeyedMembersProveAll(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	set := testKeys()[0]
	p := &person{w: w, name: "a", set: set}
	p.connect()
	node := p.s.Node()
	if _, err := w.registerToken(classic("a", set, node, end)); err != nil { // which drops the proofs
		t.Fatal(err)
	}
	p.s = &registry.Session{Protocol: xlreg.Protocol20, SigKey: set.SigKey}
	if _, err := w.LogIn(t.Context(), p.s, node.Bytes(), nil); err != nil {
		t.Fatal(err)
	}
	_, err := p.try(k.cluster, k.admitted(p))
	wantRefusal(t, err, "not proved")
}

func TestOrders(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 3)
	a, b := w.person("a"), w.person("b")
	sumA, sumB := keys.KeySum(a.set.SigKey), keys.KeySum(b.set.SigKey)
	guest := k.invite(time.Time{}, 0)
	a.mustTry(k.cluster, k.admitted(a))
	b.mustTry(k.cluster, invited(t, guest, b))
	w.wantMembers(k.cluster, 1, "a", "b", "")

	before := w.roster(k.cluster).State.Revision
	done, err := k.order(xlreg.Order{Kind: xlreg.OrderEvict, KeySum: sumA})
	if err != nil || done.State.Orders != 1 || done.State.Revision <= before {
		t.Fatalf("evict: %+v, %v", done, err)
	}
	w.wantMembers(k.cluster, 1, "", "b", "")
	again, err := k.order(xlreg.Order{Kind: xlreg.OrderEvict, KeySum: sumA, Serial: 1})
	if err != nil || again.State != done.State {
		t.Errorf("the same bytes again: %+v, %v; want %+v", again.State, err, done.State)
	}
	_, err = k.order(xlreg.Order{Kind: xlreg.OrderEvict, KeySum: sumB, Serial: 1})
	wantKind(t, err, xlreg.ErrOrdersChanged)
	_, err = k.order(xlreg.Order{Kind: xlreg.OrderEvict, KeySum: sumA, Serial: 2})
	wantKind(t, err, xlreg.ErrNotMember)
	_, err = k.order(xlreg.Order{Kind: 9, Serial: 2})
	wantKind(t, err, xlreg.ErrIllFormedToken)
	_, err = k.send(xlreg.Order{Cluster: k.cluster.ID, Serial: 2, Kind: xlreg.OrderReopen}, keys.NewOwner())
	wantKind(t, err, xlreg.ErrBadSignature)

	if _, err := a.try(k.cluster, k.admitted(a)); err != nil {
		t.Errorf("who was evicted may come back: %v", err)
	}
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderBan, KeySum: sumA}); err != nil {
		t.Fatal(err)
	}
	_, err = a.try(k.cluster, k.admitted(a))
	wantRefusal(t, err, "banned")
	w.wantMembers(k.cluster, 1, "", "b", "")

	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderRevoke, Invite: guest.Invite().Key}); err != nil {
		t.Fatal(err)
	}
	_, err = b.try(k.cluster, invited(t, guest, b))
	wantRefusal(t, err, "revoked")
	w.wantMembers(k.cluster, 1, "", "b", "")

	if done, err = k.order(xlreg.Order{Kind: xlreg.OrderReopen}); err != nil || done.State.Epoch != 2 {
		t.Fatalf("reopen: %+v, %v", done, err)
	}
	w.wantMembers(k.cluster, 2, "", "", "")
	d := w.person("d")
	if seat, err := d.try(k.cluster, k.admitted(d)); err != nil || seat.Index != 0 {
		t.Errorf("after a reopening all seats are free: %+v, %v", seat, err)
	}
}

func TestAnOpenClusterHasNoOwner(t *testing.T) {
	w := newWorld(t)
	k := &keyed{w: w, owner: keys.NewOwner(), cluster: w.create("c", 2)}
	_, err := k.order(xlreg.Order{Kind: xlreg.OrderReopen})
	wantKind(t, err, xlreg.ErrBadSignature)
}

// A cluster that was deleted is gone for good, and so is its name with that key. The
// order itself is answered as often as it comes.
func TestDelete(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	a := w.person("a")
	a.mustTry(k.cluster, k.admitted(a))
	ready, release, err := w.Await(t.Context(), &k.cluster, registry.Wait{Size: 2, Limit: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	done, err := k.order(xlreg.Order{Kind: xlreg.OrderDelete})
	if err != nil {
		t.Fatal(err)
	}
	<-ready.Done() // whoever waits for it is told
	_, err = w.Roster(t.Context(), xlreg.ClusterRef{ID: k.cluster.ID}, xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	_, err = a.try(k.cluster, k.admitted(a))
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	_, _, err = w.Create(t.Context(), reader(), k.spec("c", 2), registry.AllowAll)
	wantRefusal(t, err, "deleted")
	if again, err := k.order(xlreg.Order{Kind: xlreg.OrderDelete, Serial: 1}); err != nil || again.State != done.State {
		t.Errorf("the same order again: %+v, %v", again, err)
	}
	_, err = k.order(xlreg.Order{Kind: xlreg.OrderReopen, Serial: 2})
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	w.create("c", 2) // the open cluster of that name is another
}

// A new start of a keyed cluster displaces those of the last one who do not come.
func TestAKeyedClusterStartsAnewWithOthers(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	people := []*person{w.person("a"), w.person("b"), w.person("x"), w.person("y")}
	fresh := func(p *person, run xlreg.Run) (registry.Seat, error) {
		req := k.admitted(p)
		req.Run, req.Fresh = run, true
		return p.try(k.cluster, req)
	}
	for _, p := range people[:2] {
		if _, err := fresh(p, "1"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := fresh(people[2], "1")
	wantKind(t, err, xlreg.ErrClusterFull) // a refused Join opens nothing
	w.wantMembers(k.cluster, 1, "a", "b")
	if _, err := fresh(people[0], "2"); err != nil {
		t.Fatal(err)
	}
	if seat, err := fresh(people[2], "2"); err != nil || seat.Index != 1 {
		t.Fatalf("x takes %+v, %v", seat, err)
	}
	w.wantMembers(k.cluster, 2, "a", "x")
}
