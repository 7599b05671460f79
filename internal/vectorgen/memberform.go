package vectorgen

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// certified is what the certificate of a member follows from: its token.
type certified struct {
	name     string
	key      string // the sig key, by its file
	ends     []string
	serial   []byte
	from, to uint64
}

// form is a member's certificate in pieces, each of them in DER, so that a vector
// can have any one of them in another way.
type form struct {
	version, serial, algorithm, issuer, from, to, subject, key, unique []byte

	extensions [][]byte
	tail       []byte // behind the extensions
	outer      []byte // the algorithm again

	sign func(tbs []byte) []byte
	bits func(signature []byte) []byte
}

// The places of the extensions.
const (
	atKeyUsage = iota
	atExtKeyUsage
	atBasicConstraints
	atSubjectKeyID
	atAuthorityKeyID
	atSubjectAltName
)

// The last arc of the extensions' identifiers, in the order of their places.
var extensionArcs = []int{15, 37, 19, 14, 35, 17}

func serverAuth() []byte { return oid(1, 3, 6, 1, 5, 5, 7, 3, 1) }
func clientAuth() []byte { return oid(1, 3, 6, 1, 5, 5, 7, 3, 2) }

// form returns the pieces as section 7.6 has them.
func (m *maker) form(c certified) *form {
	d := sha256Sum(join(m.public(c.key), []byte(c.name)))
	subject := memberName(c.name[:min(64, len(c.name))], h(d)[:32])
	algorithm := m.certAlgorithm(c.key)
	return &form{
		version: explicit(0, tlv(tagInteger, []byte{2})), serial: tlv(tagInteger, c.serial), algorithm: algorithm,
		issuer: subject, from: derTime(c.from), to: derTime(c.to), subject: subject, key: m.public(c.key),
		extensions: [][]byte{
			ext(15, true, tlv(tagBitString, []byte{7, 0x80})),
			ext(37, false, seq(serverAuth(), clientAuth())),
			ext(19, true, seq()),
			ext(14, false, tlv(tagOctetString, d[:20])),
			ext(35, false, seq(implicit(0, d[:20]))),
			ext(17, false, seq(altNames(c.name, c.ends)...)),
		},
		outer: algorithm,
		sign:  func(tbs []byte) []byte { return m.certSign(c.key, tbs) },
		bits:  bitString,
	}
}

// der returns the certificate and the signature in it.
func (f *form) der() (der, signature []byte) {
	var extensions []byte
	if f.extensions != nil {
		extensions = explicit(3, seq(f.extensions...))
	}
	tbs := seq(f.version, f.serial, f.algorithm, f.issuer, seq(f.from, f.to), f.subject, f.key, f.unique, extensions, f.tail)
	signature = f.sign(tbs)
	return seq(tbs, f.outer, f.bits(signature)), signature
}

// ext is an extension whose identifier is 2.5.29.last.
func ext(last int, critical bool, value []byte) []byte {
	var flag []byte
	if critical {
		flag = tlv(tagBoolean, []byte{0xff})
	}
	return seq(oid(2, 5, 29, last), flag, tlv(tagOctetString, value))
}

// attribute is a relative distinguished name of one attribute, 2.5.4.last.
func attribute(last int, tag byte, text string) []byte { return tlv(tagSet, pair(last, tag, text)) }

func pair(last int, tag byte, text string) []byte {
	return seq(oid(2, 5, 4, last), tlv(tag, []byte(text)))
}

func memberName(cn, serial string) []byte {
	return seq(attribute(3, tagUTF8String, cn), attribute(5, tagPrintableString, serial))
}

// The kinds of GeneralName.
const (
	nameEmail = 1
	nameDNS   = 2
	nameURI   = 6
	nameIP    = 7
	nameID    = 8
)

// altNames are the name and then the hosts, each of them once.
func altNames(name string, ends []string) [][]byte {
	names := [][]byte{implicit(nameDNS, []byte(name))}
	for _, end := range ends {
		host := hostName(end)
		if !slices.ContainsFunc(names, func(n []byte) bool { return string(n) == string(host) }) {
			names = append(names, host)
		}
	}
	return names
}

func hostName(end string) []byte {
	host := end[:strings.LastIndex(end, ":")]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		ip := netip.MustParseAddr(strings.TrimSuffix(inner, "]")).As16()
		return implicit(nameIP, ip[:])
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return implicit(nameIP, ip.AsSlice())
	}
	return implicit(nameDNS, []byte(host))
}

// certificate returns what a member shows, and field 9 of its token.
func (m *maker) certificate(c certified) (der, field []byte) {
	der, signature := m.form(c).der()
	return der, c.field9(signature)
}

func (c certified) field9(signature []byte) []byte {
	return join(c.serial, u64be(c.from), u64be(c.to), signature)
}

func u64be(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func seconds(t time.Time) uint64 { return uint64(t.Unix()) }

// certifiedAs returns what is certified of a node by default.
func certifiedAs(name, key string, ends []string) certified {
	serial := random("serial "+name+" "+key, 16)
	serial[0] = 0x5a
	from := now.Add(-hour)
	return certified{name, key, ends, serial, seconds(from), seconds(from.Add(90 * day))}
}

// memberEnds are the endpoints that most members here have.
var memberEnds = []string{"203.0.113.9:4001", "[2001:db8::9]:4002", "m0.example.org:4003"}

// m0 is the member that most vectors use, with its usual key.
func m0() certified { return certifiedAs("m0", "node-sig", memberEnds) }

// m0p256 is the same member with a key on P-256.
func m0p256() certified { return certifiedAs("m0", "p256-sig", memberEnds) }
