package adminclient

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
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
	pin, err := parsePin(o.Pin)
	if err != nil {
		return nil, err
	}
	cfg.InsecureSkipVerify = true // the pin takes the place of names and roots
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		return verifyPin(state.PeerCertificates, pin)
	}
	return cfg, nil
}

// curlPrefix is how curl names the sum of a key. The sum itself is over another form of
// the key than a fingerprint.
const curlPrefix = "sha256//"

// parsePin returns a pin in the one form that it is compared in.
func parsePin(text string) (string, error) {
	if digits, ok := strings.CutPrefix(text, curlPrefix); ok {
		sum, err := base64.StdEncoding.DecodeString(digits)
		if err != nil || len(sum) != sha256.Size {
			return "", fmt.Errorf("%.60q: want sha256// and 44 characters of base64", text)
		}
		return text, nil
	}
	sum, err := keys.ParseFingerprint(text)
	return keys.FormatFingerprint(sum), err
}

// verifyPin accepts a certificate whose key is pinned. TLS has shown that the server has
// that key. Names and dates play no part: it is the key that is known.
func verifyPin(chain []*x509.Certificate, pin string) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrUntrusted)
	}
	key := chain[0].RawSubjectPublicKeyInfo
	own, err := keys.Fingerprint(xlreg.SigKey(key))
	sum := sha256.Sum256(key)
	if err == nil && own == pin || curlPrefix+base64.StdEncoding.EncodeToString(sum[:]) == pin {
		return nil
	}
	return fmt.Errorf("%w: its key is %s", ErrUntrusted, curlPrefix+base64.StdEncoding.EncodeToString(sum[:]))
}
