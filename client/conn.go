package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/xlattice/xlreg"
)

// Conn is a TLS connection whose other end is known. The handshake is over.
type Conn struct {
	*tls.Conn
	member *Member
}

// Member returns who is on the other end, as it was in the roster when the
// connection was made.
func (c *Conn) Member() *Member { return c.member }

// Dial connects to another member by name, at its first endpoint, and makes sure
// that this very member answers; if not the error is ErrPeerRefused. It
// uses the Dialer of Options. If ctx has no deadline Dial gives up after 30 seconds.
//
// In TLS 1.3 this end completes the handshake before the other has seen its certificate.
// So if the member refuses this node, because its roster is older or newer, that shows
// at the first Read.
func (m *Membership) Dial(ctx context.Context, name xlreg.Name) (*Conn, error) {
	return m.dial(ctx, m.Roster().ByName(name), fmt.Sprintf("%q", name))
}

// DialID does what Dial does, for the member with an ID.
func (m *Membership) DialID(ctx context.Context, id xlreg.NodeID) (*Conn, error) {
	return m.dial(ctx, m.Roster().ByID(id), id.String())
}

func (m *Membership) dial(ctx context.Context, to *Member, who string) (*Conn, error) {
	h := &handshake{role: tls.Client, judge: m.judge(), config: m.config(), want: to}
	c, err := h.dial(ctx, m.o.Dialer, 0)
	if err != nil {
		return nil, fmt.Errorf("dial member %s: %w", who, err)
	}
	return c, nil
}

// Dial connects a client of the cluster to a member by name, at the member's second
// endpoint, or the first if it has no other, and makes sure that this very
// member answers; if not the error is ErrPeerRefused. It shows cert, or nothing
// if that is nil. If ctx has no deadline Dial gives up after 30 seconds.
func (r *Roster) Dial(ctx context.Context, name xlreg.Name, cert *tls.Certificate) (*Conn, error) {
	return r.dial(ctx, r.ByName(name), fmt.Sprintf("%q", name), cert)
}

// DialID does what Dial does, for the member with an ID.
func (r *Roster) DialID(ctx context.Context, id xlreg.NodeID, cert *tls.Certificate) (*Conn, error) {
	return r.dial(ctx, r.ByID(id), id.String(), cert)
}

func (r *Roster) dial(ctx context.Context, to *Member, who string, cert *tls.Certificate) (*Conn, error) {
	h := &handshake{role: tls.Client, judge: r.judge(), config: r.config(cert), want: to}
	c, err := h.dial(ctx, &net.Dialer{}, 1)
	if err != nil {
		return nil, fmt.Errorf("dial member %s: %w", who, err)
	}
	return c, nil
}

// handshake turns a connection into one over TLS whose other end is known.
type handshake struct {
	role   func(net.Conn, *tls.Config) *tls.Conn // tls.Client or tls.Server
	judge  *judge
	config *tls.Config
	want   *Member // nil for any member that the judge accepts
	sums   bool    // SumALPN is served to whoever asks for it, and others need not name a protocol
}

// dial connects to an endpoint of the member wanted: the one with the index given,
// or the last if there are fewer.
func (h *handshake) dial(ctx context.Context, d ContextDialer, index int) (*Conn, error) {
	if err := h.checkWanted(); err != nil {
		return nil, err
	}
	endpoints := h.want.Token.Endpoints
	if len(endpoints) == 0 {
		return nil, errors.New("it has no endpoint")
	}
	to := endpoints[min(index, len(endpoints)-1)]
	h.config.ServerName = to.Host() // for programs that serve several names
	ctx, cancel := withPatience(ctx)
	defer cancel()
	nc, err := d.DialContext(ctx, "tcp", string(to))
	if err != nil {
		return nil, err
	}
	c, err := h.shake(ctx, nc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", to, err)
	}
	return c, nil
}

func (h *handshake) checkWanted() error {
	if h.want == nil {
		return fmt.Errorf("%w of %s", xlreg.ErrNotMember, clusterText(&h.judge.roster().Cluster))
	}
	if h.want.Token.SigKey == h.judge.self {
		return fmt.Errorf("%w: it is this node", ErrPeerRefused)
	}
	_, err := h.want.Certificate()
	return err
}

// shake shakes hands over nc, which it closes on error.
func (h *handshake) shake(ctx context.Context, nc net.Conn) (*Conn, error) {
	c := new(Conn)
	config := h.config.Clone()
	config.VerifyConnection = func(s tls.ConnectionState) (err error) {
		c.member, err = h.accept(&s)
		return err
	}
	if h.sums {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return forSums(config, hello), nil
		}
	}
	c.Conn = h.role(nc, config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return c, nil
}

// forSums returns the configuration for a client that asks for SumALPN; nil, which is the
// one that there is, for others.
func forSums(config *tls.Config, hello *tls.ClientHelloInfo) *tls.Config {
	if !slices.Contains(hello.SupportedProtos, SumALPN) {
		return nil
	}
	own := config.Clone()
	own.NextProtos = []string{SumALPN}
	return own
}

func (h *handshake) accept(s *tls.ConnectionState) (*Member, error) {
	m, err := h.judge.accept(s)
	if err != nil || h.want == nil {
		return m, err
	}
	// Not by ID: a member that lost its ID and joined again has a new one.
	if m.Token.Name != h.want.Token.Name || m.Token.SigKey != h.want.Token.SigKey {
		return nil, fmt.Errorf("%w: it is %q", ErrPeerRefused, m.Token.Name)
	}
	return m, nil
}
