package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
)

// DefaultCertificateLife is how long a certificate is valid unless told otherwise.
const DefaultCertificateLife = 90 * 24 * time.Hour

// certificateBackdate is how long before it is made a certificate is valid, for
// peers whose clocks are behind.
const certificateBackdate = time.Hour

const (
	serialLen    = 16                      // bytes of a certificate's serial number
	signatureAt  = serialLen + 8 + 8       // where the signature begins in a token's Certificate
	maxTimestamp = 253402300799            // the last second of the year 9999
	maxSignature = xlreg.MaxKeyBits/8 + 64 // bytes
)

// varying is what a token's Certificate says: all of a certificate that does not follow
// from the rest of the token (section 7).
type varying struct {
	serial    []byte
	notBefore uint64 // seconds since 1970, as is notAfter
	notAfter  uint64
	signature []byte
}

func parseVarying(field []byte) (varying, error) {
	if len(field) <= signatureAt {
		return varying{}, fmt.Errorf("%d bytes, want more than %d", len(field), signatureAt)
	}
	v := varying{
		serial:    field[:serialLen],
		notBefore: binary.BigEndian.Uint64(field[serialLen:]),
		notAfter:  binary.BigEndian.Uint64(field[serialLen+8:]),
		signature: field[signatureAt:],
	}
	return v, v.check()
}

func (v *varying) check() error {
	switch {
	case v.serial[0] == 0 || v.serial[0] > 0x7f:
		return fmt.Errorf("serial number begins with %#x, want 01 to 7f", v.serial[0])
	case v.notBefore > maxTimestamp || v.notAfter > maxTimestamp:
		return errors.New("a date after the year 9999")
	case len(v.signature) > maxSignature:
		return fmt.Errorf("signature of %d bytes", len(v.signature))
	}
	return nil
}

// appendTo appends the field that parseVarying reads.
func (v *varying) appendTo(b []byte) []byte {
	b = append(b, v.serial...)
	b = binary.BigEndian.AppendUint64(b, v.notBefore)
	b = binary.BigEndian.AppendUint64(b, v.notAfter)
	return append(b, v.signature...)
}

// NewCertificate makes the certificate by which t's node is known in TLS: signed by
// itself, a trust anchor for itself and for nothing else (section 7). What it returns
// is for t.Certificate; BuildCertificate then returns the certificate. The key has to be
// that of t.SigKey. It is valid for life, from an hour before now.
func NewCertificate(key Private, t *xlreg.Token, now time.Time, life time.Duration) ([]byte, error) {
	field, err := newCertificate(key, t, now, life)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return field, nil
}

func newCertificate(key Private, t *xlreg.Token, now time.Time, life time.Duration) ([]byte, error) {
	from := now.Add(-certificateBackdate)
	if epoch := time.Unix(0, 0); from.Before(epoch) {
		from = epoch // a machine without a clock of its own begins in 1970
	}
	until := from.Add(life)
	if now.Unix() < 0 || until.Unix() < 0 {
		return nil, errors.New("a date before the year 1970")
	}
	v := varying{serial: newSerial(), notBefore: uint64(from.Unix()), notAfter: uint64(until.Unix())}
	if err := v.check(); err != nil {
		return nil, err
	}
	_, signed, err := buildCertificate(t, v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(signed)
	if v.signature, err = key.Sign(SchemeCertificate, sum[:]); err != nil {
		return nil, err
	}
	if string(key.Public().DER()) != string(t.SigKey) {
		return nil, errors.New("the key is not that of the token")
	}
	// Only now is it known how long the certificate is.
	if _, _, err := buildCertificate(t, v); err != nil {
		return nil, err
	}
	return v.appendTo(nil), nil
}

// newSerial returns a random serial number, whose first byte is 01 to 7f.
func newSerial() []byte {
	serial := make([]byte, serialLen)
	for serial[0] == 0 {
		rand.Read(serial) // never fails, by its contract
		serial[0] &= 0x7f
	}
	return serial
}

// VerifyCertificate reports whether shown, which a client showed in its handshake, is
// the one certificate that follows from t, and is signed by t's own key. That is for
// the registry: t's readers need not verify this signature, as DigSig2 covers the whole
// certificate. Whatever is wrong is of kind xlreg.ErrIllFormedToken.
func VerifyCertificate(t *xlreg.Token, shown []byte) error {
	key, err := ParseFor(t.SigKey, xlreg.Protocol20)
	if err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "sig key: %v", err)
	}
	v, built, signed, err := readCertificateOf(t)
	if err != nil {
		return err
	}
	if !bytes.Equal(built, shown) {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "the certificate shown is not the one that follows from the token")
	}
	sum := sha256.Sum256(signed)
	if !key.Verify(SchemeCertificate, sum[:], v.signature) {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "the certificate is not signed by its own key")
	}
	return nil
}

// CertificateKey returns the key of a certificate that a client shows in a handshake. It
// has to be one that 2.0 accepts, and the certificate may be no longer than any member's
// is. All else is looked at when the client registers: see VerifyCertificate.
func CertificateKey(der []byte) (xlreg.SigKey, error) {
	if len(der) > xlreg.MaxCertificateLen {
		return "", fmt.Errorf("certificate of %d bytes: at most %d allowed", len(der), xlreg.MaxCertificateLen)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	if _, err := ParseFor(cert.RawSubjectPublicKeyInfo, xlreg.Protocol20); err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	return xlreg.SigKey(cert.RawSubjectPublicKeyInfo), nil
}
