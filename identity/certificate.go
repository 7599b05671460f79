package identity

import (
	"crypto/x509"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// certificate is one that a node has for itself, read once.
type certificate struct {
	der       []byte
	key       xlreg.SigKey
	notBefore time.Time
	notAfter  time.Time
	names     []string
	addrs     []net.IP
}

func parseCertificate(der []byte) (*certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &certificate{
		der:       der,
		key:       xlreg.SigKey(cert.RawSubjectPublicKeyInfo),
		notBefore: cert.NotBefore,
		notAfter:  cert.NotAfter,
		names:     cert.DNSNames,
		addrs:     cert.IPAddresses,
	}, nil
}

func (c *certificate) life() time.Duration { return c.notAfter.Sub(c.notBefore) }

// serves reports whether c is valid at now and has more than a third of its life
// before it.
func (c *certificate) serves(now time.Time) bool {
	return !now.Before(c.notBefore) && c.notAfter.Sub(now) > c.life()/3
}

// fits reports whether c has the alternative names of t, in any order.
func (c *certificate) fits(t *xlreg.Token) bool {
	names, addrs := keys.CertificateHosts(t)
	return len(names) == len(c.names) && len(addrs) == len(c.addrs) &&
		!slices.ContainsFunc(names, func(s string) bool { return !slices.Contains(c.names, s) }) &&
		!slices.ContainsFunc(addrs, func(ip net.IP) bool { return !slices.ContainsFunc(c.addrs, ip.Equal) })
}
