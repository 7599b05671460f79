package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
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
	key  *ecdsa.PrivateKey

	mu   sync.Mutex
	leaf *tls.Certificate // guarded by mu
	made time.Time        // guarded by mu; when leaf was
}

// NewAuthority returns the authority of the registry whose sig key is sig. A
// nil now is time.Now.
func NewAuthority(sig keys.Private, now func() time.Time) (*Authority, error) {
	if err := sig.Public().Check(xlreg.Protocol20); err != nil {
		return nil, fmt.Errorf("new authority: sig key of %w", err)
	}
	if now == nil {
		now = time.Now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new authority: make leaf key: %w", err)
	}
	root, err := newRoot(sig.Signer(), now())
	if err != nil {
		return nil, fmt.Errorf("new authority: make root: %w", err)
	}
	a := &Authority{sig: sig, now: now, root: root, key: key}
	if _, err := a.certificate(nil); err != nil {
		return nil, fmt.Errorf("new authority: %w", err)
	}
	return a, nil
}

func newRoot(sig crypto.Signer, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "xlreg registry"},
		NotBefore:             now.Add(-leafBackdate),
		NotAfter:              now.Add(rootLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, sig.Public(), sig)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// certificate returns the leaf and the root, for tls.Config.GetCertificate. The
// leaf is renewed when a handshake finds it a day old, or dated in the future
// because the clock has been set back.
func (a *Authority) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().Round(0) // wall time, as the monotonic clock may stop while the machine sleeps
	age := now.Sub(a.made)
	if a.leaf != nil && age >= 0 && age < leafRenewal {
		return a.leaf, nil
	}
	leaf, err := a.newLeaf(now)
	if err != nil {
		return nil, fmt.Errorf("make leaf: %w", err)
	}
	a.leaf, a.made = leaf, now
	return leaf, nil
}

func (a *Authority) newLeaf(now time.Time) (*tls.Certificate, error) {
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
	return &tls.Certificate{Certificate: [][]byte{der, a.root.Raw}, PrivateKey: a.key}, nil
}
