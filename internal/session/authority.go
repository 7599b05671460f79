package session

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// How long a registry's certificates are valid. Clients pin the root's key and
// never check its dates, so how long the root lasts does not matter.
const (
	rootLife     = 20 * 365 * 24 * time.Hour
	leafLife     = 7 * 24 * time.Hour
	leafBackdate = 24 * time.Hour // for clients whose clocks are behind
	leafRenewal  = 24 * time.Hour
)

// Authority is a registry's proof of identity over 2.0: a root certificate for
// its sig key, self-signed, and a short-lived leaf that the root issues. The
// leaf's key is generated with each Authority and never saved.
type Authority struct {
	sig  keys.Private
	now  func() time.Time
	root *x509.Certificate
	old  *Succession // nil if no client may know another key than sig
	key  *ecdsa.PrivateKey

	mu      sync.Mutex
	leaf    *tls.Certificate // guarded by mu
	made    time.Time        // guarded by mu; when leaf was
	until   time.Time        // guarded by mu; the end of what old vouches for
	vouched bool             // guarded by mu; whether leaf comes with old
}

// NewAuthority returns the authority of the registry whose sig key is sig. A
// nil now is time.Now.
func NewAuthority(sig keys.Private, now func() time.Time) (*Authority, error) {
	return NewSuccessor(sig, nil, now)
}

// NewSuccessor is NewAuthority for a registry some of whose clients know the key before
// sig: they believe sig for as long as s says. A nil s is no succession.
func NewSuccessor(sig keys.Private, s *Succession, now func() time.Time) (*Authority, error) {
	a, err := newAuthority(sig, s, now)
	if err != nil {
		return nil, fmt.Errorf("new authority: %w", err)
	}
	return a, nil
}

func newAuthority(sig keys.Private, s *Succession, now func() time.Time) (*Authority, error) {
	if err := checkRegistryKey(sig.Public()); err != nil {
		return nil, err
	}
	if s != nil && !bytes.Equal(s.cross.RawSubjectPublicKeyInfo, sig.Public().DER()) {
		return nil, errors.New("the old key vouches for another than the sig key")
	}
	if now == nil {
		now = time.Now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make leaf key: %w", err)
	}
	root, err := newRoot(sig.Signer(), now())
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	a := &Authority{sig: sig, now: now, root: root, old: s, key: key}
	if s != nil {
		a.until = s.Until()
	}
	_, err = a.certificate(nil)
	return a, err
}

// EndFormer has the key before sig count for nothing from a time on, or from the end of its
// own word on if that is sooner or end is zero. It may be called again with another time.
func (a *Authority) EndFormer(end time.Time) {
	if a.old == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = a.old.Until()
	if !end.IsZero() && end.Before(a.until) {
		a.until = end
	}
}

// FormerUntil returns until when the key before sig counts; zero if there is none.
func (a *Authority) FormerUntil() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.until
}

// formerCounts reports whether clients that know only the keys before are served still.
func (a *Authority) formerCounts() bool {
	return a.old == nil || a.now().Before(a.FormerUntil())
}

// checkRegistryKey reports a key that a registry cannot have: regCred.dat, and so every
// client, knows RSA alone.
func checkRegistryKey(key keys.Public) error {
	if err := key.Check(xlreg.Protocol20); err != nil {
		return fmt.Errorf("sig key of %w", err)
	}
	if key.Kind() != keys.RSA {
		return fmt.Errorf("sig key of kind %s, want %s", key.Kind(), keys.RSA)
	}
	return nil
}

// rootTemplate is what a root has in common with a cross certificate.
func rootTemplate(now time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "xlreg registry"},
		NotBefore:             now.Add(-leafBackdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

func newRoot(sig crypto.Signer, now time.Time) (*x509.Certificate, error) {
	template := rootTemplate(now, rootLife)
	der, err := x509.CreateCertificate(rand.Reader, template, template, sig.Public(), sig)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Chain returns the certificates that a handshake would show now, in DER and the leaf
// first. They are shared: nobody may change them.
func (a *Authority) Chain() ([][]byte, error) {
	shown, err := a.certificate(nil)
	if err != nil {
		return nil, err
	}
	return shown.Certificate, nil
}

// SignRoster signs the sum of a roster as the present one, at the time of millis since
// 1970.
func (a *Authority) SignRoster(sum keys.Sum, millis uint64) (wire.Signed, error) {
	chain, err := a.Chain()
	if err != nil {
		return wire.Signed{}, err
	}
	sig, err := keys.SignRoster(a.key, sum, millis)
	if err != nil {
		return wire.Signed{}, err
	}
	return wire.Signed{Millis: millis, Sig: sig, Chain: chain}, nil
}

// certificate returns the leaf and the root, for tls.Config.GetCertificate, and what
// makes the root known to those who know the key before it. The leaf is renewed when a
// handshake finds it a day old, or dated in the future because the clock has been set
// back, or when the key before has come to its end.
func (a *Authority) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().Round(0) // wall time, as the monotonic clock may stop while the machine sleeps
	age, vouched := now.Sub(a.made), a.old != nil && now.Before(a.until)
	if a.leaf != nil && age >= 0 && age < leafRenewal && vouched == a.vouched {
		return a.leaf, nil
	}
	leaf, err := a.newLeaf(now, vouched)
	if err != nil {
		return nil, fmt.Errorf("make leaf: %w", err)
	}
	a.leaf, a.made, a.vouched = leaf, now, vouched
	return leaf, nil
}

// newLeaf makes a leaf, with or without what makes the root known to those who know the
// key before it.
func (a *Authority) newLeaf(now time.Time, vouched bool) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "xlreg"},
		NotBefore:             now.Add(-leafBackdate),
		NotAfter:              now.Add(leafLife - leafBackdate),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, a.key.Public(), a.sig.Signer())
	if err != nil {
		return nil, err
	}
	chain := [][]byte{der, a.root.Raw}
	if vouched {
		chain = append(chain, a.old.cross.Raw, a.old.root.Raw)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: a.key}, nil
}
