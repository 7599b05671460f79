package adminclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// maxPath is how long the name of a socket may be on every system.
const maxPath = 103

// between is the time from one try of a socket to the next.
const between = 50 * time.Millisecond

// dialSocket connects to a socket. A registry that is about to start is waited for.
func dialSocket(ctx context.Context, path string, patience time.Duration) (net.Conn, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%w at %s: the path is too long for a socket", ErrNotServed, path)
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil || !isAbsent(err) {
			return conn, withoutPath(path, err)
		}
		select {
		case <-patient.Done():
			return nil, withoutPath(path, err)
		case <-time.After(between):
		}
	}
}

// isAbsent reports whether a socket is not served, while one that nobody may open will
// not become another.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

func withoutPath(path string, err error) error {
	op := (*net.OpError)(nil)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s belongs to another user", ErrNotAllowed, path)
	case errors.As(err, &op):
		return fmt.Errorf("%w at %s: %w", ErrNotServed, path, op.Err)
	}
	return err
}

// unreached says why there is no answer. The URL of the request would say more of this
// program than of the place.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if request := (*url.Error)(nil); errors.As(err, &request) {
		err = request.Err
	}
	switch certificate := (*tls.CertificateVerificationError)(nil); {
	case errors.Is(err, ErrNotServed), errors.Is(err, ErrNotAllowed):
		return err
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: %s: %w", ErrUntrusted, c.place, certificate.Err)
	case errors.Is(err, ErrUntrusted):
		return fmt.Errorf("%s: %w", c.place, err)
	}
	return fmt.Errorf("%w at %s: %w", ErrNotServed, c.place, err)
}

// newTLS returns how the server is known, and this client to it.
func newTLS(o *Options) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}
	if o.Certificate != nil {
		cfg.Certificates = []tls.Certificate{*o.Certificate}
	}
	if o.Pin == "" {
		return cfg, nil
	}
	sum, err := keys.ParseFingerprint(o.Pin)
	if err != nil {
		return nil, err
	}
	pin := keys.FormatFingerprint(sum)
	cfg.InsecureSkipVerify = true //nolint:gosec // the pin takes the place of names and roots
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		return verifyPin(state.PeerCertificates, pin, time.Now())
	}
	return cfg, nil
}

// verifyPin accepts a certificate whose own key is pinned, and one that a registry has
// signed whose key is. TLS has shown that the server has the certificate's key.
func verifyPin(chain []*x509.Certificate, pin string, now time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrUntrusted)
	}
	own, err := keys.Fingerprint(xlreg.SigKey(chain[0].RawSubjectPublicKeyInfo))
	if err == nil && own == pin {
		return nil
	}
	if _, err := keys.VerifyCertificates(chain, keys.Pin{Fingerprint: pin}, now); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return nil
}
