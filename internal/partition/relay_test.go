//go:build linux

package partition

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
)

// relay stands between clients and the registry as a firewall or a balancer does: both
// have TCP with it, and so neither system finds out when it forgets a connection.
type relay struct {
	world    *world
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	dead   chan struct{} // guarded by mu: closed when the connections of now carry nothing any more
	open   []net.Conn    // guarded by mu
	closed bool          // guarded by mu
}

// relayed leads the clients of a world through a relay of their own.
func relayed(t *testing.T, w *world) *relay {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &relay{world: w, dead: make(chan struct{})}
	err := within(w.clients, func() (err error) {
		r.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		r.listener.Close()
		r.closeAll()
		r.running.Wait()
	})
	r.running.Go(func() { r.serve(ctx) })
	w.target.Endpoints = []xlreg.Endpoint{xlreg.Endpoint(r.listener.Addr().String())}
	return r
}

func (r *relay) serve(ctx context.Context) {
	for {
		client, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.running.Go(func() { r.carry(ctx, client) })
		}
	}
}

// freeze keeps open what there is, forwards nothing more of it, and serves those who come.
func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.dead)
	r.dead = make(chan struct{})
}

// carry connects a client to the registry.
func (r *relay) carry(ctx context.Context, client net.Conn) {
	registry, err := r.world.DialContext(ctx, "tcp", registryAddr+":7700")
	if err != nil {
		client.Close()
		return
	}
	dead := r.keep(client, registry)
	var both sync.WaitGroup
	both.Go(func() { forward(client, registry, dead) })
	both.Go(func() { forward(registry, client, dead) })
	both.Wait()
}

func (r *relay) keep(conns ...net.Conn) (dead <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, conns...)
	if r.closed {
		closeEach(conns)
	}
	return r.dead
}

func (r *relay) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	closeEach(r.open)
}

func closeEach(conns []net.Conn) {
	for _, nc := range conns {
		nc.Close()
	}
}

// forward moves bytes until either end closes. Once the connection is dead it swallows
// them, and an end as well.
func forward(to, from net.Conn, dead <-chan struct{}) {
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-dead:
		default:
			if _, lost := to.Write(b[:n]); lost != nil || err != nil {
				to.Close()
				from.Close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}
