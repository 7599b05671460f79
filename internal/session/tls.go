package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// ALPN names protocol 2.0 in the TLS handshake.
const ALPN = "xlreg/2"

// clockTolerance is by how much a client's clock may differ from a registry's.
const clockTolerance = time.Hour

var errALPN = errors.New("peer does not speak " + ALPN)

// acceptTLS is the registry's side of a 2.0 handshake; connectTLS is the client's.
func (s *Server) acceptTLS(ctx context.Context, l *link) (*conn, error) {
	peer := Peer{Protocol: xlreg.Protocol20, Addr: l.addr()}
	g := &greeting{link: l, left: maxGreeting}
	t := tls.Server(g, &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{ALPN},
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
		// A roster is used when it is whole, so small records for its first part
		// would only cost their system calls.
		DynamicRecordSizingDisabled: true,
		GetCertificate:              s.cfg.Authority.certificate,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, s.begin(ctx, l, hello)
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			return s.admit(ctx, l, &state, &peer)
		},
	})
	err := t.Handshake()
	l.endTurn()
	g.left = math.MaxInt
	if err != nil {
		l.linger(ctx, func() {}) // for the alert to arrive
		return nil, err
	}
	codec := &framing{readMax: xlreg.MaxRequestFrame, writeMax: xlreg.MaxReplyFrame}
	return newTLSConn(l, t, codec, peer, *s.limits.Load()), nil
}

// maxGreeting is how many bytes a client may say before its handshake is over. One
// that means well says a ClientHello of 2 KiB and a certificate of 4 KiB at most. TLS
// would take 300 KiB, and keep room for the longest message until the session ends.
const maxGreeting = 32 << 10

// maxServerName is the longest name of a host that there is. TLS keeps what a client
// asks for, although nobody here looks at it.
const maxServerName = 255

var errGreeting = errors.New("handshake is too long")

// greeting is the connection below TLS, which may read so many bytes and no more. What
// it reads ends the turn there may be: a client's signatures are verified in a turn,
// and waiting for them is not.
type greeting struct {
	*link
	left int
}

func (g *greeting) Read(b []byte) (int, error) {
	g.endTurn()
	if g.left <= 0 {
		return 0, errGreeting
	}
	n, err := g.link.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}

// begin refuses a client that names no protocol, before it is answered; one that
// names others only is refused by TLS, with the alert for that. Others wait for
// their turn.
func (s *Server) begin(ctx context.Context, l *link, hello *tls.ClientHelloInfo) error {
	if len(hello.SupportedProtos) == 0 {
		return errALPN
	}
	if n := len(hello.ServerName); n > maxServerName {
		return fmt.Errorf("server name of %d bytes", n)
	}
	return s.takeTurn(ctx, l)
}

// admit looks at what the client showed, which may be no certificate. TLS keeps it for
// as long as the session lasts, so one certificate is taken and nothing beside it. TLS
// sees its key proved next, in the turn that begins here. What the certificate says, and
// its own signature, are looked at when the client registers: until then only the key
// counts, and a signature by that key adds nothing to the proof.
func (s *Server) admit(ctx context.Context, l *link, state *tls.ConnectionState, peer *Peer) error {
	shown := state.PeerCertificates
	if len(shown) == 0 {
		return nil
	}
	der := shown[0].Raw
	switch {
	case len(shown) > 1:
		return fmt.Errorf("client shows %d certificates, one is taken", len(shown))
	case len(der) > xlreg.MaxCertificateLen:
		return fmt.Errorf("client's certificate has %d bytes, at most %d allowed", len(der), xlreg.MaxCertificateLen)
	case len(state.OCSPResponse) > 0 || len(state.SignedCertificateTimestamps) > 0:
		return errors.New("client's certificate comes with more than itself")
	}
	key := xlreg.SigKey(shown[0].RawSubjectPublicKeyInfo)
	if _, err := keys.ParseFor(key, xlreg.Protocol20); err != nil {
		return fmt.Errorf("client's certificate: %w", err)
	}
	if err := s.takeTurn(ctx, l); err != nil {
		return err
	}
	peer.Certificate, peer.SigKey = der, key // TLS keeps the bytes in any case
	return nil
}

func newTLSConn(l *link, t *tls.Conn, codec *framing, peer Peer, limits Limits) *conn {
	c := &conn{link: l, codec: codec, out: t, peer: peer, limits: limits}
	c.in = inbox{src: t, limit: codec.limit()}
	return c
}

// connectTLS believes the registry within the handshake, in VerifyConnection:
// before that nothing is sent but a ClientHello.
func connectTLS(l *link, cfg *ClientConfig) (*conn, error) {
	pin, err := newPin(cfg)
	if err != nil {
		return nil, err
	}
	t := tls.Client(l, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{ALPN},
		InsecureSkipVerify: true, // no system roots and no host names: pin.verify decides
		VerifyConnection:   pin.verify,

		DynamicRecordSizingDisabled: true, // as in acceptTLS
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cfg.Certificate == nil {
				return new(tls.Certificate), nil
			}
			return cfg.Certificate, nil
		},
	})
	if err := t.Handshake(); err != nil {
		return nil, pin.explain(err)
	}
	codec := &framing{readMax: xlreg.MaxReplyFrame, writeMax: xlreg.MaxRequestFrame}
	peer := Peer{Protocol: xlreg.Protocol20, Addr: l.addr(), SigKey: pin.proved.Pinned, Next: pin.next()}
	return newTLSConn(l, t, codec, peer, cfg.Limits), nil
}

// pin is the identity that a client wants its registry to prove.
type pin struct {
	keys.Pin
	now    func() time.Time
	proved *keys.Chain // nil until the certificates are right; the proof that goes with them is TLS's to verify
}

func newPin(cfg *ClientConfig) (*pin, error) {
	if cfg.SigKey == "" && cfg.Fingerprint == "" {
		return nil, errors.New("neither key nor fingerprint of the registry given")
	}
	p := &pin{Pin: keys.Pin{SigKey: cfg.SigKey, Fingerprint: cfg.Fingerprint}, now: cfg.Now}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// verify is for tls.Config.VerifyConnection.
func (p *pin) verify(state tls.ConnectionState) error {
	if state.NegotiatedProtocol != ALPN {
		return errALPN
	}
	now := p.now()
	proved, err := keys.VerifyCertificates(state.PeerCertificates, p.Pin, now)
	var dates *keys.DatesError
	if errors.As(err, &dates) {
		err = cmp.Or(checkClock(state.PeerCertificates[0], now), err)
	}
	switch {
	case errors.Is(err, ErrClock):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	p.proved = proved
	return nil
}

// next returns the key that has proved the registry's identity if that is not the one
// that is pinned.
func (p *pin) next() *NextKey {
	if p.proved.Signer == p.proved.Pinned {
		return nil
	}
	return &NextKey{SigKey: p.proved.Signer, Until: p.proved.Until}
}

// checkClock looks at the dates of a leaf certificate that is right in all else: wrong
// ones say that a clock is wrong. A machine may have no other until it has been on the
// network for a while.
func checkClock(leaf *x509.Certificate, now time.Time) error {
	behind, ahead := leaf.NotBefore.Sub(now), now.Sub(leaf.NotAfter)
	by, how := behind, "behind"
	if ahead > behind {
		by, how = ahead, "ahead of"
	}
	if by <= clockTolerance {
		return nil // what is over is the old key's word for the new one
	}
	return fmt.Errorf("%w: it is %s here, at least %s %s the registry, whose certificate is valid from %s to %s",
		ErrClock, utc(now), roughly(by), how, utc(leaf.NotBefore), utc(leaf.NotAfter))
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// roughly returns d as people say it: a clock that is wrong by decades is not wrong by
// half a million hours.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}

// explain returns the error for a handshake that failed with err. Once the certificates
// are right, all that is left for the registry is to prove that they are its own. A
// connection that ends or is damaged meanwhile proves nothing either way.
func (p *pin) explain(err error) error {
	var broken net.Error
	var header tls.RecordHeaderError
	switch {
	case p.proved == nil && isForeign(err):
		return foreignError{err}
	case p.proved == nil || gone(err) || errors.As(err, &broken) || errors.As(err, &header):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUntrusted, err)
}

// foreignError makes an error one that is ErrNotARegistry, too. What it says stays as it is.
type foreignError struct{ error }

func (e foreignError) Unwrap() error      { return e.error }
func (foreignError) Is(target error) bool { return target == ErrNotARegistry }

// isForeign reports whether a handshake failed with err since the other end is a server of
// something else, as far as anybody can tell: its first bytes are not those of TLS, or it
// does not speak this protocol, or not over this version of TLS.
func isForeign(err error) bool {
	var header tls.RecordHeaderError
	return errors.Is(err, errALPN) || errors.As(err, &header) || alerted(err, foreign)
}

// foreign are the alerts of a server of something else.
var foreign = []tls.AlertError{
	70,  // protocol version
	120, // no application protocol
}

// refusals are the alerts by which a peer says that it does not take the certificate
// it was shown. All others, bad record MAC for example, are about the connection.
var refusals = []tls.AlertError{
	42,  // bad certificate
	43,  // unsupported certificate
	44,  // certificate revoked
	45,  // certificate expired
	46,  // certificate unknown
	48,  // unknown CA
	49,  // access denied
	116, // certificate required
}

// refused reports whether err is an alert by which the peer refuses a certificate.
func refused(err error) bool { return alerted(err, refusals) }

// alerted reports whether err is one of these alerts, and the peer has sent it.
func alerted(err error, alerts []tls.AlertError) bool {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return false
	}
	// The type of alerts that crypto/tls returns is not exported; their texts are the same.
	return slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return alert.Err.Error() == a.Error() })
}
