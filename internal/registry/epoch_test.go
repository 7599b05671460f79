package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/keys"
)

// person is a node with keys of its own, whose program may be started several times.
type person struct {
	w    *world
	name string
	set  *keys.Set
	s    *registry.Session
}

func (w *world) person(name string) *person {
	w.t.Helper()
	set, err := keys.Generate(keys.P256, 256)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{w: w, name: name, set: set}
	p.connect()
	return p
}

// connect opens a new session, in which the node registers.
func (p *person) connect() {
	p.w.t.Helper()
	tok, s := modern(p.w.t, p.name, p.set, end)
	if _, _, err := p.w.Register(p.w.t.Context(), s, tok, registry.AllowAll); err != nil {
		p.w.t.Fatalf("register %s: %v", p.name, err)
	}
	p.s = s
}

func (p *person) try(c xlreg.Cluster, req registry.JoinRequest) (registry.Seat, error) {
	p.w.t.Helper()
	req.Ref = xlreg.ClusterRef{ID: c.ID}
	seat, _, err := p.w.Join(p.w.t.Context(), p.s, req, registry.AllowAll)
	return seat, err
}

// mustTry is try where nothing may be in the way.
func (p *person) mustTry(c xlreg.Cluster, req registry.JoinRequest) {
	p.w.t.Helper()
	if _, err := p.try(c, req); err != nil {
		p.w.t.Fatalf("%s joins: %v", p.name, err)
	}
}

// join joins with a run; fresh says for a new start.
func (p *person) join(c xlreg.Cluster, run xlreg.Run, fresh bool) registry.Seat {
	p.w.t.Helper()
	seat, err := p.try(c, registry.JoinRequest{Run: run, Fresh: fresh})
	if err != nil {
		p.w.t.Fatalf("%s joins as %s: %v", p.name, run, err)
	}
	return seat
}

// wantMembers holds the roster against the names of members by index, "" for nobody, and
// the epoch.
func (w *world) wantMembers(c xlreg.Cluster, epoch uint64, names ...string) {
	w.t.Helper()
	r := w.roster(c)
	got := make([]string, len(names))
	for _, m := range r.Members {
		got[m.Index] = string(m.Token.Name)
	}
	if fmt.Sprint(got) != fmt.Sprint(names) || r.State.Epoch != epoch {
		w.t.Errorf("epoch %d has %q, want epoch %d with %q", r.State.Epoch, got, epoch, names)
	}
}

// A whole cluster that starts again meets in a new epoch, in its old seats, whoever comes
// first; and nobody sees who has not come again.
func TestACompleteClusterStartsAnew(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	for _, p := range []*person{a, b, d} {
		p.join(c, "1", true)
	}
	w.wantMembers(c, 1, "a", "b", "d")
	d.join(c, "2", true)
	w.wantMembers(c, 2, "", "", "d")
	a.join(c, "2", true)
	if seat := a.join(c, "2", true); seat.Index != 0 || seat.State.Epoch != 2 {
		t.Errorf("the same run again got %+v", seat)
	}
	w.wantMembers(c, 2, "a", "", "d")
	b.join(c, "2", true)
	w.wantMembers(c, 2, "a", "b", "d")
}

// A member that comes back to a cluster that goes on joins what there is.
func TestOneMemberComesBack(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a, b := w.person("a"), w.person("b")
	a.join(c, "1", true)
	b.join(c, "1", true)
	b.join(c, "2", false)
	w.wantMembers(c, 1, "a", "b")
	if r := w.roster(c); r.Members[1].Token.Seat.Run != "2" {
		t.Errorf("the seat is held by run %q", r.Members[1].Token.Seat.Run)
	}
}

// A run that was replaced never gets its seat back, so twins do not push each other out
// for ever.
func TestTwins(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a := w.person("a")
	for i := range 10 {
		a.join(c, xlreg.Run(fmt.Sprint(i)), false)
	}
	for i := 8; i > 0; i-- {
		_, err := a.try(c, registry.JoinRequest{Run: xlreg.Run(fmt.Sprint(i)), Fresh: true})
		wantKind(t, err, xlreg.ErrMemberIDInUse)
	}
	w.wantMembers(c, 1, "a", "")
	a.join(c, "0", false) // a seat remembers the last eight
}

func TestAJoinWithoutRunReplacesNone(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", false)
	a.join(c, "", false)
	if r := w.roster(c); r.Members[0].Token.Seat.Run != "1" {
		t.Errorf("the seat is held by run %q", r.Members[0].Token.Seat.Run)
	}
	a.join(c, "1", false)
}

// A session that registered joins with what it said itself, also after its twin has
// registered something else.
func TestNobodysAddressUnderAnothersRun(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a := w.person("a")
	twin := *a
	tok, s := modern(t, "a", a.set, "10.9.9.9:9")
	if _, _, err := w.Register(t.Context(), s, tok, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	twin.s = s
	a.join(c, "1", false)
	if got := w.roster(c).Members[0].Token.Endpoints[0]; got != end {
		t.Errorf("run 1 is said to be at %s", got)
	}
	twin.join(c, "2", false)
	if got := w.roster(c).Members[0].Token.Endpoints[0]; got != "10.9.9.9:9" {
		t.Errorf("run 2 is said to be at %s", got)
	}
}

// A key has one seat over 2.0: those that it has from classic times become one.
func TestAKeyHasOneSeat(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 4)
	set := testKeys()[0]
	for i := range 3 {
		w.join(w.node(fmt.Sprint("n", i), set, end), c)
	}
	p := &person{w: w, name: "one", set: set}
	p.connect()
	p.join(c, "1", false)
	w.wantMembers(c, 1, "one", "", "", "")
}

// In an open cluster an epoch that was complete is followed by the next when somebody
// comes back who was in it, and not for a stranger.
func TestWhoOpensTheNextEpoch(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a, b, stranger := w.person("a"), w.person("b"), w.person("x")
	a.join(c, "1", true)
	b.join(c, "1", true)
	if _, err := w.Leave(t.Context(), b.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	stranger.join(c, "1", true)
	w.wantMembers(c, 1, "a", "x")
	if _, err := w.Leave(t.Context(), stranger.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	stranger.join(c, "2", true)
	w.wantMembers(c, 2, "", "x")
	// a is of the epoch before, and holds its seat there.
	_, err := b.try(c, registry.JoinRequest{Run: "9", Fresh: true})
	wantKind(t, err, xlreg.ErrClusterFull)
	a.join(c, "2", true)
	w.wantMembers(c, 2, "a", "x")
}

// Until its epoch is complete, a seat that was taken for a new start goes with the
// connection.
func TestFreshSeatsGoWithTheirConnections(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	a.join(c, "1", true)
	b.join(c, "1", false)
	w.End(t.Context(), a.s)
	w.End(t.Context(), b.s)
	w.wantMembers(c, 1, "", "b", "")

	a.connect()
	a.join(c, "1", true)
	d.join(c, "1", true)
	w.wantMembers(c, 1, "a", "b", "d")
	w.End(t.Context(), a.s)
	w.End(t.Context(), d.s)
	w.wantMembers(c, 1, "a", "b", "d")
}

// The connection that renewed a seat last is the one that counts.
func TestFreshSeatsFollowTheirLastConnection(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a := w.person("a")
	a.join(c, "1", true)
	first := a.s
	a.connect()
	w.Alive(t.Context(), a.s, c.ID)
	w.End(t.Context(), first)
	w.wantMembers(c, 1, "a", "")
	w.End(t.Context(), a.s)
	w.wantMembers(c, 1, "", "")
}

// Revisions grow with each change and with nothing else, and never fall behind the clock.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b := w.person("a"), w.person("b")
	revision := func() uint64 { return w.roster(c).State.Revision }
	if got := revision(); got != uint64(w.clock.Now().UnixMilli()) {
		t.Errorf("the first revision is %d", got)
	}
	a.join(c, "1", false)
	first := revision()
	a.join(c, "1", false)
	w.clock.advance(time.Hour)
	a.join(c, "1", false)
	if got := revision(); got != first {
		t.Errorf("what changes times alone has made revision %d of %d", got, first)
	}
	b.join(c, "1", false)
	if got := revision(); got != uint64(w.clock.Now().UnixMilli()) {
		t.Errorf("an hour later the revision is %d", got)
	}
	w.clock.advance(-24 * time.Hour)
	second := revision()
	a.join(c, "2", false)
	if got := revision(); got != second+1 {
		t.Errorf("after the clock was put back, %d is followed by %d", second, got)
	}
	changed, ok := w.roster(c).ChangedSince(second)
	if !ok || changed != xlreg.SeatsOf(0) {
		t.Errorf("changed since: %v, %t", changed, ok)
	}
	if _, ok := w.roster(c).ChangedSince(second + 99); ok {
		t.Error("a revision that is still to come is known")
	}
}
