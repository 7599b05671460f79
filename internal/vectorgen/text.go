package vectorgen

import (
	"encoding/base64"
	"strings"
)

// table is the input of a file that holds many short cases of one text form.
func table(cases ...fields) fields { return fields{"cases": cases} }

func good(text string, more fields) fields {
	c := fields{"text": text, "ok": true}
	for name, v := range more {
		c[name] = v
	}
	return c
}

func bad(text string) fields { return fields{"text": text, "ok": false} }

func allBad(texts ...string) []fields {
	var cases []fields
	for _, text := range texts {
		cases = append(cases, bad(text))
	}
	return cases
}

func (m *maker) texts() {
	m.add("text/ids", success, "IDs as text: 40 or 64 hex digits of either case", table(idCases()...), nil)
	m.add("text/names", success, "names of nodes, clusters and registries", table(nameCases()...), nil)
	m.add("text/endpoints", success, "endpoints as they travel", table(endpointCases()...), nil)
	m.add("text/versions", success, "versions as text, as bytes on the wire, and as text again", table(versionCases()...), nil)
	m.add("text/errors", success, "codes and texts of the errors there are", table(errorCases()...), nil)
}

func idCases() []fields {
	short, long := h(random("id short", 20)), h(random("id long", 32))
	cases := []fields{
		good(short, fields{"hex": short}),
		good(strings.ToUpper(short), fields{"hex": short}),
		good(long, fields{"hex": long}),
		good(strings.ToUpper(long[:32])+long[32:], fields{"hex": long}),
	}
	return append(cases, allBad("", short[:38], short[:39], short+"0", short+"00", long[:62], long[:63], long+"00",
		"0x"+short[2:], short[:39]+"g", " "+short[1:], short[:39]+"\n")...)
}

func nameCases() []fields {
	var cases []fields
	for _, name := range []string{"a", "_", "xlReg", "A-b_c.9", "m0", "_.", "a..b--", strings.Repeat("n", 128)} {
		cases = append(cases, good(name, nil))
	}
	return append(cases, allBad("", "0a", "-a", ".a", "a b", "a/b", "a:b", "a\n", "a\x00", "é", "aé", strings.Repeat("n", 129))...)
}

func endpointCases() []fields {
	label := strings.Repeat("a", 63)
	longest := strings.Join([]string{label, label, label, label}, ".") + ":65535" // 261 bytes
	endpoint := func(text, host string, port int) fields { return good(text, fields{"host": host, "port": port}) }
	cases := []fields{
		endpoint("127.0.0.1:1", "127.0.0.1", 1),
		endpoint("203.0.113.7:56789", "203.0.113.7", 56789),
		endpoint("0.0.0.0:65535", "0.0.0.0", 65535),
		endpoint("[::1]:80", "::1", 80),
		endpoint("[2001:db8::7]:56789", "2001:db8::7", 56789),
		endpoint("localhost:8080", "localhost", 8080),
		endpoint("node-1.example.org:443", "node-1.example.org", 443),
		endpoint("my_host:443", "my_host", 443),
		endpoint("1.2.3.a:9", "1.2.3.a", 9),
		endpoint("7up:9", "7up", 9),
		endpoint(longest, strings.TrimSuffix(longest, ":65535"), 65535),
	}
	return append(cases, allBad("", ":", "a", "a:", ":1", "a:0", "a:65536", "a:99999", "a:01", "a:+1", "a:-1", "a:1 ", " a:1", "a:1x",
		"--version:22", "-a.example:1", "a.-b:1", "a b:1", "a..b:1", ".a:1", "a.:1", "é:1", "a/b:1", "1.2.3:1", "1.2.3.4.5:1", "256.1.1.1:1", "01.2.3.4:1", "12:1",
		"::1:80", "[::1]", "[::1:80", "::1]:80", "[]:80", "[1.2.3.4]:80", "[fe80::1%eth0]:80", "[g::1]:80", "[localhost]:80",
		"a"+longest)...)
}

func versionCases() []fields {
	version := func(text, wire, written string) fields { return good(text, fields{"wire": wire, "written": written}) }
	cases := []fields{
		version("1.2.3.4", "01020304", "1.2.3.4"),
		version("1.8", "01080000", "1.8"),
		version("1.9.0.0", "01090000", "1.9"),
		version("1.9.24", "01091800", "1.9.24"),
		version("2.0", "02000000", "2.0"),
		version("0.0.0.1", "00000001", "0.0.0.1"),
		version("1.0.2.0", "01000200", "1.0.2"),
		version("255.255.255.255", "ffffffff", "255.255.255.255"),
		version("0.0", "00000000", "0.0"),
	}
	return append(cases, allBad("", "1", "1.", ".1", "1..2", "1.2.3.4.5", "256.0", "1.256", "-1.0", "1.a", "1.2 ", "1.0x2")...)
}

func errorCases() []fields {
	var cases []fields
	for i, text := range strings.Split(`cannot find cluster with this ID
cannot find cluster with this name
cluster member id already in use
cluster members must have at least one endPoint
cluster member name already in use
ID already in use
missing cluster name or ID
invalid msg type for current state
message tag out of range
unexpected message type
ill-formed token
signature does not verify
cluster is full
too many requests
not a member
identity required
cluster has another size
try again later
protocol error
ill-formed name
admission refused
orders have changed
registry is full
key is not admitted`, "\n") {
		cases = append(cases, good(text, fields{"code": i + 1}))
	}
	return cases
}

// sshForm returns an RSA public key as RFC 4253 writes it.
func sshForm(e, n []byte) []byte {
	mpint := func(b []byte) []byte {
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return lp(b)
	}
	return join(lp([]byte("ssh-rsa")), mpint(e), mpint(n))
}

var exponentBytes = []byte{1, 0, 1} // keyExponent

// ssh returns the public half of a key as RFC 4253 writes it.
func (m *maker) ssh(name string) []byte { return sshForm(exponentBytes, m.rsa[name].N.Bytes()) }

// sshLine returns it as a line of authorized_keys has it.
func sshLine(form []byte) string { return "ssh-rsa " + base64.StdEncoding.EncodeToString(form) }

func fingerprint(form []byte) string {
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sha256Sum(form))
}

func (m *maker) fingerprints() {
	add := func(name, about string, der, form []byte) {
		m.add("fingerprint/"+name, success, about, fields{"sig_key": h(der)},
			fields{"ssh": sshLine(form), "fingerprint": fingerprint(form)})
	}
	add("rsa-2048", "the fingerprint of a key, as ssh-keygen -lf prints it", m.public("registry-sig"), m.ssh("registry-sig"))
	add("rsa-1024", "the same of a short key", m.public("small-sig"), m.ssh("small-sig"))
	n := oddModulus("fingerprint exponent", 2048)
	add("exponent-3", "an exponent of one byte", rsaSPKI(n, 3), sshForm([]byte{3}, n.Bytes()))
}

func (m *maker) urls() {
	form := m.ssh("registry-sig")
	print := fingerprint(form)
	standard := strings.TrimPrefix(print, "SHA256:")
	digest := strings.NewReplacer("+", "-", "/", "_").Replace(standard)
	one, three := "127.0.0.1:56789", "203.0.113.7:56789,[2001:db8::7]:56789,registry.example.org:443"

	ok := func(name, about, text, hosts string, canonical bool) {
		m.add("url/"+name, success, about, fields{"text": text},
			fields{"endpoints": strings.Split(hosts, ","), "fingerprint": print, "canonical": canonical})
	}
	ok("one-host", "one endpoint", "xlreg://"+one+"/?sig="+digest, one, true)
	ok("three-hosts", "endpoints of all three kinds", "xlreg://"+three+"/?sig="+digest, three, true)
	ok("prefix", "the prefix SHA256: is accepted", "xlreg://"+one+"/?sig=SHA256:"+digest, one, false)
	ok("standard-alphabet", "the alphabet of base64 is accepted; this digest has a + or a /",
		"xlreg://"+one+"/?sig="+standard, one, false)
	ok("as-printed", "what ssh-keygen prints can be pasted", "xlreg://"+one+"/?sig="+print, one, false)

	for name, text := range map[string]string{
		"empty":             "",
		"other-scheme":      "http://" + one + "/?sig=" + digest,
		"no-host":           "xlreg:///?sig=" + digest,
		"empty-host":        "xlreg://" + one + ",/?sig=" + digest,
		"bad-endpoint":      "xlreg://127.0.0.1:0/?sig=" + digest,
		"no-sig":            "xlreg://" + one + "/",
		"empty-sig":         "xlreg://" + one + "/?sig=",
		"short-sig":         "xlreg://" + one + "/?sig=" + digest[:42],
		"long-sig":          "xlreg://" + one + "/?sig=" + digest + "A",
		"padded-sig":        "xlreg://" + one + "/?sig=" + digest + "=",
		"bad-character":     "xlreg://" + one + "/?sig=" + digest[:42] + "!",
		"unknown-parameter": "xlreg://" + one + "/?sig=" + digest + "&name=xlReg",
		"other-parameter":   "xlreg://" + one + "/?key=" + digest,
	} {
		m.add("url/"+name, message, "refused: "+strings.ReplaceAll(name, "-", " "), fields{"text": text}, nil)
	}
}
