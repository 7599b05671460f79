package identity

import (
	"bytes"
	"crypto/x509"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// certificate is one that a node has for itself, read once.
type certificate struct {
	der       []byte
	field     []byte // for the token; nil: der is not in the form that members have
	key       xlreg.SigKey
	name      xlreg.Name
	notBefore time.Time
	notAfter  time.Time
}

// parseCertificate reads any certificate: one that is not in the form that members have
// can still be this node's, of an earlier program, and says how long they are to last.
func parseCertificate(der []byte) (*certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &certificate{
		der:       der,
		key:       xlreg.SigKey(cert.RawSubjectPublicKeyInfo),
		notBefore: cert.NotBefore,
		notAfter:  cert.NotAfter,
	}
	if member, err := keys.ReadCertificate(der); err == nil {
		c.field, c.name = member.Field, member.Name
	}
	return c, nil
}

func (c *certificate) life() time.Duration { return c.notAfter.Sub(c.notBefore) }

// serves reports whether c is valid at now and has more than a third of its life
// before it.
func (c *certificate) serves(now time.Time) bool {
	return !now.Before(c.notBefore) && c.notAfter.Sub(now) > c.life()/3
}

// fits reports whether c is the certificate that follows from t.
func (c *certificate) fits(t *xlreg.Token) bool {
	with := *t
	with.Certificate = c.field
	der, err := keys.BuildCertificate(&with)
	return err == nil && bytes.Equal(der, c.der)
}

// verify reports whether c fits t and is signed by t's own key.
func (c *certificate) verify(t *xlreg.Token) bool {
	with := *t
	with.Certificate = c.field
	return keys.VerifyCertificate(&with, c.der) == nil
}
