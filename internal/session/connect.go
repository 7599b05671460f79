package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xlattice/xlreg"
)

// ClientConfig says which session a client wants, and with whom.
type ClientConfig struct {
	Protocol xlreg.Protocol // the only one that is tried
	CommsKey xlreg.CommsKey // the registry's; classic only

	// The registry's key, over 2.0: itself, or its fingerprint as
	// keys.Fingerprint writes it. The key counts where both are given.
	SigKey      xlreg.SigKey
	Fingerprint string

	// Certificate is the client's, with its sig key; nil to read only. 2.0 only.
	Certificate *tls.Certificate

	Limits Limits
	Now    func() time.Time // nil: time.Now
}

// Connect opens a session over nc, until ctx ends, or until the registry has been silent
// for the message timeout. If it fails it closes nc,
// and the error is ErrUntrusted, ErrClock or ErrHandshake. Over 2.0 the registry has
// proved its identity when Connect returns, but has not yet judged the client's
// certificate: if it refuses that, the first Receive is an ErrHandshake.
func Connect(ctx context.Context, nc net.Conn, cfg ClientConfig) (Conn, error) {
	return shake(ctx, nc, cfg.Limits, func(l *link) (*conn, error) {
		l.reading.begin(cfg.Limits.Message)
		switch cfg.Protocol {
		case xlreg.Protocol18, xlreg.Protocol19:
			return connectClassic(l, &cfg)
		case xlreg.Protocol20:
			return connectTLS(l, &cfg)
		}
		return nil, errors.New("no protocol chosen")
	})
}

// connectClassic is the client's side of protocol.md section 3.
func connectClassic(l *link, cfg *ClientConfig) (*conn, error) {
	key, err := encrypter(cfg.CommsKey)
	if err != nil {
		return nil, fmt.Errorf("registry's comms key: %w", err)
	}
	h := newHello(cfg.Protocol)
	b, err := h.encrypt(key)
	if err != nil {
		return nil, err
	}
	if _, err := l.Write(b); err != nil {
		return nil, fmt.Errorf("write hello: %w", err)
	}
	in := inbox{src: l, limit: xlreg.MaxClassicMessage}
	if err := in.await(h.replyLen()); err != nil {
		return nil, fmt.Errorf("read hello reply: %w", err)
	}
	reply, err := h.open(in.bytes()[:h.replyLen()])
	if err != nil {
		return nil, err
	}
	in.drop(h.replyLen())
	return newClassicConn(l, in, reply, cfg.Limits)
}
