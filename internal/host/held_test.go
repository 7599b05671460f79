package host_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// sometimes is a store that others could share, and that can be lost.
type sometimes struct {
	store.Store

	mu   sync.Mutex
	is   bool          // guarded by mu
	turn chan struct{} // guarded by mu; closed when is changes
	hang chan struct{} // guarded by mu; a View waits until it is closed; nil: none does
	fail error         // guarded by mu; what a View returns
}

func newSometimes() *sometimes {
	return &sometimes{Store: memory.New(), is: true, turn: make(chan struct{})}
}

// Announce implements host.Shared.
func (s *sometimes) Announce(ctx context.Context, key string, value []byte) error {
	if err := s.Update(ctx, func(tx store.Writer) error { return tx.Put(key, value) }); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Connected implements host.Shared.
func (s *sometimes) Connected() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.is, s.turn
}

// View implements store.Store.
func (s *sometimes) View(ctx context.Context, f func(store.Reader) error) error {
	s.mu.Lock()
	hang, fail := s.hang, s.fail
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if fail != nil {
		return fail
	}
	return s.Store.View(ctx, f)
}

func (s *sometimes) set(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.is = is
	close(s.turn)
	s.turn = make(chan struct{})
}

// passedSocket returns a listening socket as a service manager passes one, and another
// on the same socket, as the manager keeps it.
func passedSocket(t *testing.T) (passed, kept net.Listener) {
	t.Helper()
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // like those of systemd
	kept, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	f, err := kept.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if passed, err = net.FileListener(f); err != nil {
		t.Fatal(err)
	}
	return passed, kept
}

// eventually waits until f is true, or fails the test.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	end, looks := time.After(patience), time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for !f() {
		select {
		case <-looks.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

const patience = time.Minute

// While the store is lost, a port that the service manager holds open turns clients away
// instead of letting them wait; when it is back they are served; and when the server has
// ended they wait for the next one.
func TestPortsOfTheServiceManager(t *testing.T) {
	st := newSometimes()
	t.Cleanup(func() { st.Store.Close() })
	passed, kept := passedSocket(t)
	r := start(t, newNode(t, "xlReg"), st, "", func(cfg *host.Config) {
		cfg.Listen, cfg.Listeners = nil, []net.Listener{passed}
	})
	if got := r.Bound(); len(got) != 1 || got[0] != kept.Addr().String() {
		t.Fatalf("bound %v, want %v", got, kept.Addr())
	}
	for range 2 {
		eventually(t, "served", r.Ready)
		if _, err := r.observed(t, ""); err != nil {
			t.Fatal(err)
		}
		st.set(false)
		eventually(t, "turned away", func() bool { return turnedAway(t, kept.Addr().String()) })
		if err := r.Alive(t.Context()); err != nil || r.Ready() || r.Connected() {
			t.Errorf("without the store: alive %v, ready %v", err, r.Ready())
		}
		st.set(true)
	}
	eventually(t, "served again", r.Ready)
	r.stop()
	nc, err := net.Dial("tcp", kept.Addr().String())
	if err != nil {
		t.Fatalf("after the end: %v", err)
	}
	defer nc.Close()
	next, err := kept.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
}

// While a server is drained such a port turns clients away, too, also when the store is lost
// and found again meanwhile; and afterwards it serves.
func TestDrainedPortsOfTheServiceManager(t *testing.T) {
	st := newSometimes()
	t.Cleanup(func() { st.Store.Close() })
	passed, kept := passedSocket(t)
	r := start(t, newNode(t, "xlReg"), st, "", func(cfg *host.Config) {
		cfg.Listen, cfg.Listeners = nil, []net.Listener{passed}
	})
	eventually(t, "served", r.Ready)
	drain := func(on bool) {
		t.Helper()
		if err := r.By("test", "").Drain(t.Context(), on); err != nil {
			t.Fatal(err)
		}
	}
	drain(true)
	away := func() bool { return turnedAway(t, kept.Addr().String()) }
	eventually(t, "turned away", away)
	st.set(false)
	eventually(t, "turned away without the store", away)
	st.set(true)
	drain(true)
	eventually(t, "still turned away", away)
	drain(false)
	eventually(t, "served again", r.Ready)
	if _, err := r.observed(t, ""); err != nil {
		t.Fatal(err)
	}
	drain(true) // and stop like that
	r.stop()
}

// turnedAway reports whether a connection is closed at once.
func turnedAway(t *testing.T, addr string) bool {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return true // reset before we knew that it was open
	}
	defer nc.Close()
	if err := nc.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = nc.Read(make([]byte, 1))
	var timeout net.Error
	return !(errors.As(err, &timeout) && timeout.Timeout())
}

func TestPassedSocketMustBeTCP(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	_, err = host.Open(host.Config{Node: newNode(t, "xlReg"), Store: memory.New(), Listeners: []net.Listener{l}})
	if err == nil {
		t.Fatal("a socket was served that clients cannot name")
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket was left open: %v", err)
	}
}

// A registry is alive while its store answers, and one that others share counts when it
// says that it cannot.
func TestAlive(t *testing.T) {
	data := memory.New()
	t.Cleanup(func() { data.Close() })
	own := &ownStore{&sometimes{Store: data}}
	r := start(t, newNode(t, "xlReg"), own, "127.0.0.1:0", func(*host.Config) {})
	eventually(t, "served", r.Ready)
	if err := r.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	broken := errors.New("input/output error")
	own.s.mu.Lock()
	own.s.fail = broken
	own.s.mu.Unlock()
	if err := r.Alive(t.Context()); !errors.Is(err, broken) {
		t.Errorf("a store that fails: %v", err)
	}
	hang := make(chan struct{})
	own.s.mu.Lock()
	own.s.hang, own.s.fail = hang, nil
	own.s.mu.Unlock()
	said := make(chan error)
	go func() { said <- r.Alive(t.Context()) }()
	select {
	case err := <-said:
		t.Errorf("a store that hangs: %v", err)
	case hang <- struct{}{}: // View waits
	}
	close(hang)
	if err := <-said; err != nil {
		t.Errorf("a store that hung: %v", err)
	}
}

// ownStore is a store of one server alone.
type ownStore struct{ s *sometimes }

func (o *ownStore) View(ctx context.Context, f func(store.Reader) error) error {
	return o.s.View(ctx, f)
}

func (o *ownStore) Update(ctx context.Context, f func(store.Writer) error) error {
	return o.s.Update(ctx, f)
}

func (o *ownStore) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return o.s.Watch(ctx, prefix, f)
}

func (o *ownStore) Close() error { return o.s.Close() }
