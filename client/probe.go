package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
)

// Probe returns the fingerprint that the registry at an endpoint claims for its
// sig key. Nothing is proved by that: it is to be shown to someone who knows what
// it should be, and then to be pinned in the Target of a Dial, which does check.
// Only the Dialer of o is used.
func Probe(ctx context.Context, e xlreg.Endpoint, o Options) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	nc, err := o.withDefaults().Dialer.DialContext(ctx, "tcp", string(e))
	if err != nil {
		return "", fmt.Errorf("probe registry: %w", err)
	}
	defer nc.Close()
	sig, err := claimedFingerprint(ctx, nc)
	if err != nil {
		return "", fmt.Errorf("probe registry at %s: %w", e, err)
	}
	return sig, nil
}

// claimedFingerprint reads the root that a registry sends behind its leaf.
func claimedFingerprint(ctx context.Context, nc net.Conn) (string, error) {
	conn := tls.Client(nc, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{session.ALPN},
		InsecureSkipVerify: true, // nobody is trusted: the caller is only told who is there
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != session.ALPN {
		return "", errors.New("not a registry that speaks protocol 2.0")
	}
	// A registry whose key has changed sends two more, for those who know the old one.
	if n := len(state.PeerCertificates); n != 2 && n != 4 {
		return "", fmt.Errorf("registry sent %d certificates, want leaf and root", n)
	}
	key, err := keys.CertificateKey(state.PeerCertificates[1].Raw)
	if err != nil {
		return "", fmt.Errorf("registry's root certificate: %w", err)
	}
	return keys.Fingerprint(key)
}
