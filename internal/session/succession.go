package session

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/xlattice/xlreg/keys"
)

// Succession is the word of a registry's old sig key for the one that follows it
// (section 7): a cross certificate for the new key, and the old key's root, by which those
// who know a fingerprint alone find the old key. It is made once, while the old private
// key is at hand, and kept as DER.
type Succession struct {
	cross, root *x509.Certificate
}

// NewSuccession has the old key vouch for the next one, from now and for life.
func NewSuccession(old keys.Private, next keys.Public, now time.Time, life time.Duration) (*Succession, error) {
	s, err := newSuccession(old, next, now, life)
	if err != nil {
		return nil, fmt.Errorf("new succession: %w", err)
	}
	return s, nil
}

func newSuccession(old keys.Private, next keys.Public, now time.Time, life time.Duration) (*Succession, error) {
	for _, key := range []keys.Public{old.Public(), next} {
		if err := checkRegistryKey(key); err != nil {
			return nil, err
		}
	}
	root, err := newRoot(old.Signer(), now)
	if err != nil {
		return nil, fmt.Errorf("make the old root: %w", err)
	}
	key, err := x509.ParsePKIXPublicKey(next.DER())
	if err != nil {
		return nil, err
	}
	cross, err := x509.CreateCertificate(rand.Reader, rootTemplate(now, life), root, key, old.Signer())
	if err != nil {
		return nil, fmt.Errorf("make the cross certificate: %w", err)
	}
	return ParseSuccession(cross, root.Raw)
}

// ParseSuccession returns the Succession whose certificates these are.
func ParseSuccession(cross, root []byte) (*Succession, error) {
	s := new(Succession)
	var err error
	if s.cross, err = x509.ParseCertificate(cross); err != nil {
		return nil, fmt.Errorf("cross certificate: %w", err)
	}
	if s.root, err = x509.ParseCertificate(root); err != nil {
		return nil, fmt.Errorf("old root: %w", err)
	}
	if err := s.root.CheckSignatureFrom(s.root); err != nil {
		return nil, fmt.Errorf("old root: %w", err)
	}
	if err := s.cross.CheckSignatureFrom(s.root); err != nil {
		return nil, fmt.Errorf("cross certificate: %w", err)
	}
	if !s.cross.IsCA {
		return nil, fmt.Errorf("cross certificate: not a CA's")
	}
	for _, cert := range []*x509.Certificate{s.cross, s.root} {
		key, err := keys.Parse(cert.RawSubjectPublicKeyInfo)
		if err == nil {
			err = checkRegistryKey(key)
		}
		if err != nil {
			return nil, fmt.Errorf("succession: %w", err)
		}
	}
	return s, nil
}

// Cross returns the cross certificate in DER.
func (s *Succession) Cross() []byte { return s.cross.Raw }

// Root returns the root of the old key in DER.
func (s *Succession) Root() []byte { return s.root.Raw }

// Until returns the end of what the old key vouches for.
func (s *Succession) Until() time.Time { return s.cross.NotAfter }
