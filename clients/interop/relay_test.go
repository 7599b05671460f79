//go:build linux

package interop_test

import (
	"context"
	"net"
	"sync"
	"testing"
)

// relay stands between a server and its store. Once it is cut it says nothing more to
// either of them, which is what a network does that has lost a link.
type relay struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu   sync.Mutex
	cut  bool       // guarded by mu
	open []net.Conn // guarded by mu
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		l.Close()
		r.hangUp()
		r.running.Wait()
	})
	r.running.Go(func() { r.serve(ctx) })
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) serve(ctx context.Context) {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.carry(ctx, from) })
	}
}

func (r *relay) carry(ctx context.Context, from net.Conn) {
	to, err := new(net.Dialer).DialContext(ctx, "tcp", r.to)
	if err != nil {
		from.Close()
		return
	}
	r.mu.Lock()
	r.open = append(r.open, from, to)
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { r.forward(from, to) })
	both.Go(func() { r.forward(to, from) })
	both.Wait()
}

// forward moves bytes until either end closes. While the relay is cut it swallows them,
// and an end as well.
func (r *relay) forward(from, to net.Conn) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if r.isCut() {
			if err != nil {
				return
			}
			continue
		}
		if _, lost := to.Write(b[:n]); lost != nil || err != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

func (r *relay) isCut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

func (r *relay) setCut(cut bool) {
	r.mu.Lock()
	r.cut = cut
	r.mu.Unlock()
	if !cut {
		r.hangUp() // bytes are missing in what there is
	}
}

func (r *relay) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, nc := range r.open {
		nc.Close()
	}
	r.open = nil
}
