package linear

import (
	"context"
	"net"
	"sync"
	"testing"
)

// line is the way from one server to one address of its database. It can be cut, so that
// everything ends at once and nothing new begins; or held, so that nothing arrives until
// it is let go, and then everything does.
type line struct {
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	isCut bool                  // guarded by mu, as is all below
	held  chan struct{}         // closed when bytes may go on; nil: they may
	open  map[net.Conn]struct{} // both ends of each connection
}

// newLine returns a line that lasts as long as the test.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &line{to: to, listener: listener, open: make(map[net.Conn]struct{})}
	l.running.Go(func() { l.serve(ctx) })
	t.Cleanup(func() {
		stop()
		listener.Close()
		l.cut()
		l.release()
		l.running.Wait()
	})
	return l
}

func (l *line) addr() string { return l.listener.Addr().String() }

func (l *line) serve(ctx context.Context) {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(ctx, from) })
	}
}

func (l *line) carry(ctx context.Context, from net.Conn) {
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

func (l *line) keep(from, to net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isCut {
		l.open[from], l.open[to] = struct{}{}, struct{}{}
	}
	return !l.isCut
}

func (l *line) drop(from, to net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, from)
	delete(l.open, to)
}

// forward moves bytes until either end closes.
func (l *line) forward(to, from net.Conn) {
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

func (l *line) holds() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// cut ends all connections, and lets none begin.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for nc := range l.open {
		nc.Close()
	}
}

// hold keeps everything that is on its way.
func (l *line) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(chan struct{})
	}
}

// mend ends a cut.
func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

// release ends a hold.
func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		close(l.held)
		l.held = nil
	}
}

// lines are all that lead from one server to its database.
type lines []*line

// newLines returns those of each server to each of the addresses.
func newLines(t *testing.T, to ...string) [servers]lines {
	t.Helper()
	var all [servers]lines
	for i := range all {
		for _, addr := range to {
			all[i] = append(all[i], newLine(t, addr))
		}
	}
	return all
}

func (l lines) addrs() []string {
	all := make([]string, len(l))
	for i := range l {
		all[i] = l[i].addr()
	}
	return all
}

func (l lines) each(do func(*line)) {
	for _, one := range l {
		do(one)
	}
}
