package launch

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// Authority certifies the members of one cluster, for programs that accept no certificate
// that its owner has signed. Its key is never written anywhere.
type Authority struct {
	cert *x509.Certificate
	life time.Duration       // of what it issues; 0: as long as its own certificate
	kept []*x509.Certificate // certificates that are issued again as they are

	mu  sync.Mutex
	key func() crypto.Signer // nil: forgotten. A function, so that no way of printing an Authority shows it
}

// ErrForgotten says that an authority has no key any more.
var ErrForgotten = errors.New("the authority has forgotten its key")

// authorityBackdate is how long before they are made certificates are valid, for peers whose
// clocks are behind.
const authorityBackdate = time.Hour

// NewAuthority makes an authority. It is valid for life, and so is what it issues.
func NewAuthority(name string, life time.Duration) (*Authority, error) {
	a, err := newAuthority(name, time.Now(), life)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	return a, nil
}

func newAuthority(name string, now time.Time, life time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from := now.Add(-authorityBackdate)
	cert, err := certify(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from,
		NotAfter:              from.Add(life),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, nil, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: func() crypto.Signer { return key }}, nil
}

// certify completes a certificate and signs it. A nil parent is the certificate itself.
func certify(c, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = c
	}
	// By it alone OpenSSL tells a member that has the name of its authority from one that signs
	// for itself, which it refuses.
	c.AuthorityKeyId = parent.SubjectKeyId
	serial := make([]byte, 16)
	rand.Read(serial)                 // never fails, by its contract
	serial[0] = serial[0]&0x3f | 0x40 // positive, and of one length
	c.SerialNumber = new(big.Int).SetBytes(serial)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Certificate returns the authority's certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Forget makes the authority forget its key. It cannot certify anybody from then on, and
// nobody else can in its name. It may be called again.
func (a *Authority) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.key = nil
}

// issue certifies d's member, whose key this is.
func (a *Authority) issue(d *Data, key keys.Public, names []string) (*x509.Certificate, error) {
	want := d.leaf(key, names)
	for _, cert := range a.kept {
		if sameLeaf(cert, want, key) {
			return cert, nil
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key == nil {
		return nil, ErrForgotten
	}
	public, err := x509.ParsePKIXPublicKey(key.DER())
	if err != nil {
		return nil, err
	}
	want.NotBefore, want.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	if a.life != 0 {
		want.NotBefore = later(time.Now().Add(-authorityBackdate), a.cert.NotBefore)
		want.NotAfter = earlier(want.NotBefore.Add(a.life), a.cert.NotAfter)
	}
	return certify(want, a.cert, public, a.key())
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// leaf returns a certificate for d's member, without dates.
func (d *Data) leaf(key keys.Public, names []string) *x509.Certificate {
	c := &x509.Certificate{
		Subject:               pkix.Name{CommonName: d.Self.Name},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	c.SubjectKeyId = keyID(key)
	if key.Kind() == keys.RSA {
		c.KeyUsage |= x509.KeyUsageKeyEncipherment // the key exchange of old clients
	}
	addName(c, d.Self.Name)
	for _, e := range d.Self.Endpoints {
		addName(c, e.Host())
		if at, ok := e.Addr(); ok && at.IsLoopback() {
			addName(c, "localhost")
		}
	}
	for _, name := range names {
		addName(c, name)
	}
	return c
}

// keyID returns an identifier of a key for certificates (RFC 7093, section 2, method 1).
func keyID(key keys.Public) []byte {
	sum := sha256.Sum256(key.DER())
	return sum[:20]
}

// addName adds a name or an address by which a certificate's owner is found, once. A member's
// name that could not be one in the DNS is no such name, and stays its subject alone.
func addName(c *x509.Certificate, name string) {
	if at, err := netip.ParseAddr(name); err == nil {
		ip := at.Unmap().AsSlice()
		if !slices.ContainsFunc(c.IPAddresses, func(other net.IP) bool { return other.Equal(ip) }) {
			c.IPAddresses = append(c.IPAddresses, ip)
		}
		return
	}
	if isDNSName(name) && !slices.Contains(c.DNSNames, name) {
		c.DNSNames = append(c.DNSNames, name)
	}
}

// CheckSAN reports whether a certificate can have this name, which is an address or a name in
// the DNS. The first label of a name may be *.
func CheckSAN(name string) error {
	if _, err := netip.ParseAddr(name); err == nil || isDNSName(name) {
		return nil
	}
	return fmt.Errorf("%q is neither an address nor a host's name", name)
}

func isDNSName(name string) bool {
	e, err := xlreg.ParseEndpoint(strings.TrimPrefix(name, "*.") + ":1")
	if err != nil {
		return false
	}
	_, isAddr := e.Addr()
	return !isAddr
}
