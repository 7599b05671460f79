package registry_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKeys are shared: making them takes longer than all the tests.
var testKeys = sync.OnceValue(func() []*keys.Set {
	sets := make([]*keys.Set, 3)
	for i := range sets {
		k, err := keys.Generate(keys.RSA, 2048)
		if err != nil {
			panic(err)
		}
		sets[i] = k
	}
	return sets
})

const self = xlreg.NodeID("registry-itself-----")

// fakeClock is a clock that tests move.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	set    time.Duration // by how much somebody has set it
	timers map[*fakeTimer]struct{}
}

type fakeTimer struct {
	at time.Time
	f  func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.UnixMilli(1_700_000_000_123).UTC(), timers: make(map[*fakeTimer]struct{})}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Monotonic() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Add(-c.set)
}

// setBy sets the time of day, and nothing else goes on by that.
func (c *fakeClock) setBy(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.set += d
	for t := range c.timers {
		t.at = t.at.Add(d)
	}
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{at: c.now.Add(d), f: f}
	c.timers[t] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.timers[t]
		delete(c.timers, t)
		return pending
	}
}

// pending returns how many timers run.
func (c *fakeClock) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

func (c *fakeClock) advance(d time.Duration) {
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

// world is a registry over a memory store, and what a test needs around it.
type world struct {
	*registry.Registry
	t     *testing.T
	clock *fakeClock
	store store.Store

	sessions map[xlreg.NodeID]*registry.Session // in which nodes have registered
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, storetest.Strict(t, memory.New()))
}

func newWorldOn(t *testing.T, s store.Store) *world {
	t.Helper()
	clock := newFakeClock()
	r, err := registry.New(registry.Config{Store: s, Self: self, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		s.Close()
	})
	r.Counted() // a count that runs again would take what comes meanwhile twice
	return &world{Registry: r, t: t, clock: clock, store: s, sessions: make(map[xlreg.NodeID]*registry.Session)}
}

// classic returns a signed token as a classic client sends it.
func classic(name string, set *keys.Set, id xlreg.NodeID, ends ...xlreg.Endpoint) *xlreg.Token {
	t := &xlreg.Token{
		Name: xlreg.Name(name), ID: id, CommsKey: set.CommsKey, SigKey: set.SigKey, Endpoints: ends,
	}
	sign(t, set)
	return t
}

func sign(t *xlreg.Token, set *keys.Set) {
	sig, err := keys.SignClassic(set.Sig, t)
	if err != nil {
		panic(err)
	}
	t.DigSig = sig
}

// modern returns a signed token as a 2.0 client sends it, and its session.
func modern(t *testing.T, name string, set *keys.Set, ends ...xlreg.Endpoint) (*xlreg.Token, *registry.Session) {
	t.Helper()
	tok := &xlreg.Token{Name: xlreg.Name(name), CommsKey: set.CommsKey, SigKey: set.SigKey, Endpoints: ends}
	return tok, prove(t, tok, set)
}

// prove signs a token in every way that 2.0 asks for, and returns the session of a
// client that shows its certificate.
func prove(t *testing.T, tok *xlreg.Token, set *keys.Set) *registry.Session {
	t.Helper()
	var errs [4]error
	tok.Certificate, errs[0] = keys.NewCertificate(set.Sig, tok, time.Now(), time.Hour)
	tok.DigSig2, errs[1] = keys.SignToken(set.Sig, tok)
	tok.CommsSig, errs[2] = keys.SignComms(set.Comms, tok)
	shown, err := keys.BuildCertificate(tok)
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return &registry.Session{Protocol: xlreg.Protocol20, SigKey: set.SigKey, Certificate: shown}
}

// classicSession returns a new session over a classic carrier.
func classicSession() *registry.Session {
	return &registry.Session{Protocol: xlreg.Protocol19, Salt: []byte("8 bytes!")}
}

// reader returns a session of somebody who has not said who they are.
func reader() *registry.Session { return &registry.Session{Protocol: xlreg.Protocol20} }

func (w *world) registerToken(t *xlreg.Token) (xlreg.Token, error) {
	s := classicSession()
	kept, _, err := w.Register(w.t.Context(), s, t, registry.AllowAll)
	if err == nil {
		w.sessions[kept.ID] = s
	}
	return kept, err
}

// node registers a node over a classic carrier and returns its ID.
func (w *world) node(name string, set *keys.Set, ends ...xlreg.Endpoint) xlreg.NodeID {
	w.t.Helper()
	kept, err := w.registerToken(classic(name, set, "", ends...))
	if err != nil {
		w.t.Fatalf("register %s: %v", name, err)
	}
	return kept.ID
}

// member registers a node over 2.0, with keys of its own, and returns its session.
func (w *world) member(name string) *registry.Session {
	w.t.Helper()
	set, err := keys.Generate(keys.P256, 256)
	if err != nil {
		w.t.Fatal(err)
	}
	tok, s := modern(w.t, name, set, end)
	if _, _, err := w.Register(w.t.Context(), s, tok, registry.AllowAll); err != nil {
		w.t.Fatalf("register %s: %v", name, err)
	}
	return s
}

func (w *world) create(name string, size uint32) xlreg.Cluster {
	w.t.Helper()
	c, _, err := w.Create(w.t.Context(), reader(), xlreg.ClusterSpec{Name: name, MaxSize: size, EndpointCount: 1}, registry.AllowAll)
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return c.Cluster
}

func (w *world) join(id xlreg.NodeID, c xlreg.Cluster) int {
	w.t.Helper()
	seat, _, err := w.Join(w.t.Context(), w.sessions[id], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
	if err != nil {
		w.t.Fatalf("join: %v", err)
	}
	return seat.Index
}

func (w *world) roster(c xlreg.Cluster) *registry.Roster {
	w.t.Helper()
	r, err := w.Roster(w.t.Context(), xlreg.ClusterRef{ID: c.ID}, xlreg.Protocol20)
	if err != nil {
		w.t.Fatalf("roster: %v", err)
	}
	return r
}

func wantKind(t *testing.T, err error, kind xlreg.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want kind %q", err, kind)
	}
}

const end = xlreg.Endpoint("10.0.0.1:5000")
