package keys

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
)

// clockTolerance is by how much the clocks of a registry and of those who verify its
// certificates may differ.
const clockTolerance = time.Hour

// Pin is what somebody knows of a registry, and by which its certificates are believed:
// its sig key or, if that is empty, the fingerprint of it.
type Pin struct {
	SigKey      xlreg.SigKey
	Fingerprint string
}

// Chain is what a registry's certificates say, once they are verified.
type Chain struct {
	Leaf   *x509.Certificate
	Pinned xlreg.SigKey // the registry's sig key that was pinned
	Signer xlreg.SigKey // the one by which the leaf is signed: Pinned, or the next

	// Until is when the leave of the pinned key for the next one ends; zero if Signer is
	// Pinned.
	Until time.Time
}

// DatesError says that a certificate that is right in all else is not valid at a time.
type DatesError struct {
	NotBefore, NotAfter time.Time
	At                  time.Time
}

// Error says when the certificate is valid.
func (e *DatesError) Error() string {
	text := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return fmt.Sprintf("certificate is valid from %s to %s, not at %s", text(e.NotBefore), text(e.NotAfter), text(e.At))
}

// VerifyChain holds the certificates that a registry shows, in DER and the leaf first,
// against what is known of it. They are those of the registry if the leaf is signed by
// the pinned key, or by one for which the pinned key has signed a certificate that makes
// it a CA: the registry's next key (section 7). If all that is wrong are dates, the error
// is a *DatesError.
func VerifyChain(chain [][]byte, pin Pin, at time.Time) (*Chain, error) {
	certs := make([]*x509.Certificate, 0, len(chain))
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("registry's certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	return VerifyCertificates(certs, pin, at)
}

// VerifyCertificates is VerifyChain for certificates that have been parsed.
func VerifyCertificates(chain []*x509.Certificate, pin Pin, at time.Time) (*Chain, error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate")
	}
	pinned, err := pin.find(chain[1:])
	if err != nil {
		return nil, err
	}
	key, err := registryKey(pinned)
	if err != nil {
		return nil, err
	}
	c := &Chain{Leaf: chain[0], Pinned: pinned, Signer: pinned}
	if !signedBy(c.Leaf, key) {
		if err := c.cross(chain[1:], key, at); err != nil {
			return nil, err
		}
	}
	if err := checkLeaf(c.Leaf, at); err != nil {
		return nil, err
	}
	return c, nil
}

// find returns the pinned key. If only its fingerprint is known, it is in one of the
// certificates behind the leaf.
func (p Pin) find(roots []*x509.Certificate) (xlreg.SigKey, error) {
	if p.SigKey != "" {
		return p.SigKey, nil
	}
	for _, root := range roots {
		key := xlreg.SigKey(root.RawSubjectPublicKeyInfo)
		print, err := Fingerprint(key)
		if err == nil && print == p.Fingerprint {
			return key, nil
		}
	}
	return "", fmt.Errorf("no certificate has a key with fingerprint %s", p.Fingerprint)
}

// registryKey parses the sig key of a registry, which can only be an RSA key.
func registryKey(der xlreg.SigKey) (Public, error) {
	key, err := ParseFor(der, xlreg.Protocol20)
	if err != nil {
		return nil, fmt.Errorf("registry's sig key: %w", err)
	}
	if key.Kind() != RSA {
		return nil, fmt.Errorf("registry's sig key is of kind %s, want %s", key.Kind(), RSA)
	}
	return key, nil
}

// cross looks for the certificate by which the pinned key makes another one the next,
// and that one has signed the leaf. It takes one step and no more.
func (c *Chain) cross(others []*x509.Certificate, pinned Public, at time.Time) error {
	for _, cert := range others {
		if !cert.BasicConstraintsValid || !cert.IsCA || !signedBy(cert, pinned) {
			continue
		}
		next, err := registryKey(xlreg.SigKey(cert.RawSubjectPublicKeyInfo))
		if err != nil || !signedBy(c.Leaf, next) {
			continue
		}
		c.Signer, c.Until = xlreg.SigKey(cert.RawSubjectPublicKeyInfo), cert.NotAfter
		return checkDates(cert, at)
	}
	return errors.New("leaf certificate is not signed by the registry's sig key")
}

func signedBy(cert *x509.Certificate, key Public) bool {
	sum := sha256.Sum256(cert.RawTBSCertificate)
	return key.Verify(SchemeCertificate, sum[:], cert.Signature)
}

// checkLeaf looks at the dates last: of a certificate that is right in all else, wrong
// dates say that a clock is wrong.
func checkLeaf(leaf *x509.Certificate, at time.Time) error {
	if leaf.IsCA {
		return errors.New("leaf certificate is a CA's")
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return errors.New("leaf certificate is not for servers")
	}
	return checkDates(leaf, at)
}

func checkDates(cert *x509.Certificate, at time.Time) error {
	if at.Before(cert.NotBefore.Add(-clockTolerance)) || at.After(cert.NotAfter.Add(clockTolerance)) {
		return &DatesError{cert.NotBefore, cert.NotAfter, at}
	}
	return nil
}
