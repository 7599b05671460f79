package vectorgen

import (
	"bytes"
	"crypto"
	"math/big"
	"strconv"
	"strings"
)

// classicToken is a token as deployed clients send it, and valid.
func (m *maker) classicToken() *token {
	t := &token{
		name: "m0", id: random("node id", 20), ends: []string{"203.0.113.9:4001", "203.0.113.9:4002"},
		comms: m.public("node-comms"), sig: m.public("node-sig"),
	}
	return m.sign(t, "node-sig")
}

func (m *maker) sign(t *token, key string) *token {
	t.digSig = pkcs1SHA1(m.rsa[key], t.classicInput())
	return t
}

// firstForm is a certificate of a form that members had before 7.6 became exact.
// A vector of the classic carriers holds a signature over it, and those vectors
// do not change.
func (m *maker) firstForm() []byte {
	f := m.form(m0())
	digits := h(sha256Sum(join(m.public("node-sig"), []byte("m0"))))[:32]
	f.serial = marshalASN1(new(big.Int).SetBytes(random("serial m0", 16)))
	f.subject = seq(attribute(3, tagPrintableString, "m0"), attribute(5, tagPrintableString, digits))
	f.issuer = f.subject
	f.extensions[atSubjectAltName] = ext(17, false, seq(implicit(nameDNS, []byte("m0")), hostName(memberEnds[2]), hostName(memberEnds[0]), hostName(memberEnds[1])))
	der, _ := f.der()
	return der
}

// tokens are Members that register.
func (m *maker) tokens() {
	m.goodClassicTokens()
	m.badClassicTokens()
	m.badSignatures()
	m.goodModernTokens()
	m.badModernTokens()
}

// member adds a vector. The certificate is the one shown in the handshake.
func (m *maker) member(name, protocol, layer, about string, t *token, certificate []byte, want fields) {
	in := fields{"protocol": protocol, "message": h(newMsg(opMember).specs(t).b)}
	if certificate != nil {
		in["certificate"] = h(certificate)
	}
	m.add("token/"+name, layer, about, in, want)
}

// kept is what a registry keeps of a valid token.
func kept(t *token, attrs uint64, signer string) fields {
	f := fields{
		"name": t.name, "attrs": strconv.FormatUint(attrs, 10), "endpoints": append([]string{}, t.ends...),
		"comms_key": h(t.comms), "sig_key": h(t.sig), "signer": signer,
	}
	return f
}

func (m *maker) goodClassicTokens() {
	ok := func(name, about, key string, kept7 uint64, change func(*token)) {
		t := m.classicToken()
		change(t)
		m.sign(t, key)
		want := kept(t, kept7, key)
		if t.id != nil {
			want["id"] = h(t.id)
		}
		m.member(name, "1.9", success, about, t, nil, want)
	}
	ok("classic", "a token that proposes an ID of 20 bytes", "node-sig", 0, func(*token) {})
	ok("classic-long-id", "a token that proposes an ID of 32 bytes", "node-sig", 0, func(t *token) { t.id = random("node id", 32) })
	ok("classic-no-id", "a token that proposes none", "node-sig", 0, func(t *token) { t.id = nil })
	ok("classic-no-endpoint", "an admin client has no endpoint", "node-sig", 2, func(t *token) { t.ends, t.attrs = nil, 2 })
	ok("classic-16-endpoints", "as many endpoints as there may be", "node-sig", 0, func(t *token) { t.ends = manyEnds(16) })
	ok("classic-unknown-attrs", "unknown bits are signed, and then cleared in what is kept", "node-sig", 5, func(t *token) {
		t.attrs = 1<<63 | 1<<10 | 5
	})
	ok("classic-long-name", "the longest name", "node-sig", 0, func(t *token) { t.name = strings.Repeat("n", 128) })
	ok("classic-small-keys", "keys of 1024 bits", "small-sig", 0, func(t *token) {
		t.comms, t.sig = m.public("small-comms"), m.public("small-sig")
	})
}

func manyEnds(n int) []string {
	var ends []string
	for i := range n {
		ends = append(ends, "203.0.113.9:"+strconv.Itoa(4001+i))
	}
	return ends
}

// badClassicTokens are signed well, each of them by the key it names where that
// can sign, so that nothing but the one fault is wrong.
func (m *maker) badClassicTokens() {
	bad := func(name, about string, change func(*token)) {
		t := m.classicToken()
		change(t)
		m.sign(t, "node-sig")
		m.member("classic-"+name, "1.9", message, about, t, nil, illFormedToken())
	}
	bad("empty-name", "no name", func(t *token) { t.name = "" })
	bad("bad-name", "a name that begins with a digit", func(t *token) { t.name = "0m" })
	bad("name-too-long", "a name of 129 characters", func(t *token) { t.name = strings.Repeat("n", 129) })
	bad("id-19", "an ID of 19 bytes", func(t *token) { t.id = random("node id", 19) })
	bad("id-33", "an ID of 33 bytes", func(t *token) { t.id = random("node id", 33) })
	bad("17-endpoints", "one endpoint too many", func(t *token) { t.ends = manyEnds(17) })
	bad("bad-endpoint", "the second endpoint has port 0", func(t *token) { t.ends[1] = "203.0.113.9:0" })
	bad("endpoint-too-long", "an endpoint of 262 bytes", func(t *token) { t.ends[1] = strings.Repeat("a.", 128) + ":1234"; t.ends[1] = "a" + t.ends[1] })
	bad("ec-comms-key", "an ECDSA key where the comms key should be", func(t *token) { t.comms = m.ecKey() })
	bad("ec-sig-key", "an ECDSA key where the sig key should be", func(t *token) { t.sig = m.ecKey() })
	bad("rsa-200", "a sig key of 200 bits", func(t *token) { t.sig = rsaSPKI(oddModulus("200", 200), keyExponent) })
	bad("no-comms-key", "an empty comms key", func(t *token) { t.comms = nil })
	bad("key-trailing-byte", "a byte after the comms key", func(t *token) { t.comms = append(bytes.Clone(t.comms), 0) })

	t := m.classicToken()
	t.digSig = make([]byte, 8<<10)
	m.member("classic-too-large", "1.9", message, "a token of more than 8 KiB", t, nil, illFormedToken())
	t = m.classicToken()
	t.cert = make([]byte, 4<<10+1)
	m.member("classic-certificate-too-large", "1.9", message, "a field 9 of more than 4 KiB", t, nil, illFormedToken())
}

func (m *maker) badSignatures() {
	bad := func(name, about string, change func(*token)) {
		t := m.classicToken()
		change(t)
		m.member("classic-"+name, "1.9", auth, about, t, nil, badSignature())
	}
	key := m.rsa["node-sig"]
	bad("unsigned", "no signature", func(t *token) { t.digSig = nil })
	bad("flipped", "one bit of the signature changed", func(t *token) { t.digSig = flip(t.digSig) })
	bad("other-signer", "signed by another key", func(t *token) { m.sign(t, "other-sig") })
	bad("other-name", "another name than was signed", func(t *token) { t.name = "m1" })
	bad("other-attrs", "other attributes than were signed", func(t *token) { t.attrs = 1 })
	bad("other-comms-key", "another comms key than was signed", func(t *token) { t.comms = m.public("registry-comms") })
	bad("other-endpoints", "the endpoints in another order than was signed", func(t *token) { t.ends[0], t.ends[1] = t.ends[1], t.ends[0] })
	bad("sha256", "SHA-256 in place of SHA-1", func(t *token) { t.digSig = pkcs1(key, crypto.SHA256, t.classicInput()) })
	bad("only-digsig2", "the signature of 2.0 over a classic carrier", func(t *token) {
		t.digSig = nil
		m.sign2(t, "node-sig", m.firstForm())
	})
}
