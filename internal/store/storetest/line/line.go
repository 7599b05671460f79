// Package line is the way between a server and its database, which tests cut and hold.
package line

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Line leads to one address. It can be cut, so that everything ends at once and nothing new
// begins; or held, so that nothing arrives until it is released, and then everything does.
type Line struct {
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	isCut bool                  // guarded by mu, as is all below
	held  chan struct{}         // closed when bytes may go on; nil: they may
	open  map[net.Conn]struct{} // both ends of each connection
}

// New returns a line to an address, which lasts as long as the test.
func New(t testing.TB, to string) *Line {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Line{to: to, listener: listener, open: make(map[net.Conn]struct{})}
	l.running.Go(func() { l.serve(ctx) })
	t.Cleanup(func() {
		stop()
		listener.Close()
		l.Cut()
		l.Release()
		l.running.Wait()
	})
	return l
}

// Addr is where the line begins.
func (l *Line) Addr() string { return l.listener.Addr().String() }

func (l *Line) serve(ctx context.Context) {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(ctx, from) })
	}
}

func (l *Line) carry(ctx context.Context, from net.Conn) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", l.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.keep(from, to) {
		return
	}
	defer l.drop(from, to)
	var back sync.WaitGroup
	back.Go(func() { l.forward(from, to) })
	l.forward(to, from)
	back.Wait()
}

func (l *Line) keep(from, to net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isCut {
		l.open[from], l.open[to] = struct{}{}, struct{}{}
	}
	return !l.isCut
}

func (l *Line) drop(from, to net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, from)
	delete(l.open, to)
}

// forward moves bytes until either end closes.
func (l *Line) forward(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if held := l.holds(); held != nil {
			<-held
		}
		if _, lost := to.Write(b[:n]); lost != nil || err != nil {
			return
		}
	}
}

func (l *Line) holds() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// Cut ends all connections, and lets none begin.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for nc := range l.open {
		nc.Close()
	}
}

// Hold keeps everything that is on its way.
func (l *Line) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(chan struct{})
	}
}

// Mend ends a cut.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

// Release ends a hold.
func (l *Line) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		close(l.held)
		l.held = nil
	}
}
