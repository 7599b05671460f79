package admin

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/guard"
)

// gate lets in as many connections to a TCP port as there may be. When there is no room
// the oldest one that belongs to no admin makes room, so that nobody can keep admins out
// by holding connections open.
type gate struct {
	net.Listener
	bounds *Bounds
	turns  *guard.Turns
	fresh  *guard.Quota

	mu       sync.Mutex
	all      *list.List // guarded by mu; of *guest, the oldest first
	bySource map[guard.Source]int
}

func (s *Server) newGate(l *Listener) *gate {
	b := &s.cfg.Bounds
	return &gate{
		Listener: l.Listener, bounds: b, turns: s.turns,
		fresh: guard.NewQuota(guard.Rate{Source: b.ConnectionsPerMinute, Loopback: b.LoopbackPerMinute}),
		all:   list.New(), bySource: make(map[guard.Source]int),
	}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		nc, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := guard.SourceOfConn(nc)
		claim := g.fresh.Claim(from, time.Now(), 1)
		if !claim.Allowed() {
			refuseConn(nc)
			continue
		}
		c := &guest{Conn: nc, gate: g, from: from, loopback: addrOf(nc.RemoteAddr()).IsLoopback(), left: maxGreeting}
		loser := g.enter(c)
		if loser != nil {
			refuseConn(loser)
		}
		if loser != c {
			return c, nil
		}
	}
}

// refuseConn ends a connection at once: nothing more is to be kept for it.
func refuseConn(nc net.Conn) {
	if g, ok := nc.(*guest); ok {
		if tcp, ok := g.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close() // what is refused is of no interest
}

// enter adds a connection, and returns the one that has to go for it, if any; that may
// be the new one.
func (g *gate) enter(c *guest) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	perSource := g.bounds.ConnectionsPerAddress
	if c.loopback {
		perSource = g.bounds.ConnectionsLoopback
	}
	var loser *guest
	switch {
	case g.bySource[c.from] >= perSource:
		loser = g.oldest(func(other *guest) bool { return other.from == c.from })
	case g.all.Len() >= g.bounds.Connections:
		loser = g.oldest(func(*guest) bool { return true })
	default:
		g.add(c)
		return nil
	}
	if loser == nil {
		return c
	}
	g.drop(loser)
	g.add(c)
	return loser
}

// oldest returns the oldest connection that is no admin's, of those that match. mu is
// held.
func (g *gate) oldest(match func(*guest) bool) *guest {
	for e := g.all.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*guest); !c.admin && match(c) {
			return c
		}
	}
	return nil
}

// add needs mu held.
func (g *gate) add(c *guest) {
	c.place = g.all.PushBack(c)
	g.bySource[c.from]++
}

// drop needs mu held. It may be called again.
func (g *gate) drop(c *guest) {
	if c.place == nil {
		return
	}
	g.all.Remove(c.place)
	c.place = nil
	if g.bySource[c.from]--; g.bySource[c.from] == 0 {
		delete(g.bySource, c.from)
	}
}

func (g *gate) leave(c *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(c)
}

// keep notes that a connection is an admin's, who is not to be shut out.
func (g *gate) keep(c *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.admin = true
}

// maxGreeting is how many bytes a client may send before its first request is read: TLS
// would take hundreds of KiB, and keep room for them.
const maxGreeting = 48 << 10

var errGreeting = errors.New("handshake is too long")

// guest is a connection that has been let in.
type guest struct {
	net.Conn
	gate     *gate
	from     guard.Source
	loopback bool

	admin bool          // guarded by gate.mu
	place *list.Element // guarded by gate.mu; nil when it has left

	mu      sync.Mutex
	left    int    // guarded by mu; bytes that it may send yet; less than 0: any number
	endTurn func() // guarded by mu; nil: it has no turn
}

// Read implements net.Conn. Whoever is waited for needs no turn meanwhile.
func (c *guest) Read(b []byte) (int, error) {
	most, err := c.beforeRead(len(b))
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b[:most])
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left >= 0 {
		c.left -= min(n, c.left)
	}
	return n, err
}

func (c *guest) beforeRead(want int) (most int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
	if c.left == 0 {
		return 0, errGreeting
	}
	if c.left > 0 {
		want = min(want, c.left)
	}
	return want, nil
}

// release needs mu held.
func (c *guest) release() {
	if c.endTurn != nil {
		c.endTurn()
		c.endTurn = nil
	}
}

// Close implements net.Conn.
func (c *guest) Close() error {
	c.gate.leave(c)
	c.mu.Lock()
	c.release()
	c.mu.Unlock()
	return c.Conn.Close()
}

// takeTurn waits until the next step of a handshake may be computed.
func (c *guest) takeTurn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, headerTime)
	defer cancel()
	end, err := c.gate.turns.Wait(ctx, c.from)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
	c.endTurn = end
	return nil
}

// guestKey is that of the *guest in the context of a connection.
type guestKey struct{}

func (g *gate) connContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, guestOf(nc))
}

// connState notes that the first request of a connection has been read.
func (g *gate) connState(nc net.Conn, state http.ConnState) {
	if state != http.StateActive {
		return
	}
	if c := guestOf(nc); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.release()
		c.left = -1
	}
}

func guestOf(nc net.Conn) *guest {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*guest)
	return c
}

// welcome notes that the connection a request came by is an admin's.
func welcome(r *http.Request) {
	if c, _ := r.Context().Value(guestKey{}).(*guest); c != nil {
		c.gate.keep(c)
	}
}
