package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/regcred"
)

const (
	answerPatience = 30 * time.Second // for a reply that does not wait for anything
	byePatience    = time.Second
)

// Client is one session with a registry. Its methods may be called from any
// goroutine and take turns: a session carries one request at a time, so a Wait
// keeps others waiting. Close may be called at any time and ends what is under
// way. A call that is given up in the middle, because its context ended or the
// connection broke, ends the session; so does, over a classic carrier, every
// error that the registry answers with. Later calls are then ErrSessionEnded.
type Client struct {
	node     *identity.Node // nil: read only
	target   *regcred.Target
	sig      string // fingerprint of the registry's sig key
	protocol xlreg.Protocol
	original bool // by its credentials, the registry is one from before 2.0
	now      func() time.Time
	conn     session.Conn
	shown    []byte // the certificate of this session's handshake
	closing  sync.Once

	turn chan struct{} // holds one value while a call is under way

	// Owned by whoever has the turn.
	ended    error // why the session is over; nil while it is not
	clusters map[xlreg.ClusterID]xlreg.Cluster
	current  xlreg.ClusterID // of the last Create or Join
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
	case c.turn <- struct{}{}:
		defer c.done()
	default:
		return // closing the connection ends the call that has the turn
	}
	if c.ended != nil {
		return
	}
	// That the registry does not answer changes nothing: the session ends.
	_, _ = c.ask(context.Background(), wire.NewBye(), byePatience)
	c.end(errClosed)
}

// begin takes the turn; done gives it back.
func (c *Client) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
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

func (c *Client) done() { <-c.turn }

func (c *Client) end(cause error) {
	if c.ended == nil {
		c.ended = cause
	}
	c.conn.Close()
}

// ask sends a request and returns its reply, or the error that the registry
// answers with. In the protocol each reply's Op is its request's and one.
func (c *Client) ask(ctx context.Context, m *wire.Message, patience time.Duration) (*wire.Message, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := c.exchange(bounded, m)
	if err != nil {
		return nil, c.broken(ctx, bounded, err)
	}
	if err := c.listed(reply.Err()); err != nil {
		if c.closesSession(err) {
			c.end(err)
		}
		return nil, err
	}
	if reply.Op() != m.Op()+1 {
		return nil, c.misbehaved("%v in answer to %v", reply.Op(), m.Op())
	}
	return reply, nil
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

func (c *Client) exchange(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	if err := c.conn.Send(ctx, m); err != nil {
		return nil, fmt.Errorf("send %v: %w", m.Op(), err)
	}
	reply, err := c.conn.Receive(ctx)
	if err != nil {
		return nil, fmt.Errorf("receive answer to %v: %w", m.Op(), err)
	}
	return reply, nil
}

// broken ends the session after an exchange that failed. Whether the caller's
// context ended or only the bound on this exchange makes a difference to the
// caller: the first is its own doing.
func (c *Client) broken(ctx, bounded context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if bounded.Err() != nil {
		err = errNoAnswer
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

// closesSession reports whether the registry ends the session after err, as it
// does after every error over a classic carrier (sections 5 and 7).
func (c *Client) closesSession(err error) bool {
	kind, _ := xlreg.KindOf(err)
	switch kind {
	case xlreg.ErrWrongState, xlreg.ErrBadTag, xlreg.ErrUnexpectedType, xlreg.ErrProtocol:
		return true
	}
	return c.protocol.Classic()
}

// parsed ends the session if the content of a reply was not what it has to be.
func (c *Client) parsed(err error) error {
	if errors.Is(err, xlreg.ErrProtocol) {
		c.end(err)
	}
	return err
}
