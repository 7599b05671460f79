package vectorgen

import (
	"bytes"
	"slices"
)

// oddExtensions are in another order, too few, too many, or critical where they
// are not and the other way round.
func (m *maker) oddExtensions() {
	order := func(name, about string, places ...int) {
		m.differs("order-"+name, about, func(f *form) {
			var list [][]byte
			for _, at := range places {
				list = append(list, f.extensions[at])
			}
			f.extensions = list
		})
	}
	order("usages", "extendedKeyUsage before keyUsage", 1, 0, 2, 3, 4, 5)
	order("key-ids", "authorityKeyIdentifier before subjectKeyIdentifier", 0, 1, 2, 4, 3, 5)
	order("constraints-first", "basicConstraints first", 2, 0, 1, 3, 4, 5)
	order("names-first", "subjectAltName first", 5, 0, 1, 2, 3, 4)
	order("reversed", "all of them the other way round", 5, 4, 3, 2, 1, 0)
	names := []string{"keyUsage", "extendedKeyUsage", "basicConstraints", "subjectKeyIdentifier", "authorityKeyIdentifier", "subjectAltName"}
	for at, name := range names {
		m.differs("no-"+name, name+" is missing", func(f *form) { f.extensions = slices.Delete(f.extensions, at, at+1) })
		m.differs("twice-"+name, name+" stands there twice", func(f *form) {
			f.extensions = slices.Insert(f.extensions, at, f.extensions[at])
		})
		m.differs("critical-"+name, name+" is critical, or not, the other way round", func(f *form) { f.extensions[at] = otherFlag(at, f.extensions[at]) })
		m.differs("explicit-flag-"+name, name+" says FALSE where that is left out, or the BOOLEAN twice", func(f *form) {
			f.extensions[at] = explicitFlag(at, f.extensions[at])
		})
		m.differs("trailing-"+name, name+" has a NULL behind its value", func(f *form) {
			f.extensions[at] = changeValue(f.extensions[at], func(b []byte) []byte { return append(bytes.Clone(b), 5, 0) })
		})
	}
	m.differs("no-extensions", "no extensions at all", func(f *form) { f.extensions = nil })
	m.differs("empty-extensions", "a list of no extensions", func(f *form) { f.extensions = [][]byte{} })
	for name, flag := range map[string][]byte{"more-extensions": nil, "more-critical": tlv(tagBoolean, []byte{0xff})} {
		m.differs(name, "an extension that is not part of the form", func(f *form) {
			f.extensions = append(f.extensions, seq(oid(1, 3, 6, 1, 4, 1, 99999, 1), flag, tlv(tagOctetString, null())))
		})
	}
}

// parts of an extension, without its identifier.
func extensionValue(at int, extension []byte) (critical bool, value []byte) {
	rest := content(extension)[len(oid(2, 5, 29, extensionArcs[at])):]
	if rest[0] == tagBoolean {
		return true, content(rest[3:])
	}
	return false, content(rest)
}

func otherFlag(at int, extension []byte) []byte {
	critical, value := extensionValue(at, extension)
	return ext(extensionArcs[at], !critical, value)
}

func explicitFlag(at int, extension []byte) []byte {
	critical, value := extensionValue(at, extension)
	flag := tlv(tagBoolean, []byte{0})
	if critical {
		flag = bytes.Repeat(tlv(tagBoolean, []byte{0xff}), 2)
	}
	return seq(oid(2, 5, 29, extensionArcs[at]), flag, tlv(tagOctetString, value))
}

// changeValue changes what is in the OCTET STRING of an extension.
func changeValue(extension []byte, change func([]byte) []byte) []byte {
	for at, arc := range extensionArcs {
		if id := oid(2, 5, 29, arc); bytes.HasPrefix(content(extension), id) {
			critical, value := extensionValue(at, extension)
			return ext(arc, critical, change(value))
		}
	}
	panic("an extension that is not of the form: a mistake in this package")
}

// oddUsages are other values of the first five extensions.
func (m *maker) oddUsages() {
	value := func(at int) func(name, about string, value []byte) {
		return func(name, about string, value []byte) {
			m.differs(name, about, func(f *form) {
				f.extensions[at] = changeValue(f.extensions[at], func([]byte) []byte { return value })
			})
		}
	}
	constraints := value(atBasicConstraints)
	yes, no := tlv(tagBoolean, []byte{0xff}), tlv(tagBoolean, []byte{0})
	length := tlv(tagInteger, []byte{0})
	constraints("ca", "CA:TRUE: such a member could mint certificates for the others", seq(yes))
	constraints("ca-path-length", "CA:TRUE, and no CA below it", seq(yes, length))
	constraints("ca-explicit-false", "CA:FALSE in words, where DER leaves it out", seq(no))
	constraints("path-length", "a path length without CA", seq(length))

	usage := value(atKeyUsage)
	usage("usage-cert-sign", "keyUsage also has certSign", tlv(tagBitString, []byte{2, 0x84}))
	usage("usage-encipherment", "keyUsage also has keyEncipherment", tlv(tagBitString, []byte{5, 0xa0}))
	usage("usage-agreement", "keyUsage is keyAgreement", tlv(tagBitString, []byte{3, 0x08}))
	usage("usage-none", "a keyUsage of no bits", tlv(tagBitString, []byte{0}))
	usage("usage-all-bits", "zeros behind the last bit, which DER leaves out", tlv(tagBitString, []byte{0, 0x80}))
	usage("usage-two-bytes", "a byte of zeros, which DER leaves out", tlv(tagBitString, []byte{0, 0x80, 0}))
	usage("usage-bits-set", "unused bits that are not zero", tlv(tagBitString, []byte{7, 0xff}))

	purpose := value(atExtKeyUsage)
	email, anything := oid(1, 3, 6, 1, 5, 5, 7, 3, 4), oid(2, 5, 29, 37, 0)
	purpose("purpose-order", "client authentication first", seq(clientAuth(), serverAuth()))
	purpose("purpose-server-only", "extendedKeyUsage lacks client authentication", seq(serverAuth()))
	purpose("purpose-client-only", "extendedKeyUsage lacks server authentication", seq(clientAuth()))
	purpose("purpose-email", "extendedKeyUsage also has e-mail", seq(serverAuth(), clientAuth(), email))
	purpose("purpose-any", "extendedKeyUsage also has any usage", seq(serverAuth(), clientAuth(), anything))
	purpose("purpose-twice", "server authentication two times", seq(serverAuth(), clientAuth(), serverAuth()))
	purpose("purpose-none", "no usage", seq())

	d := sha256Sum(join(m.public("node-sig"), []byte("m0")))
	subject, authority := value(atSubjectKeyID), value(atAuthorityKeyID)
	subject("subject-key-id-other", "subjectKeyIdentifier is another", tlv(tagOctetString, random("key id", 20)))
	subject("subject-key-id-long", "all 32 bytes of the digest in subjectKeyIdentifier", tlv(tagOctetString, d))
	subject("subject-key-id-sha1", "subjectKeyIdentifier as RFC 5280 proposes it", tlv(tagOctetString, sha1Sum(m.public("node-sig"))))
	authority("authority-key-id-other", "authorityKeyIdentifier is another", seq(implicit(0, random("key id", 20))))
	authority("authority-key-id-empty", "authorityKeyIdentifier says nothing", seq())
	issuer := tlv(tagContext|tagConstructed|1, explicit(4, m.form(m0()).subject))
	authority("authority-issuer", "authorityKeyIdentifier also has the issuer and its serial number", seq(implicit(0, d[:20]), issuer, implicit(2, m0().serial)))
}

// oddAltNames are other values of subjectAltName.
func (m *maker) oddAltNames() {
	name, v4, v6, dns := implicit(nameDNS, []byte("m0")), hostName(memberEnds[0]), hostName(memberEnds[1]), hostName(memberEnds[2])
	names := func(name, about string, list ...[]byte) {
		m.differs("names-"+name, about, func(f *form) { f.extensions[atSubjectAltName] = ext(17, false, seq(list...)) })
	}
	names("last", "the name behind the hosts", v4, v6, dns, name)
	names("dns-first", "DNS names before addresses", name, dns, v4, v6)
	names("no-name", "the name is missing", v4, v6, dns)
	names("no-host", "a host is missing", name, v4, dns)
	names("only-name", "all hosts are missing", name)
	names("more", "a host that no endpoint has", name, v4, v6, dns, implicit(nameDNS, []byte("elsewhere.example.org")))
	names("twice", "a host stands there twice", name, v4, v6, dns, dns)
	names("email", "an e-mail address", name, v4, v6, dns, implicit(nameEmail, []byte("m0@example.org")))
	names("uri", "a URI", name, v4, v6, dns, implicit(nameURI, []byte("spiffe://example.org/m0")))
	names("id", "a registered ID", name, v4, v6, dns, implicit(nameID, []byte{42, 3}))
	names("directory", "a directory name", name, v4, v6, dns, explicit(4, m.form(m0()).subject))
	names("address-as-text", "an address as a DNS name", name, implicit(nameDNS, []byte("203.0.113.9")), v6, dns)
	names("address-and-text", "an address as a DNS name too", name, v4, implicit(nameDNS, []byte("203.0.113.9")), v6, dns)
	names("address-mapped", "an IPv4 address in 16 bytes", name, hostName("[::ffff:203.0.113.9]:1"), v6, dns)
	names("address-mask", "an address with a mask", name, implicit(nameIP, []byte{203, 0, 113, 9, 255, 255, 255, 255}), v6, dns)
	names("upper-case", "a host in another case", name, v4, v6, implicit(nameDNS, []byte("M0.example.org")))
	names("dot", "a dot behind a host", name, v4, v6, implicit(nameDNS, []byte("m0.example.org.")))
	names("none", "no name at all")
	c := certifiedAs("m0", "node-sig", []string{"[::ffff:203.0.113.9]:1"})
	m.odd("names-mapped-short", auth, "an address in brackets in 4 bytes", c, func(f *form) {
		f.extensions[atSubjectAltName] = ext(17, false, seq(name, v4))
	})
}
