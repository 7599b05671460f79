package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
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

// modernToken is a token of 2.0, and valid beside memberDER.
func (m *maker) modernToken() *token {
	t := &token{name: "m0", ends: memberEnds, comms: m.public("node-comms"), sig: m.public("node-sig")}
	return m.sign2(t, "node-sig", m.memberDER())
}

func (m *maker) sign2(t *token, key string, certificate []byte) *token {
	t.digSig2 = pss(m.rsa[key], sha256.New, random("pss salt "+t.name+key, 32), t.modernInput(certificate))
	return t
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
	if t.id != nil {
		f["id"] = h(t.id)
	}
	return f
}

func (m *maker) goodClassicTokens() {
	ok := func(name, about, key string, kept7 uint64, change func(*token)) {
		t := m.classicToken()
		change(t)
		m.sign(t, key)
		m.member(name, "1.9", success, about, t, nil, kept(t, kept7, key))
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
		m.sign2(t, "node-sig", m.memberDER())
	})
}

func (m *maker) goodModernTokens() {
	ok := func(name, about string, certificate []byte, change func(*token)) {
		t := m.modernToken()
		change(t)
		m.sign2(t, "node-sig", certificate)
		want := kept(t, t.attrs, "node-sig")
		want["handed_out"] = bytes.Equal(certificate, m.memberDER())
		m.member(name, "2.0", success, about, t, certificate, want)
	}
	der := m.memberDER()
	ok("2.0", "a token that proposes no ID", der, func(*token) {})
	ok("2.0-id", "a token that proposes an ID of 32 bytes", der, func(t *token) { t.id = random("node id", 32) })
	ok("2.0-attrs", "all attributes there are", der, func(t *token) { t.attrs = 7 })
	ok("2.0-no-endpoint", "no endpoint", der, func(t *token) { t.ends = nil })
	ok("2.0-bad-digsig", "nobody looks at DigSig", der, func(t *token) { t.digSig = random("no signature", 256) })
	ca := memberCert("m0", m.rsa["node-sig"], memberHosts)
	ca.IsCA = true
	ok("2.0-certificate-not-handed-out", "a certificate of another form: the session goes on, and it is not handed out",
		m.der(ca), func(*token) {})
}

func (m *maker) badModernTokens() {
	der := m.memberDER()
	bad := func(name, layer, about string, want fields, change func(*token)) {
		t := m.modernToken()
		change(t)
		m.member("2.0-"+name, "2.0", layer, about, t, der, want)
	}
	unsigned := func(name, about string, change func(*token)) { bad(name, auth, about, badSignature(), change) }
	key := m.rsa["node-sig"]
	salt := random("pss salt bad", 32)
	unsigned("unsigned", "no signature", func(t *token) { t.digSig2 = nil })
	unsigned("only-digsig", "the classic signature alone", func(t *token) { m.sign(t, "node-sig").digSig2 = nil })
	unsigned("flipped", "one bit of the signature changed", func(t *token) { t.digSig2 = flip(t.digSig2) })
	unsigned("other-signer", "signed by another key", func(t *token) { m.sign2(t, "other-sig", der) })
	unsigned("other-certificate", "signed for another certificate of the same key", func(t *token) {
		m.sign2(t, "node-sig", m.der(memberCert("m0", key, nil)))
	})
	unsigned("other-endpoints", "an endpoint less than was signed", func(t *token) { t.ends = t.ends[:2] })
	unsigned("other-attrs", "other attributes than were signed", func(t *token) { t.attrs = 4 })
	unsigned("salt-20", "a salt of 20 bytes", func(t *token) { t.digSig2 = pss(key, sha256.New, salt[:20], t.modernInput(der)) })
	unsigned("mask-sha1", "MGF1 with SHA-1", func(t *token) { t.digSig2 = pss(key, sha1.New, salt, t.modernInput(der)) })
	unsigned("pkcs1", "PKCS #1 v1.5 in place of PSS", func(t *token) { t.digSig2 = pkcs1(key, crypto.SHA256, t.modernInput(der)) })
	unsigned("no-context", "what is signed does not begin with its context", func(t *token) {
		t.digSig2 = pss(key, sha256.New, salt, t.modernInput(der)[16:])
	})
	bad("sig-key-not-shown", rule, "the sig key, which signed, is not the key of the certificate", badSignature(), func(t *token) {
		t.sig = m.public("other-sig")
		m.sign2(t, "other-sig", der)
	})
	bad("unknown-attrs", rule, "an attribute that there is not", illFormedToken(), func(t *token) {
		t.attrs = 8
		m.sign2(t, "node-sig", der)
	})
	bad("small-comms-key", message, "a comms key of 1024 bits", illFormedToken(), func(t *token) {
		t.comms = m.public("small-comms")
		m.sign2(t, "node-sig", der)
	})
	bad("small-sig-key", message, "a sig key of 1024 bits", illFormedToken(), func(t *token) { m.resign(t, m.rsa["small-sig"], der) })
}

func (m *maker) resign(t *token, key *rsa.PrivateKey, certificate []byte) {
	t.sig = spki(&key.PublicKey)
	t.digSig2 = pss(key, sha256.New, random("pss salt small", 32), t.modernInput(certificate))
}

// rosterToken is a member as a registry hands it to readers of 2.0.
func (m *maker) rosterToken(name, key string) *token {
	certificate := m.der(memberCert(name, m.rsa[key], memberHosts))
	t := &token{
		name: name, id: random("roster id "+name, 32), ends: memberEnds, comms: m.public("node-comms"), sig: m.public(key),
		cert: certificate, joined: joined, hasJoined: true,
	}
	return m.sign2(t, key, certificate)
}

// classicMember is a member that came over a classic carrier.
func (m *maker) classicMember(name string) *token {
	return &token{
		name: name, id: random("roster id "+name, 20), ends: memberEnds[:2],
		comms: m.public("small-comms"), sig: m.public("small-sig"),
	}
}

func (m *maker) rosters() {
	m.goodRosters()
	m.badRosters()
}

func (m *maker) goodRosters() {
	c := m.testCluster()
	ok := func(name, protocol, about string, which uint64, indexes []int, tokens ...*token) {
		v := newMsg(opClusterMembers).cluster(c).u64(20, which).tokens(tokens...)
		members := []fields{}
		for i, t := range tokens {
			members = append(members, fields{
				"index": indexes[i], "name": t.name, "id": h(t.id), "endpoints": t.ends, "attrs": strconv.FormatUint(t.attrs, 10),
				"joined_millis": strconv.FormatUint(t.joined, 10), "verified": t.cert != nil,
			})
		}
		m.add("roster/"+name, success, about, fields{"protocol": protocol, "message": h(v.b)}, fields{"members": members})
	}
	m0, m1, old := m.rosterToken("m0", "node-sig"), m.rosterToken("m1", "other-sig"), m.classicMember("old")
	oldJoined := *old
	oldJoined.joined, oldJoined.hasJoined = joined+1, true
	ok("2.0", "2.0", "two members at the indexes 0 and 2", 5, []int{0, 2}, m0, m1)
	ok("2.0-mixed", "2.0", "a member that came over a classic carrier is not verified", 7, []int{0, 1, 2}, m0, &oldJoined, m1)
	ok("2.0-last-index", "2.0", "the highest index there is", 1<<63, []int{63}, m1)
	ok("1.9", "1.9", "tokens over a classic carrier carry no signature", 3, []int{0, 1}, old, m.classicMember("older"))
	ok("none", "2.0", "no member is no error", 0, nil)
}

func (m *maker) badRosters() {
	c := m.testCluster()
	bad := func(name, layer, about string, which uint64, want fields, tokens ...*token) {
		v := newMsg(opClusterMembers).cluster(c).u64(20, which).tokens(tokens...)
		m.add("roster/"+name, layer, about, fields{"protocol": "2.0", "message": h(v.b)}, want)
	}
	m0, m1 := m.rosterToken("m0", "node-sig"), m.rosterToken("m1", "other-sig")
	with := func(change func(*token)) *token {
		t := *m0
		change(&t)
		return &t
	}
	bad("too-few-tokens", message, "Which has three bits and there are two tokens", 7, protocolError(), m0, m1)
	bad("too-many-tokens", message, "Which has one bit and there are two tokens", 1, protocolError(), m0, m1)
	bad("no-id", message, "a member without ID", 3, protocolError(), with(func(t *token) { t.id = nil }), m1)
	bad("bad-name", message, "a member whose name is none", 3, protocolError(), with(func(t *token) { t.name = "0" }), m1)
	bad("bad-endpoint", message, "a member whose endpoint is none", 3, protocolError(), with(func(t *token) { t.ends = []string{"m0"} }), m1)

	unproven := func(name, about string, change func(*token)) {
		bad(name, auth, about, 3, badSignature(), m1, with(change))
	}
	unproven("flipped", "one bit of a member's signature changed", func(t *token) { t.digSig2 = flip(t.digSig2) })
	unproven("other-endpoint", "an endpoint that the member did not sign", func(t *token) { t.ends = []string{"203.0.113.66:4001"} })
	unproven("other-certificate", "a certificate that the member did not sign for, of its name and key", func(t *token) {
		t.cert = m.der(memberCert("m0", m.rsa["node-sig"], nil))
	})
	unproven("certificate-of-other", "the certificate of another member", func(t *token) { t.cert = m1.cert })
	unproven("certificate-ca", "a certificate with CA:TRUE, which the member did sign for", func(t *token) {
		ca := memberCert("m0", m.rsa["node-sig"], memberHosts)
		ca.IsCA = true
		t.cert = m.der(ca)
		m.sign2(t, "node-sig", t.cert)
	})
}
