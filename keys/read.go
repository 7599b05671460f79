package keys

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/xlattice/xlreg"
)

// MemberCertificate is what a certificate in the form of section 7 says.
type MemberCertificate struct {
	Name      xlreg.Name
	SigKey    xlreg.SigKey
	Hosts     []xlreg.Endpoint // the hosts of the endpoints, each once, with a port that means nothing
	Field     []byte           // for Token.Certificate
	NotBefore time.Time
	NotAfter  time.Time
}

// anyPort stands in endpoints of which only the host is known.
const anyPort = ":1"

// ReadCertificate reads a certificate of which the token is not known: of a member that
// has made a new one, or the one that a node keeps. Nothing is accepted but what
// BuildCertificate builds. Whether it is signed by its own key is not verified, nor are
// its dates looked at.
func ReadCertificate(der []byte) (*MemberCertificate, error) {
	c, err := readCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of a member: %w", err)
	}
	return c, nil
}

func readCertificate(der []byte) (*MemberCertificate, error) {
	if len(der) > xlreg.MaxCertificateLen {
		return nil, fmt.Errorf("%d bytes, at most %d allowed", len(der), xlreg.MaxCertificateLen)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &MemberCertificate{
		SigKey:    xlreg.SigKey(cert.RawSubjectPublicKeyInfo),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}
	if err := c.readNames(cert); err != nil {
		return nil, err
	}
	if c.NotBefore.Unix() < 0 || c.NotAfter.Unix() < 0 {
		return nil, errors.New("a date before the year 1970")
	}
	v := varying{
		serial: make([]byte, serialLen), signature: cert.Signature,
		notBefore: uint64(c.NotBefore.Unix()), notAfter: uint64(c.NotAfter.Unix()),
	}
	if cert.SerialNumber.Sign() < 0 || cert.SerialNumber.BitLen() > 8*serialLen {
		return nil, errors.New("serial number is too long")
	}
	cert.SerialNumber.FillBytes(v.serial)
	c.Field = v.appendTo(nil)
	return c, c.compare(der)
}

// compare makes sure that der follows from what was read of it.
func (c *MemberCertificate) compare(der []byte) error {
	t := &xlreg.Token{Name: c.Name, SigKey: c.SigKey, Endpoints: c.Hosts, Certificate: c.Field}
	if err := t.Validate(); err != nil {
		return err
	}
	built, err := BuildCertificate(t)
	if err != nil {
		return err
	}
	if string(built) != string(der) {
		return errors.New("not in the one form that there is")
	}
	return nil
}

// readNames reads the alternative names in the order in which they stand, which the
// parser does not keep. The first is the name of the node.
func (c *MemberCertificate) readNames(cert *x509.Certificate) error {
	var names, name cryptobyte.String
	for _, e := range cert.Extensions {
		if e.Id.String() == "2.5.29.17" {
			names = e.Value
		}
	}
	if !names.ReadASN1(&names, cryptobyte_asn1.SEQUENCE) {
		return errors.New("no alternative names")
	}
	for first := true; !names.Empty(); first = false {
		var tag cryptobyte_asn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return errors.New("alternative names do not parse")
		}
		if first && tag == tagDNSName {
			c.Name = xlreg.Name(name)
			continue
		}
		c.Hosts = append(c.Hosts, endpointOf(byte(tag), name))
	}
	return nil
}

// endpointOf returns an endpoint with this host. What is no host makes no endpoint from
// which the same certificate would follow.
func endpointOf(tag byte, name []byte) xlreg.Endpoint {
	if tag == tagDNSName {
		return xlreg.Endpoint(string(name) + anyPort)
	}
	addr, _ := netip.AddrFromSlice(name)
	if addr.Is4() {
		return xlreg.Endpoint(addr.String() + anyPort)
	}
	return xlreg.Endpoint("[" + addr.String() + "]" + anyPort)
}
