package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512" // pkcs1 is asked for it
	"strings"
)

// oddHeads differ before and between the names.
func (m *maker) oddHeads() {
	m.differs("version-1", "version 1, which is written by leaving it out, with extensions", func(f *form) { f.version = nil })
	for n, text := range map[byte]string{0: "1-explicit", 1: "2", 3: "4"} {
		m.differs("version-"+text, "another version", func(f *form) { f.version = explicit(0, tlv(tagInteger, []byte{n})) })
	}
	m.differs("issuer-unique-id", "an issuerUniqueID", func(f *form) { f.unique = implicit(1, []byte{0, 0x5a}) })
	m.differs("subject-unique-id", "a subjectUniqueID", func(f *form) { f.unique = implicit(2, []byte{0, 0x5a}) })
	serial := func(name, about string, tag byte, b ...byte) {
		m.differs("serial-"+name, about, func(f *form) { f.serial = tlv(tag, b) })
	}
	usual := m0().serial
	serial("zero", "a serial number of zero", tagInteger, 0)
	serial("negative", "a negative serial number", tagInteger, append([]byte{0x9a}, usual[1:]...)...)
	serial("long", "a serial number of 136 bits", tagInteger, append([]byte{1}, usual...)...)
	serial("short", "a serial number of 120 bits", tagInteger, append([]byte{0x5a}, usual[2:]...)...)
	serial("padded", "a zero more before the serial number than DER allows", tagInteger, append([]byte{0}, usual...)...)
	serial("enumerated", "a serial number that is no INTEGER", tagEnumerated, usual...)
	serial("empty", "a serial number of no bytes", tagInteger)
	serial("other", "another serial number than that of field 9", tagInteger, flip(usual)...)
	m.oddAlgorithms()
}

// oddAlgorithms are all signed as the outer algorithm says, or as the inner.
func (m *maker) oddAlgorithms() {
	arcs := func(last int) []byte { return oid(1, 2, 840, 113549, 1, 1, last) }
	with := func(last int) []byte { return seq(arcs(last), null()) }
	key := m.rsa["node-sig"]
	signed := func(f *form, hash crypto.Hash) {
		f.sign = func(tbs []byte) []byte { return pkcs1(key, hash, tbs) }
	}
	both := func(name, about string, last int, hash crypto.Hash) {
		m.differs(name, about, func(f *form) { f.algorithm, f.outer = with(last), with(last); signed(f, hash) })
	}
	both("sha384", "signed with SHA-384", 12, crypto.SHA384)
	both("sha512", "signed with SHA-512", 13, crypto.SHA512)
	both("sha1", "signed with SHA-1", 5, crypto.SHA1)
	m.differs("inner-sha384", "the inner algorithm is another than the outer, by which it is signed", func(f *form) { f.algorithm = with(12) })
	m.differs("outer-sha384", "the outer algorithm is another than the inner", func(f *form) { f.outer = with(12); signed(f, crypto.SHA384) })
	bare := seq(rsaWithSHA256())
	m.differs("no-parameters", "no NULL behind the algorithm, inside and outside", func(f *form) { f.algorithm, f.outer = bare, bare })
	m.differs("no-parameters-inner", "no NULL behind the inner algorithm", func(f *form) { f.algorithm = bare })
	m.differs("no-parameters-outer", "no NULL behind the outer algorithm", func(f *form) { f.outer = bare })
	m.differs("pss", "signed with RSASSA-PSS", func(f *form) {
		sha := seq(oid(2, 16, 840, 1, 101, 3, 4, 2, 1), null())
		f.algorithm = seq(arcs(10), seq(explicit(0, sha), explicit(1, seq(arcs(8), sha)), explicit(2, tlv(tagInteger, []byte{32}))))
		f.outer = f.algorithm
		f.sign = func(tbs []byte) []byte { return pss(key, sha256.New, random("pss salt certificate", 32), tbs) }
	})
}

// oddNames have another subject or issuer.
func (m *maker) oddNames() {
	both := func(name, about string, subject []byte) {
		m.differs(name, about, func(f *form) { f.subject, f.issuer = subject, subject })
	}
	digits := h(sha256Sum(join(m.public("node-sig"), []byte("m0"))))[:32]
	cn, serial := attribute(3, tagUTF8String, "m0"), attribute(5, tagPrintableString, digits)
	both("cn-printable", "the CN is a PrintableString", seq(attribute(3, tagPrintableString, "m0"), serial))
	both("cn-t61", "the CN is a T61String", seq(attribute(3, tagT61String, "m0"), serial))
	both("subject-serial-utf8", "the subject's serialNumber is a UTF8String", seq(cn, attribute(5, tagUTF8String, digits)))
	both("subject-serial-upper-case", "the subject's serialNumber in upper case", memberName("m0", strings.ToUpper(digits)))
	both("subject-serial-other", "the subject's serialNumber is another", memberName("m0", strings.Repeat("0", 32)))
	both("subject-serial-whole", "the subject's serialNumber has all 64 digits", memberName("m0", h(sha256Sum(join(m.public("node-sig"), []byte("m0"))))))
	both("no-subject-serial", "the subject has no serialNumber", seq(cn))
	both("no-cn", "the subject has no CN", seq(serial))
	both("other-cn", "the CN is not the name", memberName("m1", digits))
	both("names-order", "the serialNumber before the CN", seq(serial, cn))
	both("multi-valued-rdn", "both attributes in one set", seq(tlv(tagSet, pair(3, tagUTF8String, "m0"), pair(5, tagPrintableString, digits))))
	both("organisation", "the subject has an organisation too", seq(attribute(10, tagUTF8String, "xlreg"), cn, serial))
	both("cn-twice", "the CN stands there twice", seq(cn, cn, serial))
	both("empty-rdn", "a set without an attribute", seq(cn, serial, tlv(tagSet)))
	both("no-subject", "neither subject nor issuer", seq())
	m.differs("no-issuer", "an empty issuer", func(f *form) { f.issuer = seq() })
	m.differs("other-issuer", "the issuer is another name", func(f *form) { f.issuer = memberName("m1", digits) })
	m.differs("issuer-printable", "the issuer says the same in another type of string", func(f *form) {
		f.issuer = seq(attribute(3, tagPrintableString, "m0"), serial)
	})
	long := certifiedAs(strings.Repeat("n", 65), "node-sig", memberEnds)
	longDigits := h(sha256Sum(join(m.public("node-sig"), []byte(long.name))))[:32]
	for n, about := range map[int]string{65: "a CN that is not cut", 63: "a CN that is cut too soon"} {
		m.odd("cn-"+string(rune('0'+n/10))+string(rune('0'+n%10)), auth, about, long, func(f *form) {
			f.subject = memberName(long.name[:n], longDigits)
			f.issuer = f.subject
		})
	}
}

// oddTimes say the dates of field 9 in another way, or others.
func (m *maker) oddTimes() {
	to := func(name, about string, value []byte) { m.differs("time-"+name, about, func(f *form) { f.to = value }) }
	to("no-seconds", "a UTCTime without seconds", utcTime("2604021100Z"))
	to("offset", "a UTCTime with an offset", utcTime("260402110000+0000"))
	to("other-offset", "the same moment in another zone", utcTime("260402120000+0100"))
	to("no-zone", "a UTCTime without a zone", utcTime("260402110000"))
	to("generalized", "a GeneralizedTime before 2050", generalizedTime("20260402110000Z"))
	to("generalized-fraction", "a GeneralizedTime with a fraction of zero", generalizedTime("20260402110000.0Z"))
	to("other", "another date than that of field 9", utcTime("260402110001Z"))
	to("hour-24", "a time of 24 o'clock", utcTime("260401240000Z"))
	m.differs("time-other-not-before", "another first date than that of field 9", func(f *form) { f.from = utcTime("260102110001Z") })
	m.differs("time-reversed", "the dates in each other's place", func(f *form) { f.from, f.to = f.to, f.from })
	late := func(name, about string, value []byte) {
		c := m0()
		c.to = date(2050, 1, 1)
		m.odd("time-"+name, auth, about, c, func(f *form) { f.to = value })
	}
	late("utc-2050", "a UTCTime from 2050 on, which is one of 1950", utcTime("500101000000Z"))
	late("2050-no-seconds", "a GeneralizedTime without seconds", generalizedTime("205001010000Z"))
	late("2050-offset", "a GeneralizedTime with an offset", generalizedTime("20500101000000+0000"))
	late("2050-no-zone", "a GeneralizedTime without a zone", generalizedTime("20500101000000"))
	late("2050-fraction", "a GeneralizedTime with a fraction", generalizedTime("20500101000000.5Z"))
	late("year-10000", "a GeneralizedTime of five digits for the year", generalizedTime("100000101000000Z"))
}

// oddEncodings are the right certificate, but not in DER.
func (m *maker) oddEncodings() {
	whole := func(name, layer, about string, change func(der []byte) []byte) {
		c := m0()
		der, field := m.certificate(c)
		m.shown("der-"+name, layer, about, c, field, change(der))
	}
	whole("empty", handshake, "no bytes", func([]byte) []byte { return nil })
	whole("trailing-byte", handshake, "a byte after the certificate", func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	whole("cut", handshake, "the last byte is missing", func(b []byte) []byte { return b[:len(b)-1] })
	whole("twice", handshake, "the certificate two times, one behind the other", func(b []byte) []byte { return join(b, b) })
	whole("long-length", auth, "the outermost length in one byte more than DER allows", longer)
	whole("indefinite", auth, "the outermost value has no length, as in BER", indefinite)
	whole("trailing-inside", auth, "a NULL behind the signature", func(b []byte) []byte { return seq(content(b), null()) })
	m.differs("der-serial-long-length", "the length of the serial number in two bytes", func(f *form) { f.serial = longer(f.serial) })
	m.differs("der-name-long-length", "the length of the names in two bytes", func(f *form) {
		f.issuer = longer(f.issuer)
		f.subject = f.issuer
	})
	m.differs("der-issuer-indefinite", "the issuer has no length, as in BER", func(f *form) { f.issuer = indefinite(f.issuer) })
	m.differs("der-true", "a BOOLEAN of 01, which is TRUE in BER alone", func(f *form) {
		f.extensions[atKeyUsage] = bytes.Replace(f.extensions[atKeyUsage], []byte{1, 1, 0xff}, []byte{1, 1, 1}, 1)
	})
	m.differs("der-constructed", "an OCTET STRING in pieces, as in BER", func(f *form) {
		value := seq(altNames("m0", memberEnds)...)
		f.extensions[atSubjectAltName] = seq(oid(2, 5, 29, 17), tlv(tagOctetString|tagConstructed, tlv(tagOctetString, value[:9]), tlv(tagOctetString, value[9:])))
	})
	m.differs("der-tail", "a field behind the extensions", func(f *form) { f.tail = null() })
}

// oddKeys show another key than that of the token, or the same otherwise.
func (m *maker) oddKeys() {
	m.differs("key-other", "another key, which also signed", func(f *form) {
		f.key = m.public("other-sig")
		f.sign = func(tbs []byte) []byte { return m.certSign("other-sig", tbs) }
	})
	m.odd("key-unsigned", handshake, "another key than the one that signed", m0(), func(f *form) { f.key = m.public("other-sig") })
	small := func(c *certified) { c.key = "small-sig" }
	c := m0()
	small(&c)
	m.odd("key-1024", handshake, "a key of 1024 bits", c, func(*form) {})
	m.differs("key-no-parameters", "the key without the NULL behind its algorithm", func(f *form) {
		f.key = keySPKI(oidRSA, noParameters(), m.rsa["node-sig"].N, keyExponent)
	})
	m.differs("key-long-length", "the length of the key in one byte more than DER allows", func(f *form) { f.key = longer(f.key) })
	long := certifiedAs("m0", "node-sig", manyHosts(16, strings.Repeat("a.", 117)))
	der, field := m.certificate(long)
	m.shown("too-large", handshake, "more than 4 KiB, though it is the certificate of its token", long, field, der)
}

// oddSignatures have another BIT STRING around the signature, or in it.
func (m *maker) oddSignatures() {
	resigned := func(name, about string, change func([]byte) []byte) {
		m.odd("signature-"+name, handshake, about, m0(), func(f *form) {
			sign := f.sign
			f.sign = func(tbs []byte) []byte { return change(sign(tbs)) }
		})
	}
	resigned("flipped", "one bit of the signature changed", flip)
	resigned("empty", "a signature of no bytes", func([]byte) []byte { return nil })
	resigned("cut", "the last byte of the signature is missing", func(b []byte) []byte { return b[:len(b)-1] })
	resigned("padded", "a zero before the signature", func(b []byte) []byte { return append([]byte{0}, b...) })
	resigned("trailing-byte", "a zero behind the signature", func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	resigned("plus-modulus", "the signature and the modulus added up", func(b []byte) []byte { return plusModulus(m.rsa["node-sig"], b) })
	m.odd("signature-other-signer", handshake, "signed by another key than its own", m0(), func(f *form) {
		f.sign = func(tbs []byte) []byte { return m.certSign("other-sig", tbs) }
	})
	m.odd("signature-unused-bits", handshake, "a BIT STRING with unused bits", m0(), func(f *form) {
		f.bits = func(b []byte) []byte { return tlv(tagBitString, []byte{4}, b[:len(b)-1], []byte{b[len(b)-1] & 0xf0}) }
	})
	m.odd("signature-octets", auth, "an OCTET STRING around the signature", m0(), func(f *form) {
		f.bits = func(b []byte) []byte { return tlv(tagOctetString, b) }
	})
}
