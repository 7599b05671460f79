package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
)

const (
	certificateCNLen  = 64 // bytes of the name in the CN; X.520 allows no more
	certificateKeyID  = 20 // bytes of subjectKeyIdentifier
	certificateHexLen = 32 // hex digits of the serialNumber attribute
)

// Parts of a certificate, in DER, that are the same in all of them.
const (
	derVersion3     = "\xa0\x03\x02\x01\x02"
	derCommonName   = "\x06\x03\x55\x04\x03" // the object ID, as are the others that end so
	derSerialNumber = "\x06\x03\x55\x04\x05"

	// keyUsage, critical: digitalSignature. Then extendedKeyUsage: serverAuth, clientAuth.
	// Then basicConstraints, critical: no CA, which could sign for all the others.
	derUsage = "\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80" +
		"\x30\x1d\x06\x03\x55\x1d\x25\x04\x16\x30\x14" +
		"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02" +
		"\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"
	derSubjectKeyID   = "\x30\x1d\x06\x03\x55\x1d\x0e\x04\x16\x04\x14" // the 20 bytes follow
	derAuthorityKeyID = "\x30\x1f\x06\x03\x55\x1d\x23\x04\x18\x30\x16\x80\x14"
	derAlternatives   = "\x06\x03\x55\x1d\x11"
)

// fixedLen is more than all parts of a certificate take whose length does not depend on
// the token: those above twice over, dates, names, and every tag and length.
const fixedLen = 640

// BuildCertificate returns the certificate of t's node in DER. It never travels: name,
// key and endpoints say all of it but what t.Certificate holds, and there is exactly
// one for each token (section 7). Whatever is wrong is of kind xlreg.ErrIllFormedToken.
// The signature in it is not verified, nor are its dates looked at.
func BuildCertificate(t *xlreg.Token) ([]byte, error) {
	_, der, _, err := readCertificateOf(t)
	return der, err
}

// readCertificateOf returns what t.Certificate says, the certificate, and the part of it
// that its signature covers.
func readCertificateOf(t *xlreg.Token) (v varying, der, signed []byte, err error) {
	v, err = parseVarying(t.Certificate)
	if err == nil {
		der, signed, err = buildCertificate(t, v)
	}
	if err != nil {
		return v, nil, nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "certificate: %v", err)
	}
	return v, der, signed, nil
}

func buildCertificate(t *xlreg.Token, v varying) (der, signed []byte, err error) {
	k, _ := kindOfInfo([]byte(t.SigKey))
	if k == nil {
		return nil, nil, errForm
	}
	var room [1 + xlreg.MaxEndpoints]generalName
	names, err := appendGeneralNames(room[:0], t)
	if err != nil {
		return nil, nil, err
	}
	size := fixedLen + len(t.SigKey) + len(v.signature)
	for i := range names {
		size += len(names[i].dns) + len(names[i].addr) + 4
	}
	if size > fixedLen+xlreg.MaxCertificateLen {
		return nil, nil, fmt.Errorf("more than %d bytes", xlreg.MaxCertificateLen)
	}
	w := newBackward(size)
	end := w.at
	w.addBits(v.signature)
	add(w, k.certificate)
	signedEnd := w.at
	w.addSigned(t, &v, k, names)
	signed = w.written(signedEnd)
	w.wrap(tagSequence, end)
	if der = w.written(end); len(der) > xlreg.MaxCertificateLen {
		return nil, nil, fmt.Errorf("%d bytes, at most %d allowed", len(der), xlreg.MaxCertificateLen)
	}
	return der, signed, nil
}

// addSigned writes all but the signature, the last part first, as backward does.
func (w *backward) addSigned(t *xlreg.Token, v *varying, k *kind, names []generalName) {
	sum := certificateSum(t)
	end := w.at
	w.addExtensions(sum[:certificateKeyID], names)
	add(w, t.SigKey)
	w.addSubject(t, sum[:])
	w.addValidity(v)
	w.addSubject(t, sum[:]) // the issuer
	add(w, k.certificate)
	addValue(w, tagInteger, v.serial)
	add(w, derVersion3)
	w.wrap(tagSequence, end)
}

// certificateSum is the value that makes a member's certificate its own: no two
// members share the name and the key (section 7).
func certificateSum(t *xlreg.Token) [sha256.Size]byte {
	b := make([]byte, 0, 1024)
	b = append(b, t.SigKey...)
	return sha256.Sum256(append(b, t.Name...))
}

func (w *backward) addSubject(t *xlreg.Token, sum []byte) {
	var digits [certificateHexLen]byte
	hex.Encode(digits[:], sum[:certificateHexLen/2])
	end := w.at
	addAttribute(w, derSerialNumber, tagPrintableString, digits[:])
	addAttribute(w, derCommonName, tagUTF8String, t.Name[:min(len(t.Name), certificateCNLen)])
	w.wrap(tagSequence, end)
}

func addAttribute[T ~string | ~[]byte](w *backward, objectID string, tag byte, value T) {
	end := w.at
	addValue(w, tag, value)
	add(w, objectID)
	w.wrap(tagSequence, end)
	w.wrap(tagSet, end)
}

func (w *backward) addValidity(v *varying) {
	end := w.at
	w.addTime(v.notAfter)
	w.addTime(v.notBefore)
	w.wrap(tagSequence, end)
}

// addTime writes a date of the years 1970 to 9999 in the form that RFC 5280 wants.
func (w *backward) addTime(seconds uint64) {
	var room [len("20060102150405Z")]byte
	at := time.Unix(int64(seconds), 0).UTC()
	text := at.AppendFormat(room[:0], "20060102150405Z")
	if at.Year() < 2050 {
		addValue(w, tagUTCTime, text[2:])
		return
	}
	addValue(w, tagGeneralizedTime, text)
}

func (w *backward) addExtensions(keyID []byte, names []generalName) {
	end := w.at
	w.addAlternatives(names)
	add(w, keyID)
	add(w, derAuthorityKeyID)
	add(w, keyID)
	add(w, derSubjectKeyID)
	add(w, derUsage)
	w.wrap(tagSequence, end)
	w.wrap(tagExts, end)
}

func (w *backward) addAlternatives(names []generalName) {
	end := w.at
	for i := len(names) - 1; i >= 0; i-- {
		names[i].addTo(w)
	}
	w.wrap(tagSequence, end)
	w.wrap(tagOctetString, end)
	add(w, derAlternatives)
	w.wrap(tagSequence, end)
}

// generalName is one of the names and addresses that a certificate is for.
type generalName struct {
	tag  byte
	dns  string   // of a dNSName
	addr [16]byte // of an iPAddress, which is its first n bytes
	n    uint8
}

func (g *generalName) addTo(w *backward) {
	if g.tag == tagDNSName {
		addValue(w, g.tag, g.dns)
		return
	}
	addValue(w, g.tag, g.addr[:g.n])
}

// appendGeneralNames appends t's name and then the hosts of its endpoints, each once.
func appendGeneralNames(names []generalName, t *xlreg.Token) ([]generalName, error) {
	names = append(names, generalName{tag: tagDNSName, dns: string(t.Name)})
	if n := len(t.Endpoints); n > xlreg.MaxEndpoints {
		return nil, fmt.Errorf("%d endpoints, at most %d allowed", n, xlreg.MaxEndpoints)
	}
	for _, e := range t.Endpoints {
		name, err := hostName(e)
		if err != nil {
			return nil, err
		}
		if !containsName(names, &name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func containsName(names []generalName, name *generalName) bool {
	for i := range names {
		if names[i] == *name {
			return true
		}
	}
	return false
}

// hostName returns the host of an endpoint. What stands in brackets is an IPv6 address,
// and one in the range of the IPv4 addresses is one, too. No DNS name has only digits
// and dots.
func hostName(e xlreg.Endpoint) (generalName, error) {
	host := e.Host()
	bracketed := strings.HasPrefix(string(e), "[")
	if !bracketed && strings.Trim(host, "0123456789.") != "" {
		return generalName{tag: tagDNSName, dns: host}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is4() == bracketed || addr.Zone() != "" {
		return generalName{}, fmt.Errorf("endpoint %q is ill-formed", e)
	}
	name := generalName{tag: tagIPAddress, addr: addr.As16(), n: 16}
	if addr.Is4() {
		v4 := addr.As4()
		name.n = uint8(copy(name.addr[:], v4[:]))
		clear(name.addr[name.n:])
	}
	return name, nil
}
