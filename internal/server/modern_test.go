package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

const modernest = xlreg.Protocol20

// read returns what a ClusterMembers over 2.0 says.
func (p *peer) read(m *wire.Message) *wire.RosterReply {
	p.t.Helper()
	r, err := p.ask(m).Roster(modernest)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func get(ref xlreg.ClusterRef, change func(*wire.GetRequest)) *wire.Message {
	r := wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}
	if change != nil {
		change(&r)
	}
	return wire.NewGet(r, modernest)
}

func (r *roster) names() string {
	var names []string
	for _, m := range r.Members {
		names = append(names, fmt.Sprint(m.Index, "=", m.Token.Name))
	}
	return strings.Join(names, " ")
}

type roster wire.RosterReply

func named(r *wire.RosterReply) string { return (*roster)(r).names() }

// owned makes a cluster with a key over the wire.
func (p *peer) owned(name string, size uint32) (*keys.Owner, xlreg.Cluster) {
	p.t.Helper()
	owner := keys.NewOwner()
	spec := xlreg.ClusterSpec{Name: name, MaxSize: size, EndpointCount: 1, Key: owner.Public()}
	owner.SignCreate(&spec)
	c, err := p.ask(wire.NewCreate(spec)).Cluster(modernest)
	if err != nil || c.Key != owner.Public() {
		p.t.Fatalf("created %+v, %v", c, err)
	}
	return owner, c
}

func (p *peer) admitted(owner *keys.Owner, c xlreg.Cluster) wire.JoinRequest {
	p.t.Helper()
	a, err := owner.Admit(c.Name, p.keys.SigKey)
	if err != nil {
		p.t.Fatal(err)
	}
	return wire.JoinRequest{Ref: xlreg.ClusterRef{Name: c.Name, Key: c.Key}, Admission: wire.EncodeAdmission(a)}
}

func signed(owner *keys.Owner, o xlreg.Order) *wire.Message {
	return wire.NewOrder(owner.SignOrder(wire.EncodeOrder(o)))
}

// An order needs no identity, and is as good after Member as before. It counts as a
// write, and its repeat does not.
func TestOrdersBeforeAndAfterMember(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{WritesPerMinuteLoopback: 5})
	a := w.guest("a")
	owner, c := a.owned("c", 2)
	a.ask(wire.NewJoin(a.admitted(owner, c)))
	sum := keys.KeySum(a.keys.SigKey)

	stranger := w.connect(modernest, nil)
	first := signed(owner, xlreg.Order{Cluster: c.ID, Serial: 1, Kind: xlreg.OrderEvict, KeySum: sum})
	reply := stranger.ask(first)
	if got, err := reply.Cluster(modernest); err != nil || got != c || reply.State(modernest).Orders != 1 {
		t.Errorf("OrderReply %+v, %+v, %v", got, reply.State(modernest), err)
	}
	a.ask(signed(owner, xlreg.Order{Cluster: c.ID, Serial: 2, Kind: xlreg.OrderReopen}))
	a.send(signed(owner, xlreg.Order{Cluster: c.ID, Serial: 2, Kind: xlreg.OrderBan, KeySum: sum}))
	var e *xlreg.Error
	if err := a.receive().Err(); !errors.As(err, &e) || e.Kind != xlreg.ErrOrdersChanged || e.Orders != 2 {
		t.Errorf("another serial: %v", err)
	}
	last := signed(owner, xlreg.Order{Cluster: c.ID, Serial: 3, Kind: xlreg.OrderBan, KeySum: sum})
	stranger.send(last) // the sixth write
	if err := stranger.receive().Err(); !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
		t.Errorf("an order past the limit of writes: %v", err)
	}
	again := stranger.ask(signed(owner, xlreg.Order{Cluster: c.ID, Serial: 2, Kind: xlreg.OrderReopen}))
	if s := again.State(modernest); s.Orders != 2 || s.Epoch != 2 {
		t.Errorf("the last order again: %+v", s)
	}
	stats := w.server.Stats()
	if stats.Requests[wire.OpOrder] != 5 || stats.Replies[wire.OpOrderReply] != 3 {
		t.Errorf("counted %d orders and %d answers", stats.Requests[wire.OpOrder], stats.Replies[wire.OpOrderReply])
	}
}

// What is no order, or nobody's, is refused, and the session goes on.
func TestOrdersThatAreNone(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a := w.guest("a")
	owner, c := a.owned("c", 2)
	for name, bad := range map[string]*wire.Message{
		"noise":      wire.NewOrder(owner.SignOrder([]byte{0xff, 0xff})),
		"nothing":    raw(t, uint64(wire.OpOrder)),
		"half a sum": signed(owner, xlreg.Order{Cluster: c.ID, Serial: 1, Kind: xlreg.OrderEvict, KeySum: "half"}),
		"unsigned":   wire.NewOrder(xlreg.SignedOrder{Bytes: wire.EncodeOrder(xlreg.Order{Cluster: c.ID, Serial: 1, Kind: xlreg.OrderReopen})}),
	} {
		a.send(bad)
		want := xlreg.ErrBadSignature
		if name == "nothing" {
			want = xlreg.ErrNoSuchClusterID // an order without a cluster
		}
		if err := a.receive().Err(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	a.ask(wire.NewRegCredRequest())
}

// A peer over 2.0 is told from where it is seen, and which certificates it was shown.
func TestObservedAndChain(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	perProtocol(t, func(t *testing.T, p xlreg.Protocol) {
		a := w.connect(p, testKeys()[1])
		a.t = t
		seen := a.ask(wire.NewMember(a.token("a"))).Observed()
		described := a.ask(wire.NewRegCredRequest())
		if p.Classic() {
			if seen != "" || described.Observed() != "" || described.Chain() != nil {
				t.Errorf("a classic peer is told of %q and %d certificates", seen, len(described.Chain()))
			}
			return
		}
		if !strings.HasPrefix(string(seen), "127.0.0.1:") || described.Observed() != seen {
			t.Errorf("seen at %q and %q", seen, described.Observed())
		}
		chain, err := keys.VerifyChain(described.Chain(), keys.Pin{SigKey: testKeys()[0].SigKey}, time.Now())
		if err != nil || chain == nil || len(described.Chain()) != 2 {
			t.Errorf("%d certificates, %v", len(described.Chain()), err)
		}
	})
}

// A certificate that its own key has not signed shows who is there, as the key is proved
// in the handshake, and is refused as soon as somebody registers with it.
func TestCertificateThatIsNotSigned(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	set := testKeys()[1]
	tok := modernToken(t, set, "a")
	tok.Certificate[1] ^= 1 // its serial number, which anyone may choose
	var err error
	if tok.DigSig2, err = keys.SignToken(set.Sig, tok); err != nil {
		t.Fatal(err)
	}
	if tok.CommsSig, err = keys.SignComms(set.Comms, tok); err != nil {
		t.Fatal(err)
	}
	p := w.open(&peer{t: t, protocol: xlreg.Protocol20, keys: set, modern: tok})
	p.send(wire.NewMember(tok))
	if err := p.receive().Err(); !errors.Is(err, xlreg.ErrIllFormedToken) || !strings.Contains(err.Error(), "own key") {
		t.Errorf("it was answered with %v", err)
	}
	p = w.connect(xlreg.Protocol20, set)
	p.register("a") // the same keys with a certificate that is right
}

// A reader who knows a revision is told what is new since, and all that there is when the
// registry cannot say that.
func TestNews(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a, b := w.guest("a"), w.guest("b")
	ref := xlreg.ClusterRef{ID: a.create("c", 4).ID}
	made := a.read(get(ref, nil))
	a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: "a1"}))
	one := a.read(get(ref, nil))
	b.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: "b1"}))
	whole := a.read(get(ref, nil))
	for name, c := range map[string]struct {
		since uint64
		which xlreg.Seats
		want  string
		delta bool
	}{
		"since the last Join":       {one.State.Revision, xlreg.AllSeats(), "1=b", true},
		"since it was made":         {made.State.Revision, xlreg.AllSeats(), "0=a 1=b", true},
		"of one seat":               {made.State.Revision, xlreg.SeatsOf(0, 3), "0=a", true},
		"since now":                 {whole.State.Revision, xlreg.AllSeats(), "", true},
		"since before it was made":  {1, xlreg.AllSeats(), "0=a 1=b", false},
		"since what is to come yet": {whole.State.Revision + 1, xlreg.AllSeats(), "0=a 1=b", false},
	} {
		got := a.read(get(ref, func(r *wire.GetRequest) { r.Since, r.Which = &c.since, c.which }))
		if named(got) != c.want || (got.Since != nil) != c.delta || got.Sum != whole.Sum || got.Seats != xlreg.SeatsOf(0, 1) {
			t.Errorf("%s: %s, delta %t, seats %v", name, named(got), got.Since != nil, got.Seats)
		}
		if c.delta && *got.Since != c.since {
			t.Errorf("%s: said to be since %d", name, *got.Since)
		}
	}
	// Who leaves is news without a token.
	b.ask(wire.NewLeave(ref))
	got := a.read(get(ref, func(r *wire.GetRequest) { r.Since = &whole.State.Revision }))
	if len(got.Members) != 0 || got.Since == nil || got.Seats != xlreg.SeatsOf(0) || got.Sum == whole.Sum {
		t.Errorf("after a Leave: %s, seats %v", named(got), got.Seats)
	}
	if got.Sum != a.read(get(ref, nil)).Sum {
		t.Error("the sum is not that of the whole roster")
	}
}

// fill puts as many members as there may be into a cluster, each as large as it can be,
// without a connection for each.
func (w *world) fill(ref xlreg.ClusterRef, n int) {
	w.t.Helper()
	host := strings.Repeat(strings.Repeat("x", 50)+".", 4) + "example"
	for i := range n {
		set, err := keys.Generate(keys.P256, 256)
		if err != nil {
			w.t.Fatal(err)
		}
		tok := unsigned(set, fmt.Sprint("m", i))
		tok.Endpoints = nil
		for port := range xlreg.MaxEndpoints {
			tok.Endpoints = append(tok.Endpoints, xlreg.Endpoint(fmt.Sprint(host, ":", port+1)))
		}
		tok.Labels, _ = wire.EncodeLabels([]xlreg.Label{{Key: "k", Value: bytes.Repeat([]byte{1}, 2000)}})
		der := prove(w.t, tok, set)
		s := &registry.Session{Protocol: modernest, SigKey: set.SigKey, Certificate: der}
		if _, _, err := w.rules.Register(w.t.Context(), s, tok, registry.AllowAll); err != nil {
			w.t.Fatal(err)
		}
		if _, _, err := w.rules.Join(w.t.Context(), s, registry.JoinRequest{Ref: ref}, registry.AllowAll); err != nil {
			w.t.Fatal(err)
		}
	}
}

// What does not fit one message comes in several, and news that do not fit are no news.
func TestRostersPastOneMessage(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a := w.guest("a")
	c := a.create("c", xlreg.MaxClusterSize)
	ref := xlreg.ClusterRef{ID: c.ID}
	made := a.read(get(ref, nil)).State.Revision
	w.fill(ref, xlreg.MaxClusterSize)

	var members []xlreg.Member
	left := xlreg.AllSeats()
	var last *wire.RosterReply
	parts := 0
	for ; !left.IsEmpty(); parts++ {
		last = a.read(get(ref, func(r *wire.GetRequest) { r.Which, r.Sign = left, true }))
		if last.Given.IsEmpty() || !last.Given.Minus(left).IsEmpty() {
			t.Fatalf("%d given of %d", last.Given.Len(), left.Len())
		}
		left = left.Minus(last.Given)
		members = append(members, last.Members...)
	}
	if parts < 2 || len(members) != xlreg.MaxClusterSize || last.Seats != xlreg.AllSeats() {
		t.Errorf("%d members in %d parts", len(members), parts)
	}
	if sum := keys.RosterSum(&xlreg.Roster{Cluster: last.Cluster, State: last.State, Members: members}); sum != last.Sum {
		t.Error("the sum is not that of all parts")
	}
	got := a.read(get(ref, func(r *wire.GetRequest) { r.Since = &made }))
	if got.Since != nil || len(got.Members) == 0 || got.Given.Len() == xlreg.MaxClusterSize {
		t.Errorf("news of more than a message: %d tokens, said to be news: %t", len(got.Members), got.Since != nil)
	}
	for _, p := range protocols[:2] { // for which it is too large
		b := w.connect(p, testKeys()[1])
		b.register("a")
		b.refused(wire.NewGet(wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}, p), xlreg.ErrNoSuchClusterID, false)
	}
}

// A wait for another epoch ends with that, and is not disturbed by members.
func TestWaitForAnEpoch(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a, b := w.guest("a"), w.guest("b")
	ref := xlreg.ClusterRef{ID: a.create("c", 3).ID}
	fresh := func(p *peer, run xlreg.Run) {
		p.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: run, Fresh: true}))
	}
	fresh(a, "1")
	reader := w.connect(modernest, nil)
	epoch, millis := uint64(1), uint32(forEver)
	reader.send(get(ref, func(r *wire.GetRequest) { r.Wait, r.WaitEpoch, r.WaitMillis = true, &epoch, &millis }))
	until(func() bool { return w.server.Stats().Waiting == 1 })
	fresh(b, "1")
	if n := w.server.Stats().Waiting; n != 1 {
		t.Fatalf("%d wait after a Join", n)
	}
	fresh(a, "2")
	got, err := reader.receive().Roster(modernest)
	if err != nil || got.State.Epoch != 2 || named(got) != "0=a" {
		t.Errorf("%+v, %v", got, err)
	}
	old := reader.read(get(ref, func(r *wire.GetRequest) { r.Wait, r.WaitEpoch, r.WaitMillis = true, &epoch, &millis }))
	if old.State.Epoch != 2 {
		t.Errorf("epoch %d", old.State.Epoch)
	}
	none := reader.read(get(ref, func(r *wire.GetRequest) { r.WaitEpoch = &got.State.Epoch })) // at once
	if none.State.Epoch != 2 {
		t.Errorf("epoch %d", none.State.Epoch)
	}
}

// A reader that waits when its cluster goes is told so in the words of its question.
func TestWaitForAClusterThatGoes(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a := w.guest("a")
	owner, c := a.owned("c", 2)
	byID, byName := w.connect(modernest, nil), w.connect(modernest, nil)
	millis := uint32(forEver)
	for p, ref := range map[*peer]xlreg.ClusterRef{byID: {ID: c.ID}, byName: {Name: c.Name, Key: c.Key}} {
		p.send(get(ref, func(r *wire.GetRequest) { r.Wait, r.WaitMillis = true, &millis }))
	}
	until(func() bool { return w.server.Stats().Waiting == 2 })
	a.ask(signed(owner, xlreg.Order{Cluster: c.ID, Serial: 1, Kind: xlreg.OrderDelete}))
	if err := byID.receive().Err(); !errors.Is(err, xlreg.ErrNoSuchClusterID) {
		t.Errorf("named by ID: %v", err)
	}
	if err := byName.receive().Err(); !errors.Is(err, xlreg.ErrNoSuchClusterName) {
		t.Errorf("named by name: %v", err)
	}
}

// A signed roster can be verified by whoever knows the registry's key.
func TestSignedRosters(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a := w.guest("a")
	ref := xlreg.ClusterRef{ID: a.create("c", 2).ID}
	a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref}))
	reply := w.connect(modernest, nil).ask(get(ref, func(r *wire.GetRequest) { r.Sign = true }))
	got, err := reply.Roster(modernest)
	if err != nil {
		t.Fatal(err)
	}
	signature, ok := reply.Signed()
	if !ok {
		t.Fatal("not signed")
	}
	at := time.UnixMilli(int64(signature.Millis))
	if age := time.Since(at); age < -time.Second || age > time.Minute {
		t.Errorf("signed %v ago", age)
	}
	chain, err := keys.VerifyChain(signature.Chain, keys.Pin{SigKey: testKeys()[0].SigKey}, at)
	if err != nil {
		t.Fatal(err)
	}
	whole := &xlreg.Roster{Cluster: got.Cluster, State: got.State, Members: got.Members}
	if err := keys.VerifyRoster(chain.Leaf.PublicKey, keys.RosterSum(whole), signature.Millis, signature.Sig); err != nil {
		t.Error(err)
	}
	if plain := a.ask(get(ref, nil)); plain.Chain() != nil {
		t.Error("signed without having been asked to")
	}
}

// manualClock is a registry's clock that tests move.
type manualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*manualTimer]struct{}
}

type manualTimer struct {
	at time.Time
	f  func()
}

func newManualClock() *manualClock {
	return &manualClock{now: time.Now(), timers: make(map[*manualTimer]struct{})}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) Monotonic() time.Time { return c.Now() }

func (c *manualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{c.now.Add(d), f}
	c.timers[t] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.timers[t]
		delete(c.timers, t)
		return pending
	}
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	for t := range c.timers {
		if !t.at.After(c.now) {
			delete(c.timers, t)
			due = append(due, t.f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// A lease is renewed by the member's own requests about the cluster, and by nobody else's.
func TestLeases(t *testing.T) {
	clock := newManualClock()
	w := newWorldOf(t, registry.Config{Clock: clock}, guard.Limits{}, nil)
	a, b := w.guest("a"), w.guest("b")
	ref := xlreg.ClusterRef{ID: a.create("c", 3).ID}
	reply := a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Lease: 10 * time.Second}))
	if reply.Lease() != 10*time.Second {
		t.Errorf("a lease of %v", reply.Lease())
	}
	if reply := b.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Lease: time.Millisecond})); reply.Lease() != registry.DefaultMinLease {
		t.Errorf("the shortest lease is %v", reply.Lease())
	}
	b.ask(wire.NewLeave(ref))
	for range 4 {
		clock.advance(4 * time.Second)
		got := a.read(get(ref, nil))
		if len(got.Members) != 1 {
			t.Fatalf("members %s while the member asks", named(got))
		}
		state := got.Members[0].Token.Seat
		if state.Lease != 10*time.Second || clock.Now().Sub(state.Seen) > 5*time.Second {
			t.Errorf("a lease of %v, seen %v ago", state.Lease, clock.Now().Sub(state.Seen))
		}
	}
	clock.advance(11 * time.Second)
	until(func() bool {
		clock.advance(250 * time.Millisecond)
		return len(b.read(get(ref, nil)).Members) == 0
	})
}

// A seat that was taken for a new start goes with its connection, unless the server ends it.
func TestFreshSeatsGoWithConnections(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a, b := w.guest("a"), w.guest("b")
	ref := xlreg.ClusterRef{ID: a.create("c", 3).ID}
	reply := a.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: "1", Fresh: true}))
	if reply.Lease() != 30*time.Second {
		t.Errorf("a lease of %v while it waits for the others", reply.Lease())
	}
	b.ask(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: "1"}))
	if got := b.read(get(ref, nil)); named(got) != "0=a 1=b" {
		t.Fatalf("members %s", named(got))
	}
	since := b.read(get(ref, nil)).State.Revision
	a.conn.Close()
	millis := uint32(forEver)
	got := b.read(get(ref, func(r *wire.GetRequest) { r.Since, r.Wait, r.WaitMillis = &since, true, &millis }))
	if got.Seats != xlreg.SeatsOf(1) {
		t.Errorf("seats %v after the connection is gone", got.Seats)
	}
}

// What breaks the rules for runs and sets is refused before anything else is looked at.
func TestIllFormedRunsAndSets(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	a := w.guest("a")
	ref := xlreg.ClusterRef{ID: "x"} // which there is not
	a.refused(wire.NewJoin(wire.JoinRequest{Ref: ref, Run: xlreg.Run(strings.Repeat("r", 33))}), xlreg.ErrIllFormedToken, true)
	a.refused(wire.NewJoin(wire.JoinRequest{Ref: ref, Fresh: true}), xlreg.ErrIllFormedToken, true)
	a.refused(wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: "c", Key: "short"}}), xlreg.ErrIllFormedName, true)
	set := protowire.AppendBytes(protowire.AppendTag(nil, 36, protowire.BytesType), make([]byte, 129))
	a.refused(raw(t, uint64(wire.OpGetCluster), set), xlreg.ErrProtocol, false)
}

// Over a classic carrier there are neither members with other keys than RSA nor clusters
// with keys of their own.
func TestWhatClassicPeersSee(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{})
	modern := w.guest("m")
	c := modern.create("c", 3)
	modern.ask(wire.NewJoin(wire.JoinRequest{}))
	_, keyed := modern.owned("k", 3)
	for _, p := range protocols[:2] {
		old := w.connect(p, testKeys()[1])
		old.register("old")
		old.ask(wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}))
		got, err := old.ask(wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats()}, p)).Roster(p)
		if err != nil || named(got) != "1=old" {
			t.Errorf("over %v: %s, %v", p, named(got), err)
		}
		got, err = old.ask(waitFor(2, forEver)).Roster(p) // members are counted all the same
		if err != nil || named(got) != "1=old" {
			t.Errorf("over %v: %s, %v", p, named(got), err)
		}
		old.refused(wire.NewGet(wire.GetRequest{Ref: xlreg.ClusterRef{ID: keyed.ID}, Which: xlreg.AllSeats()}, p), xlreg.ErrNoSuchClusterID, false)
	}
	if got := modern.read(get(xlreg.ClusterRef{ID: c.ID}, nil)); named(got) != "0=m 1=old" || keys.HasProofs(&got.Members[1].Token) {
		t.Errorf("over 2.0: %s", named(got))
	}
}
