package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/keys"
)

// unproved returns a person who has registered over a classic carrier last.
func (w *world) unproved(name string) *person {
	w.t.Helper()
	p := &person{w: w, name: name, set: testKeys()[2]}
	p.connect()
	node := p.s.Node()
	if _, err := w.registerToken(classic(name, p.set, node, end)); err != nil {
		w.t.Fatal(err)
	}
	p.s = &registry.Session{Protocol: xlreg.Protocol20, SigKey: p.set.SigKey}
	if _, err := w.LogIn(w.t.Context(), p.s, node.Bytes(), nil); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Of several things that are wrong with an admission, the first is said.
func TestOrderOfRefusals(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	must := func(_ registry.Ordered, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	past := w.clock.Now().Add(-time.Hour)
	revoked, over, used := k.invite(past, 1), k.invite(past, 1), k.invite(time.Time{}, 1)
	banned, fresh, first, bare := w.person("banned"), w.person("fresh"), w.person("first"), w.unproved("bare")
	if _, err := first.try(k.cluster, invited(t, used, first)); err != nil {
		t.Fatal(err)
	}
	must(k.order(xlreg.Order{Kind: xlreg.OrderBan, KeySum: keys.KeySum(banned.set.SigKey)}))
	must(k.order(xlreg.Order{Kind: xlreg.OrderRevoke, Invite: revoked.Invite().Key}))
	forged := invited(t, revoked, fresh)
	forged.Parsed.Invite.Sig = append(bytes.Clone(forged.Parsed.Invite.Sig[1:]), 0)
	forged.Admission = []byte("forged")

	for _, c := range []struct {
		who *person
		req registry.JoinRequest
		why string
	}{
		{banned, registry.JoinRequest{}, "banned"},
		{banned, forged, "banned"},
		{bare, registry.JoinRequest{}, "none"},
		{fresh, forged, "bad signature"},
		{fresh, registry.JoinRequest{Admission: []byte("unreadable")}, "bad signature"},
		{fresh, invited(t, revoked, fresh), "revoked"},
		{bare, invited(t, revoked, bare), "revoked"},
		{fresh, invited(t, over, fresh), "expired"},
		{bare, invited(t, over, bare), "expired"},
		{bare, invited(t, used, bare), "used up"},
		{bare, k.admitted(bare), "not proved"},
	} {
		before := w.roster(k.cluster).State
		_, err := c.who.try(k.cluster, c.req)
		wantRefusal(t, err, "refused: "+c.why)
		if after := w.roster(k.cluster).State; after != before {
			t.Errorf("%s: the cluster was %+v and is %+v", c.why, before, after)
		}
	}
	unknown := xlreg.Cluster{ID: xlreg.ClusterID(bytes.Repeat([]byte{7}, 32))}
	_, err := banned.try(unknown, forged)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
}

// An invite of more uses than there may be is nobody's, whoever signed it.
func TestInvitesOfTooManyUses(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	p := w.person("a")
	req := invited(t, k.invite(time.Time{}, xlreg.MaxInviteUses), p)
	if _, err := p.try(k.cluster, req); err != nil {
		t.Fatal(err)
	}
	req.Parsed.Invite.Uses++
	req.Admission = append(req.Admission, '!')
	_, err := p.try(k.cluster, req)
	wantRefusal(t, err, "bad signature")
}

// limited registers p with no endpoints.
func (p *person) withoutEndpoints() {
	p.w.t.Helper()
	tok, s := modern(p.w.t, p.name, p.set)
	if _, _, err := p.w.Register(p.w.t.Context(), s, tok, registry.AllowAll); err != nil {
		p.w.t.Fatal(err)
	}
	p.s = s
}

// Of several things that keep a node from a seat, the first is said.
func TestOrderOfFaultsOfAJoin(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a, b, twin := w.person("a"), w.person("b"), w.person("a")
	a.join(c, "1", false)
	a.join(c, "2", false)
	b.join(c, "1", false)
	twin.withoutEndpoints()
	_, err := twin.try(c, registry.JoinRequest{Run: "1"})
	wantKind(t, err, xlreg.ErrMemberNameInUse) // though the cluster is full, and the endpoints too few
	other := w.person("x")
	other.withoutEndpoints()
	_, err = other.try(c, registry.JoinRequest{Run: "1", Fresh: true})
	wantKind(t, err, xlreg.ErrClusterFull)
	if _, err := w.Leave(t.Context(), b.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	_, err = other.try(c, registry.JoinRequest{Run: "1"})
	wantKind(t, err, xlreg.ErrTooFewEndpoints)
	a.name = "b" // which is free, so only its run is wrong
	a.connect()
	b.join(c, "2", false)
	_, err = a.try(c, registry.JoinRequest{Run: "1"})
	wantKind(t, err, xlreg.ErrMemberIDInUse)
	_, err = a.try(c, registry.JoinRequest{Run: "3"})
	wantKind(t, err, xlreg.ErrMemberNameInUse)
	w.wantMembers(c, 1, "a", "b")
}

// Whoever takes the place of an earlier seat in a new start needs as many endpoints as
// anybody else.
func TestDisplacingNeedsEndpoints(t *testing.T) {
	w := newWorld(t)
	k := w.keyed("c", 2)
	a, b, next := w.person("a"), w.person("b"), w.person("b")
	fresh := func(p *person, run xlreg.Run) error {
		req := k.admitted(p)
		req.Run, req.Fresh = run, true
		_, err := p.try(k.cluster, req)
		return err
	}
	if err := errors.Join(fresh(a, "1"), fresh(b, "1"), fresh(a, "2")); err != nil {
		t.Fatal(err)
	}
	next.withoutEndpoints()
	wantKind(t, fresh(next, "2"), xlreg.ErrTooFewEndpoints)
	next.connect()
	if err := fresh(next, "2"); err != nil {
		t.Fatal(err)
	}
	w.wantMembers(k.cluster, 2, "a", "b")
	wantKind(t, fresh(b, "2"), xlreg.ErrMemberNameInUse) // now the current epoch has its name
}

// In an open cluster earlier seats hold index and name for their owners.
func TestEarlierSeatsHoldTheirNames(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b := w.person("a"), w.person("b")
	a.join(c, "1", true)
	b.join(c, "1", true)
	a.join(c, "2", true) // not complete, but its own seat has another run
	w.wantMembers(c, 2, "a", "", "")
	_, err := w.person("b").try(c, registry.JoinRequest{Run: "1", Fresh: true})
	wantKind(t, err, xlreg.ErrMemberNameInUse)
	w.person("d").join(c, "1", true)
	w.wantMembers(c, 2, "a", "", "d")
	_, err = w.person("e").try(c, registry.JoinRequest{Run: "1", Fresh: true})
	wantKind(t, err, xlreg.ErrClusterFull)
	w.wantMembers(c, 2, "a", "", "d")
	b.join(c, "1", false)
	w.wantMembers(c, 2, "a", "b", "d")
}

// A seat keeps the signatures that it has while it says the same, so that nobody sees two
// sums of one revision, however often the member has registered.
func TestOneSumARevision(t *testing.T) {
	w := newWorldOn(t, memory.New())
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", false)
	first := w.roster(c)
	tok := first.Members[0].Token
	tok.Seat = xlreg.SeatState{}
	sign := func() {
		t.Helper()
		var err error
		if tok.DigSig2, err = keys.SignToken(a.set.Sig, &tok); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Register(t.Context(), a.s, &tok, registry.AllowAll); err != nil {
			t.Fatal(err)
		}
	}
	tok.Attrs = xlreg.AttrSolo // what the certificate says nothing of
	sign()
	tok.Attrs = 0
	sign()
	w.clock.advance(time.Hour)
	a.join(c, "1", false)
	again := w.roster(c)
	if again.State != first.State || again.Sum != first.Sum {
		t.Errorf("%+v had the sum %x, and %+v has %x", first.State, first.Sum[:4], again.State, again.Sum[:4])
	}
	if got := again.Members[0].Token.Seat.Joined; !got.Equal(w.clock.Now()) {
		t.Errorf("joined at %v", got)
	}
}

// A key has one seat over 2.0, and an Update is bounded: also when it has come with a
// whole cluster of seats over a classic carrier, and when it leaves with all of them.
func TestAKeyWithAWholeClusterOfSeats(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		w := newWorld(t)
		c := w.create("c", xlreg.MaxClassicClusterSize)
		set := testKeys()[0]
		for i := range c.MaxSize {
			w.join(w.node(fmt.Sprint("n", i), set, end), c)
		}
		p := &person{w: w, name: "n1", set: set}
		p.connect()
		if leaves {
			if _, err := w.Leave(t.Context(), p.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
				t.Fatal(err)
			}
			w.wantMembers(c, 1, make([]string, c.MaxSize)...)
		} else {
			p.join(c, "1", false)
			w.wantMembers(c, 1, append([]string{"n1"}, make([]string, c.MaxSize-1)...)...)
		}
		for i := range 3 {
			w.person(fmt.Sprint("n", i+40)).join(c, "1", false)
		}
		w.check()
	}
}

// asked meters what a test asks for, and not what the registry does beside that.
type asked struct {
	*storetest.Meter
	beside store.Store
	test   context.Context //nolint:containedctx // only compared
}

func (a asked) Update(ctx context.Context, f func(store.Writer) error) error {
	if ctx != a.test {
		return a.beside.Update(ctx, f)
	}
	return a.Meter.Update(ctx, f)
}

// Nothing that happens to the largest cluster is too much for one Update.
func TestTheLargestCluster(t *testing.T) {
	data := memory.New()
	meter := storetest.NewMeter(data)
	w := newWorldOn(t, storetest.Strict(t, asked{meter, data, t.Context()}))
	k := w.keyed("c", xlreg.MaxClusterSize)
	people := make([]*person, xlreg.MaxClusterSize)
	join := func(p *person, run xlreg.Run) {
		t.Helper()
		req := k.admitted(p)
		req.Run, req.Fresh = run, true
		if _, err := p.try(k.cluster, req); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	for i := range people {
		people[i] = w.person(fmt.Sprint("n", i))
		join(people[i], "1")
	}
	if r := w.roster(k.cluster); !r.Full() || r.State.Epoch != 1 {
		t.Fatalf("%d members in epoch %d", len(r.Members), r.State.Epoch)
	}
	meter.Take()
	join(people[1000], "2") // opens an epoch
	if _, used := meter.Take(); used.Writes > 10 {
		t.Errorf("to open an epoch took %d writes", used.Writes)
	}
	join(people[3], "2")
	if r := w.roster(k.cluster); r.Seats() != xlreg.SeatsOf(3, 1000) || r.State.Epoch != 2 {
		t.Errorf("%d members in epoch %d", len(r.Members), r.State.Epoch)
	}
	for _, o := range []xlreg.Order{
		{Kind: xlreg.OrderEvict, KeySum: keys.KeySum(people[7].set.SigKey)}, // of an earlier epoch
		{Kind: xlreg.OrderBan, KeySum: keys.KeySum(people[3].set.SigKey)},
		{Kind: xlreg.OrderReopen},
		{Kind: xlreg.OrderDelete},
	} {
		meter.Take()
		if _, err := k.order(o); err != nil {
			t.Fatalf("%v: %v", o.Kind, err)
		}
		if _, used := meter.Take(); used.Writes == 0 || used.Writes > 10 {
			t.Errorf("%v took %d writes", o.Kind, used.Writes)
		}
	}
}
