package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
)

// DefaultCertificateLife is how long a certificate is valid unless told otherwise.
const DefaultCertificateLife = 90 * 24 * time.Hour

// certificateBackdate is how long before it is made a certificate is valid, for
// peers whose clocks are behind.
const certificateBackdate = time.Hour

const (
	certificateCNLen   = 64 // bytes of the name in the CN; X.520 allows no more
	certificateKeyID   = 20 // bytes of subjectKeyIdentifier
	certificateHexLen  = 32 // hex digits of the serialNumber attribute
	certificateSerial  = 128
	certificateVersion = 3
)

// certificateSum is the value that makes a member's certificate its own: no two
// members share the name and the key (section 7).
func certificateSum(t *xlreg.Token) [sha256.Size]byte {
	b := make([]byte, 0, 1024)
	b = append(b, t.SigKey...)
	return sha256.Sum256(append(b, t.Name...))
}

// certificateCN returns the CN of t's certificate.
func certificateCN(t *xlreg.Token) string {
	return string(t.Name[:min(len(t.Name), certificateCNLen)])
}

// NewCertificate makes the certificate by which t's node is known in TLS: signed by
// itself, a trust anchor for itself and for nothing else (section 7). The key has
// to be that of t.SigKey. It is valid for life, from an hour before now.
func NewCertificate(key Private, t *xlreg.Token, now time.Time, life time.Duration) ([]byte, error) {
	serial := make([]byte, certificateSerial/8)
	rand.Read(serial) // never fails, by its contract
	serial[0] |= 1    // so that it is never 0, which a serial must not be
	template := certificateTemplate(t)
	template.SignatureAlgorithm = kindNamed(key.Public().Kind()).certificate
	template.SerialNumber = new(big.Int).SetBytes(serial)
	template.NotBefore = now.Add(-certificateBackdate).UTC()
	template.NotAfter = template.NotBefore.Add(life)
	signer := key.Signer()
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if err := CheckCertificate(der, t); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return der, nil
}

func certificateTemplate(t *xlreg.Token) *x509.Certificate {
	sum := certificateSum(t)
	names, addrs := CertificateHosts(t)
	return &x509.Certificate{
		Subject: pkix.Name{
			CommonName:   certificateCN(t),
			SerialNumber: hex.EncodeToString(sum[:])[:certificateHexLen],
		},
		BasicConstraintsValid: true, // CA:FALSE, in so many words
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		SubjectKeyId:          sum[:certificateKeyID],
		AuthorityKeyId:        sum[:certificateKeyID],
		DNSNames:              names,
		IPAddresses:           addrs,
	}
}

// CertificateHosts returns the subject alternative names of t's certificate: its
// name, and the hosts of its endpoints, each once.
func CertificateHosts(t *xlreg.Token) (names []string, addrs []net.IP) {
	names = []string{string(t.Name)}
	for _, e := range t.Endpoints {
		addr, ok := e.Addr()
		if !ok && !slices.Contains(names, e.Host()) {
			names = append(names, e.Host())
		}
		if ip := net.IP(addr.AsSlice()); ok && !slices.ContainsFunc(addrs, ip.Equal) {
			addrs = append(addrs, ip)
		}
	}
	return names, addrs
}
