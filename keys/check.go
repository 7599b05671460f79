package keys

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/xlattice/xlreg"
)

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}

	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidAlternativeNames = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// The kinds of alternative name that stand for hosts (RFC 5280, 4.2.1.6).
const (
	tagDNSName   = cryptobyte_asn1.Tag(2 | 0x80)
	tagIPAddress = cryptobyte_asn1.Tag(7 | 0x80)
)

// CheckSelfSigned returns the key of a certificate that is signed by that very
// key, which 2.0 has to accept. It is all that a TLS handshake asks of a client;
// neither dates nor names are looked at.
func CheckSelfSigned(der []byte) (xlreg.SigKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	key := xlreg.SigKey(cert.RawSubjectPublicKeyInfo)
	if _, err := signingKey(key, xlreg.Protocol20); err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	if err := checkOwnSignature(cert); err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	return key, nil
}

// CheckCertificate reports whether der is a certificate of t in the form of section
// 7, with t's name and its SigKey. Dates are not looked at, nor whether the hosts
// are those of t.
func CheckCertificate(der []byte, t *xlreg.Token) error {
	if err := checkCertificate(der, t); err != nil {
		return fmt.Errorf("certificate of %q: %w", t.Name, err)
	}
	return nil
}

func checkCertificate(der []byte, t *xlreg.Token) error {
	if len(der) > xlreg.MaxCertificateLen {
		return fmt.Errorf("%d bytes, at most %d allowed", len(der), xlreg.MaxCertificateLen)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if string(cert.RawSubjectPublicKeyInfo) != string(t.SigKey) {
		return errors.New("its key is not the sig key")
	}
	key, err := signingKey(t.SigKey, xlreg.Protocol20)
	if err != nil {
		return err
	}
	if err := checkAlgorithm(cert, key); err != nil {
		return err
	}
	sum := certificateSum(t)
	if err := checkHead(cert, certificateCN(t), hex.EncodeToString(sum[:])[:certificateHexLen]); err != nil {
		return err
	}
	if err := checkExtensions(cert, string(t.Name), sum[:certificateKeyID]); err != nil {
		return err
	}
	return checkOwnSignature(cert)
}

// checkAlgorithm holds the version, and how keys of this kind sign, against the form.
func checkAlgorithm(cert *x509.Certificate, key Public) error {
	want := kindNamed(key.Kind()).certificate
	if cert.Version != certificateVersion || cert.SignatureAlgorithm != want {
		return fmt.Errorf("version %d with %v: want version %d with %v", cert.Version, cert.SignatureAlgorithm, certificateVersion, want)
	}
	return nil
}

// checkHead holds the serial number and the names against the form.
func checkHead(cert *x509.Certificate, commonName, serialNumber string) error {
	if serial := cert.SerialNumber; serial.Sign() <= 0 || serial.BitLen() > certificateSerial {
		return fmt.Errorf("serial number: want 1 to %d bits", certificateSerial)
	}
	if !bytes.Equal(cert.RawSubject, cert.RawIssuer) {
		return errors.New("subject and issuer differ")
	}
	want := []pkix.AttributeTypeAndValue{
		{Type: oidCommonName, Value: commonName},
		{Type: oidSerialNumber, Value: serialNumber},
	}
	same := func(a, b pkix.AttributeTypeAndValue) bool { return a.Type.Equal(b.Type) && a.Value == b.Value }
	if !slices.EqualFunc(cert.Subject.Names, want, same) {
		return errors.New("subject is not that of the name and key")
	}
	return nil
}

// checkExtensions holds the extensions against the form: these six, each once as
// the parser sees to, and no other.
func checkExtensions(cert *x509.Certificate, name string, keyID []byte) error {
	want := []struct {
		id       asn1.ObjectIdentifier
		critical bool
		value    []byte // nil: looked at below
	}{
		{oidBasicConstraints, true, []byte{0x30, 0}},        // CA:FALSE
		{oidKeyUsage, true, []byte{0x03, 0x02, 0x07, 0x80}}, // digitalSignature
		{oidExtKeyUsage, false, nil},
		{oidSubjectKeyID, false, derString(0x04, keyID)},
		{oidAuthorityKeyID, false, derString(0x30, derString(0x80, keyID))},
		{oidAlternativeNames, false, nil},
	}
	if len(cert.Extensions) != len(want) {
		return fmt.Errorf("%d extensions, want %d", len(cert.Extensions), len(want))
	}
	for _, w := range want {
		e := extension(cert, w.id)
		if e == nil {
			return fmt.Errorf("extension %v is missing", w.id)
		}
		if e.Critical != w.critical || w.value != nil && !bytes.Equal(e.Value, w.value) {
			return fmt.Errorf("extension %v is not as agreed", w.id)
		}
	}
	return checkUsageAndNames(cert, name)
}

func extension(cert *x509.Certificate, id asn1.ObjectIdentifier) *pkix.Extension {
	for i := range cert.Extensions {
		if cert.Extensions[i].Id.Equal(id) {
			return &cert.Extensions[i]
		}
	}
	return nil
}

func checkUsageAndNames(cert *x509.Certificate, name string) error {
	usages := cert.ExtKeyUsage
	if len(usages) != 2 || len(cert.UnknownExtKeyUsage) > 0 ||
		!slices.Contains(usages, x509.ExtKeyUsageServerAuth) || !slices.Contains(usages, x509.ExtKeyUsageClientAuth) {
		return errors.New("extended usage is not server and client authentication")
	}
	if !slices.Contains(cert.DNSNames, name) {
		return errors.New("the name is not among the alternative names")
	}
	return checkOnlyHosts(extension(cert, oidAlternativeNames).Value)
}

// checkOnlyHosts reports an alternative name that is neither dNSName nor
// iPAddress. The parser passes over some of those without a word.
func checkOnlyHosts(extension []byte) error {
	input := cryptobyte.String(extension)
	var names, name cryptobyte.String
	if !input.ReadASN1(&names, cryptobyte_asn1.SEQUENCE) {
		return errors.New("alternative names do not parse")
	}
	for !names.Empty() {
		var tag cryptobyte_asn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return errors.New("alternative names do not parse")
		}
		if tag != tagDNSName && tag != tagIPAddress {
			return errors.New("alternative names that are no hosts")
		}
	}
	return nil
}

// checkOwnSignature verifies the certificate under its own key. The parser has
// made sure that inner and outer algorithm agree.
func checkOwnSignature(cert *x509.Certificate) error {
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return fmt.Errorf("not signed by its own key: %w", err)
	}
	return nil
}

// derString returns a DER value of fewer than 128 bytes.
func derString(tag byte, content []byte) []byte {
	return append([]byte{tag, byte(len(content))}, content...)
}
