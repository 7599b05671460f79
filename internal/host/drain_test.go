package host_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
)

// losable is a store that others share, which a test says is out of reach.
type losable struct {
	*mirror.Store

	mu     sync.Mutex
	lost   bool          // guarded by mu
	turned chan struct{} // guarded by mu
}

func (l *losable) Connected() (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.lost, l.turned
}

func (l *losable) set(lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = lost
	close(l.turned)
	l.turned = make(chan struct{})
}

func isOpen(r *running) bool {
	nc, err := net.Dial("tcp", r.Bound()[0])
	if err == nil {
		_ = nc.Close()
	}
	return err == nil
}

// A server that is drained stays so when it loses its store and finds it again, and comes
// back only when both are over.
func TestDrainWithoutAStore(t *testing.T) {
	st := mirror.Open(mirrortest.New().Connect(mirrortest.Faults{}), mirror.Options{Limits: mirror.Limits{Compares: 128, Changes: 128}, Timeout: time.Minute})
	t.Cleanup(func() { _ = st.Close() })
	data := &losable{Store: st, turned: make(chan struct{})}
	var _ host.Shared = data
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	by := r.By("somebody", "here")
	eventually(t, "the server does not begin", r.Ready)

	if err := by.Drain(ctx, true); err != nil {
		t.Fatal(err)
	}
	data.set(true)
	data.set(false)
	eventually(t, "the server does not serve", func() bool { return by.Drain(ctx, true) == nil })
	if isOpen(r) || r.Ready() {
		t.Error("a server that is drained has opened its ports with its store")
	}
	data.set(true)
	if err := by.Drain(ctx, false); err != nil {
		t.Fatal(err)
	}
	data.set(false)
	eventually(t, "the server does not come back", func() bool { return r.Ready() && isOpen(r) })

	data.set(true)
	eventually(t, "a server without a store is open", func() bool { return !isOpen(r) })
	if err := by.Drain(ctx, true); err != nil {
		t.Fatal(err)
	}
	data.set(false)
	if err := by.Drain(ctx, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server does not come back again", func() bool { return r.Ready() && isOpen(r) })
}
