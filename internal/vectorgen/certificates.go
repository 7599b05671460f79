package vectorgen

import (
	"bytes"
	"math/big"
	"strings"
	"time"
)

// certificates are tokens and what is shown beside them.
func (m *maker) certificates() {
	m.goodCertificates()
	m.hostsInCertificates()
	m.timesInCertificates()
	m.badFields()
	m.oddHeads()
	m.oddNames()
	m.oddTimes()
	m.oddExtensions()
	m.oddUsages()
	m.oddAltNames()
	m.oddEncodings()
	m.oddKeys()
	m.oddSignatures()
	m.oddCurveSignatures()
}

// shown adds a vector: the token with its field 9, and the certificate shown.
func (m *maker) shown(name, layer, about string, c certified, field, der []byte) {
	var want any
	if layer == auth {
		want = illFormedToken()
	}
	m.add("certificate/"+name, layer, about, fields{
		"name": c.name, "sig_key": h(m.public(c.key)), "endpoints": append([]string{}, c.ends...),
		"field9": h(field), "certificate": h(der),
	}, want)
}

func (m *maker) shownGood(name, about string, c certified) {
	der, field := m.certificate(c)
	m.shown(name, success, about, c, field, der)
}

// odd adds a certificate that differs from the form in one piece, and is signed
// as it is. Field 9 carries that signature.
func (m *maker) odd(name, layer, about string, c certified, change func(*form)) {
	f := m.form(c)
	change(f)
	der, signature := f.der()
	m.shown(name, layer, about, c, c.field9(signature), der)
}

// differs is odd for the usual member, and refused when it registers.
func (m *maker) differs(name, about string, change func(*form)) {
	m.odd(name, auth, about, m0(), change)
}

func (m *maker) goodCertificates() {
	long := strings.Repeat("long-name.", 12) + "12345678"
	m.shownGood("rsa", "an RSA key", m0())
	m.shownGood("p256", "a key on P-256", m0p256())
	m.shownGood("long-name", "the CN is cut after 64 characters, and the dNSName is not", certifiedAs(long, "node-sig", memberEnds))
	m.shownGood("long-name-p256", "the same with a key on P-256", certifiedAs(long, "p256-sig", memberEnds))
	m.shownGood("64-characters", "a name that is just not cut", certifiedAs(strings.Repeat("n", 64), "p256-sig", memberEnds))
	m.shownGood("65-characters", "a name of which one character is cut", certifiedAs(strings.Repeat("n", 65), "p256-sig", memberEnds))
	m.shownGood("underscore", "a name that no PrintableString can hold", certifiedAs("_m_0", "p256-sig", memberEnds))
	for _, first := range []byte{0x01, 0x7f} {
		c := m0p256()
		c.serial = bytes.Clone(c.serial)
		c.serial[0] = first
		m.shownGood("serial-"+h([]byte{first}), "the serial number begins with "+h([]byte{first}), c)
	}
	c := m0p256()
	c.serial = append([]byte{1}, make([]byte, 15)...)
	m.shownGood("serial-least", "the smallest serial number", c)
}

func (m *maker) hostsInCertificates() {
	with := func(name, about string, ends ...string) {
		m.shownGood(name, about, certifiedAs("m0", "p256-sig", ends))
	}
	with("no-endpoint", "no host: the name alone")
	with("ipv4", "an IPv4 address is 4 bytes", "203.0.113.9:1")
	with("ipv6", "an IPv6 address is 16 bytes", "[2001:db8::9]:1")
	with("ipv4-mapped", "what stands in brackets is always 16 bytes", "[::ffff:203.0.113.9]:1")
	with("ipv4-both", "the same address in both ways is two names", "203.0.113.9:1", "[::ffff:203.0.113.9]:2", "203.0.113.9:3")
	with("ipv6-twice", "an address that is written in two ways is one name", "[2001:db8::9]:1", "[2001:DB8:0:0::9]:2")
	with("dns", "a DNS name as it stands, whatever its case", "M0.Example.org:1", "m0.example.org:2")
	with("hosts-twice", "each host once, where it stands first", "b.example:1", "a.example:1", "b.example:2", "203.0.113.9:1", "a.example:3", "203.0.113.9:2")
	with("host-is-name", "a host that is the member's name stands where the name does", "a.example:1", "m0:2")
	with("host-like-name", "a host that differs from the name in case is another name", "M0:1")
	with("order", "hosts in the order of the endpoints, of whatever kind they are", "z.example:1", "[2001:db8::9]:2", "203.0.113.9:3", "a.example:4")
	with("16-endpoints", "as many hosts as there may be", manyHosts(16, "n")...)
}

// manyHosts returns endpoints on different hosts, whose names begin so.
func manyHosts(n int, begin string) []string {
	var ends []string
	for i := range n {
		ends = append(ends, begin+string(rune('a'+i))+".example.org:4001")
	}
	return ends
}

func date(year int, month time.Month, day int) uint64 {
	return seconds(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

var lastSecond = seconds(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))

func (m *maker) timesInCertificates() {
	with := func(name, about string, from, to uint64) {
		c := m0p256()
		c.from, c.to = from, to
		m.shownGood(name, about, c)
	}
	with("expired", "nobody looks whether it is over", seconds(now.Add(-90*day)), seconds(now.Add(-day)))
	with("not-yet-valid", "nobody looks whether it has begun", seconds(now.Add(day)), seconds(now.Add(90*day)))
	with("dates-reversed", "nobody looks which date is the first", seconds(now.Add(day)), seconds(now))
	with("1970", "the first second there is", 0, 1)
	with("1999", "a UTCTime of the century before", date(1999, 12, 31), date(2000, 1, 1))
	with("2049", "the last second of UTCTime", seconds(now), date(2050, 1, 1)-1)
	with("2050", "from 2050 on it is GeneralizedTime", seconds(now), date(2050, 1, 1))
	with("2050-both", "both dates are GeneralizedTime", date(2050, 1, 1), date(2051, 1, 1))
	with("9999", "the last second there is", seconds(now), lastSecond)
}

// badFields are tokens whose field 9 gives no certificate. What is shown is what
// it would be.
func (m *maker) badFields() {
	bad := func(name, about string, change func(*certified), field func([]byte) []byte) {
		c := m0p256()
		c.serial = bytes.Clone(c.serial)
		change(&c)
		f := m.form(c)
		f.serial = tlv(tagInteger, new(big.Int).SetBytes(c.serial).Bytes())
		if c.serial[0] >= 0x80 {
			f.serial = tlv(tagInteger, []byte{0}, c.serial)
		}
		if c.to > lastSecond {
			f.to = generalizedTime("100000101000000Z")
		}
		der, signature := f.der()
		m.shown("field-"+name, auth, about, c, field(c.field9(signature)), der)
	}
	same := func(b []byte) []byte { return b }
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	bad("serial-00", "the serial number begins with 00", func(c *certified) { c.serial[0] = 0 }, same)
	bad("serial-80", "the serial number begins with 80", func(c *certified) { c.serial[0] = 0x80 }, same)
	bad("serial-ff", "the serial number begins with ff", func(c *certified) { c.serial[0] = 0xff }, same)
	bad("year-10000", "the first second past the year 9999", func(c *certified) { c.to = lastSecond + 1 }, same)
	bad("largest-date", "the largest number there is for a date, which as a signed one is before 1970",
		func(c *certified) { c.to = 1<<64 - 1 }, same)
	unchanged := func(*certified) {}
	bad("missing", "field 9 is empty", unchanged, cut(0))
	bad("short", "field 9 is cut within its last date", unchanged, cut(31))
	bad("no-signature", "field 9 ends with its dates", unchanged, cut(32))
	bad("long", "field 9 has a byte more at its end", unchanged, func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	bad("der", "field 9 is the certificate itself", unchanged, func([]byte) []byte { der, _ := m.certificate(m0p256()); return der })
	bad("other-serial", "field 9 has another serial number than what is shown", unchanged,
		func(b []byte) []byte { return join([]byte{b[0], b[1] ^ 1}, b[2:]) })
	bad("other-not-before", "field 9 has another first date than what is shown", unchanged,
		func(b []byte) []byte { return join(b[:23], []byte{b[23] ^ 1}, b[24:]) })
	bad("other-not-after", "field 9 has another last date than what is shown", unchanged,
		func(b []byte) []byte { return join(b[:31], []byte{b[31] ^ 1}, b[32:]) })
	bad("other-signature", "field 9 has another signature than what is shown", unchanged, flip)
	m.badTokens()
}

// badTokens do not belong to what is shown, which is well formed.
func (m *maker) badTokens() {
	shown, field := m.certificate(m0())
	bad := func(name, about string, change func(*certified)) {
		c := m0()
		change(&c)
		m.shown("token-"+name, auth, about, c, field, shown)
	}
	bad("other-name", "the certificate of the same node under another name", func(c *certified) { c.name = "m1" })
	bad("other-endpoints", "a host in the certificate that no endpoint has", func(c *certified) { c.ends = memberEnds[:2] })
	bad("more-endpoints", "an endpoint whose host the certificate lacks", func(c *certified) { c.ends = append(c.ends[:3:3], "b.example:1") })
	bad("order", "the endpoints in another order", func(c *certified) {
		c.ends = []string{memberEnds[1], memberEnds[0], memberEnds[2]}
	})
	bad("other-key", "the certificate of another key", func(c *certified) { c.key = "other-sig" })
	bad("other-kind", "the certificate of a key of the other kind", func(c *certified) { c.key = "p256-sig" })
}
