package registry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/keys"
)

// turns counts the signatures that are verified for a peer.
type turns struct{ taken, bad int }

func (n *turns) of(cred *registry.Session) *registry.Session {
	cred.Turn = func(context.Context) (func(bool), error) {
		n.taken++
		return func(good bool) {
			if !good {
				n.bad++
			}
		}, nil
	}
	return cred
}

// Who says the same again costs neither a write nor a look at its signature, over every
// carrier; and what is but a little different does.
func TestTheSameRegistrationCostsNothing(t *testing.T) {
	set := testKeys()[0]
	fresh, cred := modern(t, "a", set, end)
	for name, c := range map[string]struct {
		token *xlreg.Token
		cred  *registry.Session
		sign  func(*xlreg.Token)
		renew func(*xlreg.Token)
		made  int // writes of a new node
	}{
		"2.0": {fresh, cred, func(tok *xlreg.Token) {
			sig, err := keys.SignToken(set.Sig, tok)
			if err != nil {
				t.Fatal(err)
			}
			tok.DigSig2 = sig
		}, func(tok *xlreg.Token) { cred.Certificate = prove(t, tok, set).Certificate }, 2},
		"classic": {classic("a", set, "", end), classicSession(), func(tok *xlreg.Token) { sign(tok, set) },
			func(tok *xlreg.Token) { sign(tok, set) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			meter := storetest.NewMeter(memory.New())
			w, n := newWorldOn(t, meter), new(turns)
			token := *c.token
			say := func(want registry.Effect, verified, writes int) {
				t.Helper()
				*n = turns{}
				kept, did, err := w.Register(t.Context(), n.of(c.cred), &token, registry.AllowAll)
				_, used := meter.Take()
				if err != nil || did != want || n.taken != verified || used.Writes != writes {
					t.Errorf("Register did %v with %d writes and %d signatures verified, %v; want %v, %d, %d",
						did, used.Writes, n.taken, err, want, writes, verified)
				}
				token.ID = kept.ID
			}
			say(registry.MadeNew, 1, c.made)
			say(registry.Unchanged, 0, 0)
			c.sign(&token) // over 2.0 that is another signature
			say(registry.Unchanged, map[string]int{"2.0": 1}[name], 0)
			token.Endpoints = []xlreg.Endpoint{"10.0.0.9:1"}
			c.renew(&token)
			say(registry.Changed, 1, 1)
		})
	}
}

// That a token was verified says nothing of one that differs in any part.
func TestOnlyTheSameProofIsRemembered(t *testing.T) {
	w, sets := newWorld(t), testKeys()
	token := classic("ab", sets[0], "", "10.0.0.1:12", "10.0.0.1:3")
	if _, err := w.registerToken(token); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*xlreg.Token){
		"name":      func(t *xlreg.Token) { t.Name = "ac" },
		"attrs":     func(t *xlreg.Token) { t.Attrs = 2 },
		"comms key": func(t *xlreg.Token) { t.CommsKey = sets[1].CommsKey },
		"sig key":   func(t *xlreg.Token) { t.SigKey = sets[1].SigKey },
		"endpoints": func(t *xlreg.Token) { t.Endpoints = t.Endpoints[:1] },
		"signature": func(t *xlreg.Token) { t.DigSig = append([]byte{1}, t.DigSig[1:]...) },
	} {
		changed := *token
		change(&changed)
		n := new(turns)
		_, _, err := w.Register(t.Context(), n.of(classicSession()), &changed, registry.AllowAll)
		wantKind(t, err, xlreg.ErrBadSignature)
		if n.taken != 1 || n.bad != 1 {
			t.Errorf("%s: %d turns, %d of them wasted", name, n.taken, n.bad)
		}
	}
	_, err := w.LogIn(t.Context(), classicSession(), []byte("nobody"), nil)
	wantKind(t, err, xlreg.ErrBadSignature)
}

// A member that joins again as it is writes nothing for a minute, and then its time.
func TestTheSameJoinCostsNothing(t *testing.T) {
	meter := storetest.NewMeter(memory.New())
	w := newWorldOn(t, meter)
	c := w.create("c", 2)
	p := w.person("a")
	join := func(want registry.Effect) {
		t.Helper()
		meter.Take()
		_, did, err := w.Join(t.Context(), p.s, registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
		_, used := meter.Take()
		if err != nil || did != want || (used.Writes == 0) != (want == registry.Unchanged) {
			t.Errorf("Join did %v with %d writes, %v; want %v", did, used.Writes, err, want)
		}
	}
	w.clock.advance(34567 * time.Millisecond)
	join(registry.Changed)
	first := w.roster(c)
	if got := first.Members[0].Token.Seat.Joined; !got.Equal(w.clock.Now()) {
		t.Errorf("seat taken at %v, and the roster says %v", w.clock.Now(), got)
	}
	w.clock.advance(59 * time.Second)
	join(registry.Unchanged)
	if w.roster(c) != first {
		t.Error("the roster has changed")
	}
	w.clock.advance(time.Second)
	join(registry.Changed)
	if got := w.roster(c).Members[0].Token.Seat.Joined; !got.Equal(w.clock.Now()) {
		t.Errorf("joined at %v, a minute and a Join later it is %v", got, w.clock.Now())
	}
	w.clock.advance(-time.Hour)
	join(registry.Changed)

	// A seat that is taken anew has its own time, however soon that is.
	if _, err := w.Leave(t.Context(), p.s, xlreg.ClusterRef{ID: c.ID}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(1234 * time.Millisecond)
	join(registry.Changed)
	if got := w.roster(c).Members[0].Token.Seat.Joined; !got.Equal(w.clock.Now()) {
		t.Errorf("seat taken anew at %v, and the roster says %v", w.clock.Now(), got)
	}
}

// Whoever may write no more is told what is there, and refused all else.
func TestWritesMayBeForbidden(t *testing.T) {
	w, set := newWorld(t), testKeys()[0]
	ctx, ref := t.Context(), xlreg.ClusterRef{Name: "c"}
	w.create("c", 2)
	id := w.node("a", set, end)
	other := w.node("b", set, end)
	if _, _, err := w.Join(ctx, w.sessions[id], registry.JoinRequest{Ref: ref}, registry.AllowChange); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.Register(ctx, classicSession(), classic("a", set, id, "10.0.0.9:1"), registry.AllowNothing)
	wantKind(t, err, xlreg.ErrTooManyRequests)
	_, _, err = w.Create(ctx, reader(), xlreg.ClusterSpec{Name: "d"}, registry.AllowNothing)
	wantKind(t, err, xlreg.ErrTooManyRequests)
	_, _, err = w.Join(ctx, w.sessions[other], registry.JoinRequest{Ref: ref}, registry.AllowNothing)
	wantKind(t, err, xlreg.ErrTooManyRequests)
	_, err = w.Leave(ctx, w.sessions[id], ref, registry.AllowNothing)
	wantKind(t, err, xlreg.ErrTooManyRequests)

	_, _, again := w.Register(ctx, classicSession(), classic("a", set, id, end), registry.AllowNothing)
	_, _, created := w.Create(ctx, reader(), xlreg.ClusterSpec{Name: "c"}, registry.AllowNothing)
	_, _, joined := w.Join(ctx, w.sessions[id], registry.JoinRequest{Ref: ref}, registry.AllowNothing)
	if again != nil || created != nil || joined != nil {
		t.Errorf("what changes nothing: %v, %v, %v", again, created, joined)
	}
}

// What is kept has bounds, which count what was there at the start; those that are
// known go on.
func TestBoundsOnWhatIsKept(t *testing.T) {
	set := testKeys()[0]
	const nodes, clusters = 3, 2
	for name, bounds := range map[string]registry.Bounds{
		"nodes": {Nodes: nodes}, "clusters": {Clusters: clusters}, "bytes": {Bytes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Strict(t, memory.New())
			before := newWorldOn(t, s)
			var ids []xlreg.NodeID
			for i := range nodes {
				ids = append(ids, before.node(fmt.Sprint("n", i), set, end))
			}
			for i := range clusters {
				before.join(ids[0], before.create(fmt.Sprint("c", i), 2))
			}
			r, err := registry.New(registry.Config{Store: s, Self: self, Bounds: bounds, Clock: newFakeClock()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if now, was := r.Counted(), before.Counted(); now != was || now.Nodes != nodes || now.Clusters != clusters {
				t.Fatalf("counted %+v, and as it came to be %+v", now, was)
			}
			full := func(what string, err error, refused bool) {
				t.Helper()
				if !refused && err != nil || refused && (xlreg.RetryAfter(err) <= 0 || !isTooMany(err)) {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, _, err = r.Register(t.Context(), classicSession(), classic("new", set, "", end), registry.AllowAll)
			full("a new node", err, name != "clusters")
			_, _, err = r.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "new"}, registry.AllowAll)
			full("a new cluster", err, name != "nodes")
			_, _, err = r.Join(t.Context(), before.sessions[ids[1]], registry.JoinRequest{Ref: xlreg.ClusterRef{Name: "c0"}}, registry.AllowAll)
			full("a new seat", err, name == "bytes")
			_, _, err = r.Register(t.Context(), classicSession(), classic("n0", set, ids[0], "10.0.0.9:1"), registry.AllowAll)
			full("a node that is known", err, false)
			_, _, err = r.Join(t.Context(), before.sessions[ids[0]], registry.JoinRequest{Ref: xlreg.ClusterRef{Name: "c0"}}, registry.AllowAll)
			full("a seat that is taken", err, false)
			_, err = r.Leave(t.Context(), before.sessions[ids[0]], xlreg.ClusterRef{Name: "c0"}, registry.AllowAll)
			full("leaving", err, false)
		})
	}
}

func isTooMany(err error) bool {
	kind, _ := xlreg.KindOf(err)
	return kind == xlreg.ErrRegistryFull
}
