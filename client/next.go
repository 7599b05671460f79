package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
)

// nextKey is a registry's sig key for which the one before it has vouched.
type nextKey struct {
	fingerprint string
	until       time.Time
}

// learnNext looks up whether the node knows a key that follows the one of the target: the
// registry has proved itself by it before.
func (d *dialing) learnNext() {
	if d.o.Node == nil || d.o.Protocol.Classic() {
		return
	}
	known, ok := d.o.Node.Registry(d.sig)
	if !ok {
		return
	}
	d.next = known.Next
	d.overdue = known.Next != "" && d.o.Now().After(known.NextUntil)
}

// open opens a session over a connection to an endpoint. A registry whose next key is known
// is known by that; for as long as the old key has vouched for it, by the old one, too, which
// then takes a connection of its own.
func (d *dialing) open(ctx context.Context, nc net.Conn, again func() (net.Conn, error)) (session.Conn, error) {
	if d.next == "" {
		return session.Connect(ctx, nc, d.config)
	}
	config := d.config
	config.SigKey, config.Fingerprint = "", d.next
	conn, err := session.Connect(ctx, nc, config)
	if !errors.Is(err, ErrUntrusted) || d.overdue {
		return conn, err
	}
	if nc, err = again(); err != nil {
		return nil, err
	}
	return session.Connect(ctx, nc, d.config)
}

// tellNext says that the registry has another key than the one that was given.
func (d *dialing) tellNext(next *session.NextKey) *nextKey {
	if next == nil {
		return nil
	}
	fingerprint, err := keys.Fingerprint(next.SigKey)
	if err != nil {
		return nil // it has verified a certificate, so it has one
	}
	d.o.Logger.Warn("registry has a new sig key, for which the old one vouches: take it into the configuration",
		"old", d.sig, "new", fingerprint, "until", utc(next.Until))
	return &nextKey{fingerprint, next.Until}
}

// NextFingerprint returns that of the registry's next sig key, and until when the key of
// Fingerprint vouches for it, if the registry has proved itself by that one. Whoever has
// pinned the old key needs the new one before then.
func (c *Client) NextFingerprint() (fingerprint string, until time.Time, ok bool) {
	if c.next == nil {
		return "", time.Time{}, false
	}
	return c.next.fingerprint, c.next.until, true
}

// proved reports whether the registry has proved to have a key, or is known to.
func (c *Client) proved(key xlreg.SigKey) bool {
	fingerprint, err := keys.Fingerprint(key)
	if err != nil {
		return false
	}
	if proved := c.conn.Peer(); proved.SigKey != "" && c.next == nil {
		return key == proved.SigKey
	}
	return fingerprint == c.sig || c.next != nil && fingerprint == c.next.fingerprint
}

// keepNext adds to what the node keeps of its registry the key that follows.
func (c *Client) keepNext(known *identity.KnownRegistry) {
	if c.next != nil {
		known.Next, known.NextUntil = c.next.fingerprint, c.next.until
	}
}
