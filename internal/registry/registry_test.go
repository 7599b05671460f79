package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/keys"
)

func TestRegisterIssuesAnID(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("a", testKeys()[0], end), w.node("a", testKeys()[0], end)
	if len(a) != xlreg.LongIDLen || a == b {
		t.Errorf("IDs %v and %v: want two different ones of 32 bytes", a, b)
	}
}

func TestShortIDs(t *testing.T) {
	s := memory.New()
	defer s.Close()
	r, err := registry.New(registry.Config{Store: s, Self: self, IDLen: xlreg.ShortIDLen})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kept, did, err := r.Register(t.Context(), classicSession(), classic("a", testKeys()[0], "", end), registry.AllowAll)
	if err != nil || did != registry.MadeNew || len(kept.ID) != xlreg.ShortIDLen {
		t.Errorf("Register = %v, %v, %v", kept.ID, did, err)
	}
	c, _, err := r.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "c"}, registry.AllowAll)
	if err != nil || len(c.Cluster.ID) != xlreg.ShortIDLen {
		t.Errorf("Create = %v, %v", c.Cluster.ID, err)
	}
	if _, err := registry.New(registry.Config{Store: s, Self: self, IDLen: 16}); err == nil {
		t.Error("IDs of 16 bytes accepted")
	}
}

func TestRegisterProposedID(t *testing.T) {
	w := newWorld(t)
	sets := testKeys()
	id := xlreg.NodeID(strings.Repeat("x", xlreg.ShortIDLen))
	c := w.create("c", 2)

	if kept, err := w.registerToken(classic("a", sets[0], id, end)); err != nil || kept.ID != id {
		t.Fatalf("unknown ID: %v, %v", kept.ID, err)
	}
	again := classic("b", sets[0], id, "10.0.0.2:1")
	again.Attrs = 0xF0 | xlreg.AttrSolo
	sign(again, sets[0])
	kept, err := w.registerToken(again)
	if err != nil || kept.Name != "b" || kept.Attrs != xlreg.AttrSolo || kept.Endpoints[0] != "10.0.0.2:1" {
		t.Errorf("the same key: %+v, %v", kept, err)
	}
	_, err = w.registerToken(classic("a", sets[1], id, end))
	wantKind(t, err, xlreg.ErrIDInUse)
	_, err = w.registerToken(classic("a", sets[0], xlreg.NodeID(c.ID), end))
	wantKind(t, err, xlreg.ErrIDInUse)
	_, err = w.registerToken(classic("a", sets[0], self, end))
	wantKind(t, err, xlreg.ErrIDInUse)
}

func TestRegisterVerifies(t *testing.T) {
	w := newWorld(t)
	sets := testKeys()
	forged := classic("a", sets[0], "", end)
	forged.Name = "b"
	_, err := w.registerToken(forged)
	wantKind(t, err, xlreg.ErrBadSignature)

	tok, cred := modern(t, "m", sets[0], end)
	register := func(tok *xlreg.Token, cred *registry.Session) (xlreg.Token, error) {
		kept, _, err := w.Register(t.Context(), cred, tok, registry.AllowAll)
		return kept, err
	}
	kept, err := register(tok, cred)
	if err != nil || kept.DigSig2 == nil || kept.Certificate == nil {
		t.Fatalf("good token: %v, signature kept %t, certificate kept %t", err, kept.DigSig2 != nil, kept.Certificate != nil)
	}
	_, err = register(tok, &registry.Session{Protocol: xlreg.Protocol20})
	wantKind(t, err, xlreg.ErrIdentityRequired)

	_, other := modern(t, "m", sets[1], end)
	_, err = register(tok, other)
	wantKind(t, err, xlreg.ErrIllFormedToken)

	_, fresh := modern(t, "m", sets[0], end) // another certificate of the same key
	_, err = register(tok, fresh)
	wantKind(t, err, xlreg.ErrIllFormedToken)

	oneKey := *tok
	oneKey.CommsSig = nil
	_, err = register(&oneKey, cred)
	wantKind(t, err, xlreg.ErrBadSignature)

	unsigned := *tok
	unsigned.DigSig2 = nil
	_, err = register(&unsigned, cred)
	wantKind(t, err, xlreg.ErrBadSignature)

	strange := *tok
	strange.Attrs = 8
	_, err = register(&strange, cred)
	wantKind(t, err, xlreg.ErrIllFormedToken)
}

// Who admits only some keys lets others read, however good their signatures are.
func TestAdmit(t *testing.T) {
	s := memory.New()
	defer s.Close()
	sets := testKeys()
	r, err := registry.New(registry.Config{Store: s, Self: self, Admit: func(k xlreg.SigKey) bool { return k == sets[0].SigKey }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	register := func(k *keys.Set) error {
		token, cred := modern(t, "a", k, end)
		_, _, modernErr := r.Register(t.Context(), cred, token, registry.AllowAll)
		_, _, classicErr := r.Register(t.Context(), classicSession(), classic("a", k, "", end), registry.AllowAll)
		if (modernErr == nil) != (classicErr == nil) {
			t.Errorf("over 2.0 %v, over 1.9 %v", modernErr, classicErr)
		}
		return modernErr
	}
	if err := register(sets[0]); err != nil {
		t.Errorf("a key that is admitted: %v", err)
	}
	wantKind(t, register(sets[1]), xlreg.ErrKeyNotAdmitted)
}

// The certificate that is shown must be the one that follows from the token, byte for byte.
func TestCertificateOfAnotherForm(t *testing.T) {
	w := newWorld(t)
	set := testKeys()[0]
	tok, session := modern(t, "m", set, end)
	named := *tok
	named.Name = "another"
	if sig, err := keys.SignToken(set.Sig, &named); err == nil {
		named.DigSig2 = sig
	}
	_, _, err := w.Register(t.Context(), session, &named, registry.AllowAll)
	wantKind(t, err, xlreg.ErrIllFormedToken)
}

func TestClassicRegistrationDropsProof(t *testing.T) {
	w := newWorld(t)
	set := testKeys()[0]
	tok, cred := modern(t, "m", set, end)
	kept, _, err := w.Register(t.Context(), cred, tok, registry.AllowAll)
	if err != nil {
		t.Fatal(err)
	}
	sameKey := &registry.Session{Protocol: xlreg.Protocol20, SigKey: set.SigKey}
	logged, err := w.LogIn(t.Context(), sameKey, kept.ID.Bytes(), nil)
	if err != nil || logged.DigSig2 == nil || logged.Certificate == nil {
		t.Fatalf("logging in changed the node: %v", err)
	}
	again, err := w.registerToken(classic("m", set, kept.ID, end))
	if err != nil || again.DigSig2 != nil || again.Certificate != nil || again.DigSig != nil {
		t.Errorf("after a classic registration: %+v, %v", again, err)
	}
}

func TestLogIn(t *testing.T) {
	w := newWorld(t)
	sets := testKeys()
	id := w.node("a", sets[0], end)
	classicSig := func(k *keys.Set, salt string) []byte {
		sig, err := keys.SignLogin(k.Sig, []byte(salt), id)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	salt := string(classicSession().Salt)
	modernCred := func(k *keys.Set) *registry.Session {
		return &registry.Session{Protocol: xlreg.Protocol20, SigKey: k.SigKey}
	}
	for _, c := range []struct {
		name string
		cred *registry.Session
		id   []byte
		sig  []byte
		want error
	}{
		{"classic", classicSession(), id.Bytes(), classicSig(sets[0], salt), nil},
		{"classic, other key", classicSession(), id.Bytes(), classicSig(sets[1], salt), xlreg.ErrBadSignature},
		{"classic, replayed", classicSession(), id.Bytes(), classicSig(sets[0], "another!"), xlreg.ErrBadSignature},
		{"classic, unsigned", classicSession(), id.Bytes(), nil, xlreg.ErrBadSignature},
		{"classic, unknown", classicSession(), make([]byte, 20), classicSig(sets[0], salt), xlreg.ErrBadSignature},
		{"no ID at all", classicSession(), nil, nil, xlreg.ErrBadSignature},
		{"2.0", modernCred(sets[0]), id.Bytes(), nil, nil},
		{"2.0, other key", modernCred(sets[1]), id.Bytes(), nil, xlreg.ErrBadSignature},
		{"2.0, no certificate", &registry.Session{Protocol: xlreg.Protocol20}, id.Bytes(), nil, xlreg.ErrIdentityRequired},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, err := w.LogIn(t.Context(), c.cred, c.id, c.sig)
			if !errors.Is(err, c.want) || err == nil && node.ID != id {
				t.Errorf("LogIn = %v, %v; want %v", node.ID, err, c.want)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	create := func(spec xlreg.ClusterSpec) (xlreg.Cluster, bool, error) {
		c, did, err := w.Create(t.Context(), reader(), spec, registry.AllowAll)
		return c.Cluster, did == registry.MadeNew, err
	}
	first, isNew, err := create(xlreg.ClusterSpec{Name: "c", MaxSize: 5, EndpointCount: 2, Attrs: 0xFF})
	want := xlreg.Cluster{ID: first.ID, Name: "c", Attrs: 7, MaxSize: 5, EndpointCount: 2}
	want.Attrs, want.Name = xlreg.KnownClusterAttrs, first.Name // the unique bit was set
	if err != nil || !isNew || first != want || first.Name == "c" {
		t.Errorf("Create = %+v, %v, %v", first, isNew, err)
	}
	plain, _, _ := create(xlreg.ClusterSpec{Name: "d", MaxSize: 1, EndpointCount: 0})
	if plain.Name != "d" || plain.MaxSize != xlreg.MinClusterSize || plain.EndpointCount != 1 {
		t.Errorf("clamped up: %+v", plain)
	}
	again, isNew, err := create(xlreg.ClusterSpec{Name: "d", MaxSize: 9, Attrs: 1})
	if err != nil || isNew || again != plain {
		t.Errorf("created again: %+v, %v, %v", again, isNew, err)
	}
	large, _, _ := create(xlreg.ClusterSpec{Name: "e", MaxSize: 1 << 31, EndpointCount: 1 << 31})
	if large.MaxSize != xlreg.MaxClusterSize || large.EndpointCount != xlreg.MaxEndpoints {
		t.Errorf("clamped down: %+v", large)
	}
	_, _, err = create(xlreg.ClusterSpec{Name: "1st"})
	wantKind(t, err, xlreg.ErrIllFormedName)
}

func TestUniqueNames(t *testing.T) {
	w := newWorld(t)
	seen := make(map[xlreg.Name]bool)
	for _, name := range []string{"", "", "stem", "stem", strings.Repeat("n", xlreg.MaxNameLen)} {
		made, did, err := w.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: name, Attrs: xlreg.ClusterUnique}, registry.AllowAll)
		c := made.Cluster
		if err != nil || did != registry.MadeNew || seen[c.Name] || c.Name.Validate() != nil {
			t.Fatalf("Create(%q) = %+v, %v, %v", name, c, did, err)
		}
		seen[c.Name] = true
		stem, suffix, _ := strings.Cut(string(c.Name), "-")
		if len(suffix) != 16 || strings.Trim(suffix, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("suffix of %q", c.Name)
		}
		if name == "" && stem != "c" || name == "stem" && stem != "stem" {
			t.Errorf("stem of %q", c.Name)
		}
	}
}

func TestNewRecordsMayBeForbidden(t *testing.T) {
	w := newWorld(t)
	ctx, set := t.Context(), testKeys()[0]
	_, _, err := w.Register(ctx, classicSession(), classic("a", set, "", end), registry.AllowChange)
	wantKind(t, err, xlreg.ErrTooManyRequests)
	_, _, err = w.Create(ctx, reader(), xlreg.ClusterSpec{Name: "c"}, registry.AllowChange)
	wantKind(t, err, xlreg.ErrTooManyRequests)

	id, c := w.node("a", set, end), w.create("c", 2)
	if _, _, err := w.Register(ctx, classicSession(), classic("a", set, id, end), registry.AllowChange); err != nil {
		t.Errorf("registering a known node again: %v", err)
	}
	if got, _, err := w.Create(ctx, reader(), xlreg.ClusterSpec{Name: "c"}, registry.AllowChange); err != nil || got.Cluster != c {
		t.Errorf("asking for a cluster that exists: %v, %v", got, err)
	}
}

func TestJoinTakesTheLowestFreeSeat(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 4)
	ids := make([]xlreg.NodeID, 3)
	for i := range ids {
		ids[i] = w.node(fmt.Sprint("n", i), testKeys()[i], end)
		if got := w.join(ids[i], c); got != i {
			t.Errorf("joiner %d sits at %d", i, got)
		}
	}
	if _, err := w.Leave(t.Context(), w.sessions[ids[1]], xlreg.ClusterRef{Name: "c"}, registry.AllowAll); err != nil {
		t.Fatal(err)
	}
	if got := w.roster(c).Seats(); got != xlreg.SeatsOf(0, 2) {
		t.Errorf("after one left: seats %b", got.Word())
	}
	_, err := w.Leave(t.Context(), w.sessions[ids[1]], xlreg.ClusterRef{Name: "c"}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrNotMember)
	if got := w.join(w.node("n9", testKeys()[1], end), c); got != 1 {
		t.Errorf("the next one sits at %d, want the seat left", got)
	}
}

func TestJoinFaultsInOrder(t *testing.T) {
	sets := testKeys()
	w := newWorld(t)
	c := w.create("full", 2)
	a, b := w.node("a", sets[0], end), w.node("b", sets[0], end)
	w.join(a, c)
	w.join(b, c)
	wide, _, _ := w.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "wide", MaxSize: 9, EndpointCount: 2}, registry.AllowAll)

	for _, tc := range []struct {
		name string
		node xlreg.NodeID
		ref  xlreg.ClusterRef
		want error
	}{
		{"no such ID", a, xlreg.ClusterRef{ID: "nothing", Name: "full"}, xlreg.ErrNoSuchClusterID},
		{"no such name", a, xlreg.ClusterRef{Name: "nothing"}, xlreg.ErrNoSuchClusterName},
		{"none named", a, xlreg.ClusterRef{}, xlreg.ErrNoClusterNamed},
		{"own seat", a, xlreg.ClusterRef{ID: c.ID}, nil},
		{"name before full", w.node("a", sets[1]), xlreg.ClusterRef{ID: c.ID}, xlreg.ErrMemberNameInUse},
		{"full before endpoints", w.node("x", sets[1]), xlreg.ClusterRef{ID: c.ID}, xlreg.ErrClusterFull},
		{"endpoints", w.node("x", sets[1], end), xlreg.ClusterRef{ID: wide.Cluster.ID}, xlreg.ErrTooFewEndpoints},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := w.roster(c)
			_, _, err := w.Join(t.Context(), w.sessions[tc.node], registry.JoinRequest{Ref: tc.ref}, registry.AllowAll)
			if !errors.Is(err, tc.want) {
				t.Errorf("Join: %v, want %v", err, tc.want)
			}
			if err != nil && w.roster(c) != before {
				t.Error("a refused join changed the roster")
			}
		})
	}
}

func TestTakeOver(t *testing.T) {
	w := newWorld(t)
	sets := testKeys()
	c := w.create("c", 2)
	old := w.node("a", sets[0], end)
	other := w.node("b", sets[0], end)
	w.join(old, c)
	w.join(other, c)

	again := w.node("a", sets[0]) // lost its ID, and has no endpoints yet
	if got := w.join(again, c); got != 0 {
		t.Errorf("came back to seat %d, want its own", got)
	}
	if m := w.roster(c).Members[0]; m.Token.ID != again {
		t.Errorf("seat 0 is %v's, want the new ID's", m.Token.ID)
	}

	// A member that takes the name of another one is refused whatever its key.
	if _, err := w.registerToken(classic("a", sets[0], other, end)); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.Join(t.Context(), w.sessions[other], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrMemberNameInUse)
}

func TestStoreFailureIsTryLater(t *testing.T) {
	w := newWorldOn(t, brokenStore{memory.New()})
	_, _, err := w.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "c"}, registry.AllowAll)
	wantKind(t, err, xlreg.ErrTryLater)
	if xlreg.RetryAfter(err) <= 0 || !errors.Is(err, errDisk) {
		t.Errorf("retry after %v, cause kept for the log %t", xlreg.RetryAfter(err), errors.Is(err, errDisk))
	}
}

var errDisk = errors.New("no space left on device")

// brokenStore cannot write.
type brokenStore struct{ store.Store }

func (brokenStore) Update(context.Context, func(store.Writer) error) error { return errDisk }

// What the rules use of a store is far within what the contract allows, whatever the
// size of a cluster: a Join reads its own seat and not all of them.
func TestRulesUseLittle(t *testing.T) {
	meter := storetest.NewMeter(memory.New())
	w := newWorldOn(t, meter)
	ctx := t.Context()
	const size = 128
	c := w.create("c", size)
	var members []*registry.Session
	for i := range size {
		members = append(members, w.member(fmt.Sprint("n", i)))
	}
	most := func(what string, reads, writes int) {
		t.Helper()
		view, update := meter.Take()
		if update.Reads > reads || update.Writes > writes || update.Scans > 0 || view.Reads > reads {
			t.Errorf("%s: an update %+v and a view %+v, want %d reads and %d writes at most", what, update, view, reads, writes)
		}
	}
	join := func() {
		t.Helper()
		for _, s := range members {
			if _, _, err := w.Join(ctx, s, registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll); err != nil {
				t.Fatal(err)
			}
		}
	}
	most("register and create", 4, 2)
	join()
	most("join", 6, 4)
	w.clock.advance(2 * time.Minute)
	join()
	most("join again", 8, 1)
	w.roster(c)
	most("roster", 2, 0)
	for _, s := range members {
		if _, err := w.Leave(ctx, s, xlreg.ClusterRef{Name: "c"}, registry.AllowAll); err != nil {
			t.Fatal(err)
		}
	}
	most("leave", 8, 4)
}
