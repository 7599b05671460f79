package session

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// link is the connection below a session. It is a net.Conn, so that TLS can
// stand on it.
type link struct {
	net.Conn
	early []byte // read to find out which carrier it is; Read returns it first

	release func()    // gives back the turn that the handshake has; nil if it has none
	turned  bool      // the handshake has had its turn
	hello   *patience // with a client's handshake; nil if only its context bounds it

	reading, writing pace
	sending          bool          // a Send or a handshake is under way, with its own deadline
	write            time.Duration // for what TLS writes of its own accord

	closing sync.Once
	closed  chan struct{}
}

func newLink(nc net.Conn) *link {
	return &link{
		Conn:    nc,
		reading: pace{clock: clock{set: nc.SetReadDeadline}},
		writing: pace{clock: clock{set: nc.SetWriteDeadline}},
		sending: true,
		closed:  make(chan struct{}),
	}
}

// begin ends the handshake, and with it the deadlines that it had, and starts the
// session.
func (l *link) begin(limits Limits) {
	l.sending = false
	l.write = limits.Write
	l.reading.expect(0, 0)
}

// Read returns the bytes read early and then those of the connection.
func (l *link) Read(b []byte) (int, error) {
	if len(l.early) == 0 {
		n, err := l.Conn.Read(b)
		l.reading.moved(n)
		return n, err
	}
	n := copy(b, l.early)
	l.early = l.early[n:]
	if len(l.early) == 0 {
		l.early = nil
	}
	return n, nil
}

// Write writes within the deadline of the Send under way. TLS also writes while
// it reads, to answer a new key; a peer that does not take the answer must not
// hold the reader. A deadline that passes when some of b was taken is no end: the peer
// is slow, and how slow it may be is for the pace to say.
func (l *link) Write(b []byte) (int, error) {
	if !l.sending {
		l.writing.begin(l.write)
	}
	l.endTurn()
	written := 0
	for {
		n, err := l.Conn.Write(b[written:])
		written += n
		l.writing.moved(n)
		if n == 0 || !timedOut(err) {
			return written, err
		}
	}
}

// Close closes the connection, once.
func (l *link) Close() error {
	var err error
	l.closing.Do(func() {
		close(l.closed)
		err = l.Conn.Close()
	})
	return err
}

// addr returns the peer's address, and zero if the connection is not over IP.
func (l *link) addr() netip.AddrPort {
	a, ok := l.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// clock sets the deadlines of one direction of a connection. One call of Send, Receive or
// Hold uses it at a time. When the context of a call ends, its reads and writes must fail
// at once, so the deadline is set to a time in the past. After that, timeouts of the same
// call cannot move it. A context that ends after its call is over does not touch the
// deadline of the next call.
type clock struct {
	set func(time.Time) error

	mu   sync.Mutex
	call uint64    // guarded by mu; counts the calls, so that each knows its own
	over bool      // guarded by mu; the context of this call has ended
	at   time.Time // guarded by mu; what set was given last
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// follow begins a call under ctx. The call ends with release.
func (c *clock) follow(ctx context.Context) (release func()) {
	call := c.next()
	if ctx.Done() == nil {
		return func() {}
	}
	stop := context.AfterFunc(ctx, func() { c.halt(call) })
	return func() {
		if !stop() {
			c.next()
		}
	}
}

func (c *clock) next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call++
	c.over = false
	return c.call
}

// halt ends the reads or writes of a call that is still under way.
func (c *clock) halt(call uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.call != call {
		return
	}
	c.over = true
	c.move(longAgo)
}

// within sets the deadline to d from now; zero is none.
func (c *clock) within(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.move(at)
	}
}

// move saves the system call if the deadline is the same. Only a closed connection
// refuses a deadline, and the next use of it tells.
func (c *clock) move(at time.Time) {
	if c.at.Equal(at) {
		return
	}
	c.at = at
	_ = c.set(at)
}

// timedOut reports whether err is a deadline that passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// ends are the errors of a connection that the peer, or the network, has ended.
var ends = []error{
	io.EOF, io.ErrUnexpectedEOF,
	syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, // the peer does not answer the system's probes
}

// gone reports whether err is the end of the connection, in order or not.
func gone(err error) bool {
	return slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}
