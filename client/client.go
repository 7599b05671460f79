package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/ticket"
)

const byePatience = time.Second

// Client is one session with a registry. Its methods may be called from any
// goroutine and take turns: a session carries one request at a time, so a Wait
// keeps others waiting. Close may be called at any time and ends what is under
// way. A call that is given up in the middle, because its context ended or the
// connection broke, ends the session; so does, over a classic carrier, every
// error that the registry answers with. Later calls are then ErrSessionEnded.
type Client struct {
	node     *identity.Node // nil: read only
	target   *regcred.Target
	ticket   *ticket.Ticket // nil: the target is none
	sig      string         // fingerprint of the registry's sig key
	next     *nextKey       // the key that follows it, by which the registry proved itself; nil: by sig
	protocol xlreg.Protocol
	original bool // by its credentials, the registry is one from before 2.0
	now      func() time.Time
	conn     session.Conn
	endpoint xlreg.Endpoint // to which conn leads
	route    *route
	silence  time.Duration // after which the registry is taken for gone
	shown    []byte        // the certificate of this session's handshake
	closing  sync.Once

	busy  chan struct{}             // holds one value while a call is under way
	heard atomic.Pointer[time.Time] // when the registry last answered

	// Owned by the call that is under way.
	ended    error // why the session is over; nil while it is not
	clusters map[xlreg.ClusterID]xlreg.Cluster
	pinned   map[xlreg.ClusterID]bool   // whose keys the caller knew
	revision map[xlreg.ClusterID]uint64 // the last heard of
	current  xlreg.ClusterID            // of the last Create or Join
	lease    time.Duration              // that its seat has; 0: none
	observed xlreg.Endpoint             // from where the registry sees this client; empty: not heard
	verifier verifier
}

// Protocol returns what the session speaks.
func (c *Client) Protocol() xlreg.Protocol { return c.protocol }

// Fingerprint returns that of the registry's sig key, SHA256:….
func (c *Client) Fingerprint() string { return c.sig }

// Close says goodbye, waits at most a second for the answer, and ends the
// session. While a call is under way it ends that call instead. Close may be
// called again, and always returns nil.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.sayBye()
		c.conn.Close()
	})
	return nil
}

func (c *Client) sayBye() {
	select {
	case c.busy <- struct{}{}:
		defer c.done()
	default:
		return // closing the connection ends the call that is under way
	}
	if c.ended != nil {
		return
	}
	// That the registry does not answer changes nothing: the session ends.
	ctx, cancel := context.WithTimeout(context.Background(), byePatience)
	defer cancel()
	_, _ = c.ask(ctx, wire.NewBye(), byePatience)
	c.end(errClosed)
}

// call makes one call of a session, when no other is under way, and says in its
// error what it was for. A value that comes with the error is returned with it.
func call[T any](ctx context.Context, c *Client, what string, f func() (T, error)) (T, error) {
	value, err := inTurn(ctx, c, f)
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return value, err
}

func inTurn[T any](ctx context.Context, c *Client, f func() (T, error)) (T, error) {
	if err := c.begin(ctx); err != nil {
		return *new(T), err
	}
	defer c.done()
	return f()
}

// begin waits until no other call is under way; done ends this one.
func (c *Client) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.ended == nil {
		return nil
	}
	defer c.done()
	// The cause is told but not wrapped: it was the answer to another call.
	return fmt.Errorf("%w: %v", ErrSessionEnded, c.ended)
}

func (c *Client) done() { <-c.busy }

func (c *Client) end(cause error) {
	if c.ended == nil {
		c.ended = cause
	}
	c.conn.Close()
}

// ask sends a request and returns its reply, or the error that the registry
// answers with. The reply has to begin within the given time. In the protocol each
// reply's Op is its request's and one.
func (c *Client) ask(ctx context.Context, m *wire.Message, patience time.Duration) (*wire.Message, error) {
	reply, err := c.exchange(ctx, m, patience)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	c.hear()
	if err := c.listed(reply.Err()); err != nil {
		if errors.Is(err, xlreg.ErrTryLater) {
			c.route.leave(c.endpoint, xlreg.RetryAfter(err))
		}
		if kind, _ := xlreg.KindOf(err); kind.EndsSession(c.protocol) {
			c.end(err)
		}
		return nil, err
	}
	if reply.Op() != m.Op()+1 {
		return nil, c.misbehaved("%v in answer to %v", reply.Op(), m.Op())
	}
	return reply, nil
}

// hear notes that the registry has answered; lastHeard returns when it did so last, whoever's
// call it was.
func (c *Client) hear() {
	now := time.Now()
	c.heard.Store(&now)
}

func (c *Client) lastHeard() time.Time {
	if at := c.heard.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// listed makes something of an original server's error in words that have no kind,
// such as that another creator was faster: one that may be gone the next time.
func (c *Client) listed(err error) error {
	var e *xlreg.Error
	if !c.original || !errors.As(err, &e) || e.Kind != xlreg.ErrProtocol {
		return err
	}
	return xlreg.Errorf(xlreg.ErrTryLater, "%s", e.Detail)
}

func (c *Client) exchange(ctx context.Context, m *wire.Message, patience time.Duration) (*wire.Message, error) {
	if err := c.conn.Send(ctx, m); err != nil {
		return nil, fmt.Errorf("send %v: %w", m.Op(), err)
	}
	reply, err := c.conn.ReceiveWithin(ctx, patience)
	if err != nil {
		return nil, fmt.Errorf("receive answer to %v: %w", m.Op(), err)
	}
	return reply, nil
}

// broken ends the session after an exchange that failed. Whether the caller's
// context ended or the registry was silent makes a difference to the caller: the
// first is its own doing.
func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, session.ErrIdle):
		err = errNoAnswer
	}
	if ctx.Err() == nil {
		c.route.leave(c.endpoint, 0)
	}
	c.end(err)
	return fmt.Errorf("%w: %w", ErrSessionEnded, err)
}

// misbehaved ends the session with a registry that breaks the protocol.
func (c *Client) misbehaved(format string, args ...any) error {
	err := xlreg.Errorf(xlreg.ErrProtocol, format, args...)
	c.end(err)
	return err
}

// parsed ends the session if the content of a reply was not what it has to be.
func (c *Client) parsed(err error) error {
	if errors.Is(err, xlreg.ErrProtocol) {
		c.end(err)
	}
	return err
}
