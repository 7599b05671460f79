package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
)

// mostArrivals is how many connections may be between their coming and the Accept
// that takes them. If more come, the oldest are dropped, so that peers that say nothing
// cannot keep others out.
const mostArrivals = 256

// Listen accepts members on l, which from then on belongs to what it returns. Each
// connection that its Accept returns is a *Conn, has its handshake behind it, and
// is from another member of the roster at that moment; others are closed, and
// logged. Handshakes take ten seconds at most and wait for none other, so one peer
// that says nothing holds up no other. Close ends those under way; connections
// that Accept returned stay open. Members that compare what they see of the cluster are
// answered on the side, by SumALPN.
//
// If some members are not verified, the error names them and is ErrUnverified, and
// l is as before; see TLSConfig.
//
// An http.Server knows TLS only by TLSConfig: there use ServeTLS on l itself, and
// Roster.ByCertificate on the request's TLS.PeerCertificates[0].
func (m *Membership) Listen(l net.Listener) (net.Listener, error) {
	if err := m.checkCertificates(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &acceptor{
		Listener: l, m: m, cancel: cancel,
		handshake: handshake{role: tls.Server, judge: m.judge(), config: m.config(), sums: true},
		ready:     make(chan accepted), ended: make(chan struct{}),
	}
	a.work.Go(func() { a.run(ctx) })
	return a, nil
}

// acceptor is what Listen returns.
type acceptor struct {
	net.Listener // beneath the TLS
	m            *Membership
	handshake    handshake
	cancel       context.CancelFunc // ends all handshakes
	work         sync.WaitGroup
	ready        chan accepted
	ended        chan struct{} // closed when nothing comes any more
	err          error         // why; set before ended is closed

	closing  sync.Once
	closeErr error // set by closing

	mu       sync.Mutex
	arrivals []*arrival // guarded by mu: not taken by Accept yet, in the order they came
}

// accepted is what one Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// arrival is one connection until Accept takes it.
type arrival struct {
	net.Conn
	cancel context.CancelFunc // gives it up
}

// Accept implements net.Listener.
func (a *acceptor) Accept() (net.Conn, error) {
	select {
	case got := <-a.ready:
		return got.conn, got.err
	case <-a.ended:
		return nil, a.err
	}
}

// Close implements net.Listener. It waits until nothing is under way any more.
func (a *acceptor) Close() error {
	a.closing.Do(func() {
		a.cancel()
		a.closeErr = a.Listener.Close()
		a.work.Wait()
	})
	return a.closeErr
}

// run lets connections come until the listener is closed, by Close or beneath it.
// An error that may pass, such as too many open files, is returned by Accept, whose
// caller decides how long to wait.
func (a *acceptor) run(ctx context.Context) {
	defer close(a.ended)
	defer a.cancel()
	for {
		nc, err := a.Listener.Accept()
		if err == nil {
			a.come(ctx, nc)
			continue
		}
		if a.err = err; ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case a.ready <- accepted{err: err}:
		case <-ctx.Done():
			return
		}
	}
}

func (a *acceptor) come(ctx context.Context, nc net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	one := &arrival{Conn: nc, cancel: cancel}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.arrivals) == mostArrivals {
		a.arrivals[0].cancel()
		a.arrivals = a.arrivals[1:]
	}
	a.arrivals = append(a.arrivals, one)
	a.work.Go(func() { a.greet(ctx, one) })
}

// greet shakes hands and waits for an Accept to take the connection.
func (a *acceptor) greet(ctx context.Context, one *arrival) {
	defer a.gone(one)
	c, err := a.handshake.shake(ctx, one.Conn)
	if err != nil {
		a.m.o.Logger.Info("connection of no member", "peer", one.RemoteAddr().String(), "err", err)
		return
	}
	if c.ConnectionState().NegotiatedProtocol == SumALPN {
		a.serveSums(ctx, c)
		return
	}
	select {
	case a.ready <- accepted{conn: c}:
	case <-ctx.Done():
		one.Close()
	}
}

// serveSums answers a member that compares, and is not for Accept.
func (a *acceptor) serveSums(ctx context.Context, c *Conn) {
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	if err := a.m.ServeSums(c.Conn); err != nil && ctx.Err() == nil {
		a.m.o.Logger.Debug("comparison broken off", "peer", c.RemoteAddr().String(), "err", err)
	}
}

func (a *acceptor) gone(one *arrival) {
	one.cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrivals = slices.DeleteFunc(a.arrivals, func(other *arrival) bool { return other == one })
}
