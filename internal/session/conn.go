package session

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/xlattice/xlreg/internal/wire"
)

// codec is all that one carrier's session does otherwise than another's.
type codec interface {
	// encode returns the bytes of m, the rest of which nobody may change, or an
	// error after which m was not said and the session is as it was.
	encode(m *wire.Message) (head, rest []byte, err error)

	// decode looks for one message at the head of b, which begins with the bytes
	// of the last call less those that were used. It returns nil while there is
	// none, and how many bytes are done with in either case.
	decode(b []byte) (m *wire.Message, used int, err error)

	// limit is the longest message there is, in bytes of the connection.
	limit() int
}

// conn is a session of any carrier.
type conn struct {
	*link
	codec  codec
	in     inbox
	out    io.Writer // what the codec's bytes are written to: the link, or TLS on it
	peer   Peer
	limits Limits
	met    bool // the peer has sent a message
}

// Peer implements Conn.
func (c *conn) Peer() Peer { return c.peer }

// Send implements Conn.
func (c *conn) Send(ctx context.Context, m *wire.Message) error {
	head, rest, err := c.codec.encode(m)
	if err != nil {
		return fmt.Errorf("send %v: %w", m.Op(), err)
	}
	defer c.writing.follow(ctx)()
	c.writing.begin(c.limits.Write)
	c.sending = true
	defer func() { c.sending = false }()
	if err := c.write(head, rest); err != nil {
		return fmt.Errorf("send %v: %w", m.Op(), because(ctx, err))
	}
	return nil
}

func (c *conn) write(head, rest []byte) error {
	_, err := c.out.Write(head)
	if err == nil && len(rest) > 0 {
		_, err = c.out.Write(rest)
	}
	return err
}

// Receive implements Conn.
func (c *conn) Receive(ctx context.Context) (*wire.Message, error) {
	return c.ReceiveWithin(ctx, c.limits.Idle)
}

// ReceiveWithin implements Conn.
func (c *conn) ReceiveWithin(ctx context.Context, first time.Duration) (*wire.Message, error) {
	defer c.reading.follow(ctx)()
	m, err := c.receive(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	c.met = true
	return m, nil
}

func (c *conn) receive(ctx context.Context, first time.Duration) (m *wire.Message, err error) {
	if c.in.len() > 0 {
		c.reading.begin(c.limits.Message)
		m, err = c.next()
	} else {
		c.reading.expect(first, c.limits.Message)
	}
	for m == nil && err == nil {
		if err := c.in.fill(); err != nil {
			return nil, c.ended(ctx, err)
		}
		m, err = c.next()
	}
	return m, err
}

func (c *conn) next() (*wire.Message, error) {
	m, used, err := c.codec.decode(c.in.bytes())
	c.in.drop(used)
	return m, err
}

// ended explains an error that came instead of a message, or within one.
func (c *conn) ended(ctx context.Context, err error) error {
	switch {
	case timedOut(err) && ctx.Err() == nil && c.reading.under():
		return c.late(err)
	case timedOut(err) && ctx.Err() == nil:
		return ErrIdle
	case gone(err) && c.reading.under():
		return fmt.Errorf("%w within a message: %w", ErrClosed, err)
	case gone(err):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case refused(err) && !c.met:
		// In TLS 1.3 a client is done before the server has seen its certificate.
		return fmt.Errorf("%w: refused by peer: %w", ErrHandshake, err)
	}
	return because(ctx, err)
}

// late is the error for a message that did not come to its end in time. Over TLS it may
// be that not even its first record did: of that the peer is not told, since a client
// whose bytes are lost on the way would take it for an answer, and for its last.
func (c *conn) late(err error) error {
	if c.in.len() == 0 && !c.peer.Protocol.Classic() {
		return fmt.Errorf("record not complete in time: %w", err)
	}
	return ErrPartial
}

// Hold implements Conn.
func (c *conn) Hold(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	defer c.reading.follow(ctx)()
	c.reading.expect(0, 0)
	c.in.shrink()
	defer c.in.atMost(ahead)()
	for !c.in.full() {
		err := c.in.fill()
		switch {
		case err == nil:
			continue
		case timedOut(err) && ctx.Err() != nil:
			return nil
		case gone(err):
			return fmt.Errorf("hold: %w: %w", ErrClosed, err)
		}
		return fmt.Errorf("hold: %w", err)
	}
	return c.holdFull(ctx)
}

// lookEvery is how often a session that reads no more looks whether its peer is there.
const lookEvery = time.Second

// holdFull is Hold for a peer that has asked for as much as is read ahead. Reading would
// tell that it has gone, but what it asked for would have to be kept.
func (c *conn) holdFull(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.closed:
			return fmt.Errorf("hold: %w", net.ErrClosed)
		case <-look.C:
		}
		if peerEnded(c.Conn) {
			return fmt.Errorf("hold: %w with requests unread", ErrClosed)
		}
	}
}

// because returns ctx's error if it is ctx that made the deadline err pass.
func because(ctx context.Context, err error) error {
	if timedOut(err) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
