package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
)

// modernToken is a token of 2.0 beside the certificate m0, and valid.
func (m *maker) modernToken() *token { return m.tokenOf(m0(), "node-comms") }

// p256Token is the same with both keys on P-256.
func (m *maker) p256Token() *token { return m.tokenOf(m0p256(), "p256-comms") }

// tokenOf returns a valid token of a member with that comms key.
func (m *maker) tokenOf(c certified, comms string) *token {
	t := &token{name: c.name, ends: c.ends, sig: m.public(c.key)}
	der, field := m.certificate(c)
	t.cert = field
	m.signComms(t, comms)
	return m.sign2(t, c.key, der)
}

// sign2 makes DigSig2 beside a certificate.
func (m *maker) sign2(t *token, key string, certificate []byte) *token {
	t.digSig2 = m.proof(key, t.name, t.modernInput(certificate))
	return t
}

// signComms puts a comms key and its proof into a token whose sig key is there.
func (m *maker) signComms(t *token, key string) {
	t.comms = m.public(key)
	t.commsSig = m.proof(key, "comms ", t.commsInput())
}

// memberDER is what the member m0 shows.
func (m *maker) memberDER() []byte { der, _ := m.certificate(m0()); return der }

// registering is one case: a member, its token, and what it shows.
type registering struct {
	c     certified
	comms string
	shown []byte
	t     *token
}

func (m *maker) registering(c certified, comms string) *registering {
	der, _ := m.certificate(c)
	return &registering{c, comms, der, m.tokenOf(c, comms)}
}

func (m *maker) goodModernTokens() {
	with := func(name, about string, c certified, comms string, change func(*token)) {
		r := m.registering(c, comms)
		change(r.t)
		m.sign2(r.t, c.key, r.shown)
		want := kept(r.t, r.t.attrs, c.key)
		if len(r.t.labels) > 0 {
			want["labels"] = h(r.t.labels)
		}
		m.member("2.0-"+name, "2.0", success, about, r.t, r.shown, want)
	}
	same := func(*token) {}
	with("rsa", "both keys RSA", m0(), "node-comms", same)
	with("p256", "both keys on P-256", m0p256(), "p256-comms", same)
	with("rsa-p256", "the sig key RSA, the comms key on P-256", m0(), "p256-comms", same)
	with("p256-rsa", "the sig key on P-256, the comms key RSA", m0p256(), "node-comms", same)
	with("one-key", "one key for both", m0p256(), "p256-sig", same)
	ok := func(name, about string, change func(*token)) { with(name, about, m0p256(), "p256-comms", change) }
	ok("id", "an ID that is proposed is not looked at", func(t *token) { t.id = random("node id", 32) })
	ok("attrs", "all attributes there are", func(t *token) { t.attrs = 7 })
	ok("bad-digsig", "nobody looks at DigSig", func(t *token) { t.digSig = random("no signature", 256) })
	ok("large", "more than a token over a classic carrier may have", func(t *token) { t.digSig = make([]byte, 11<<10) })
	ok("labels", "two labels, which DigSig2 covers", func(t *token) { t.labels = someLabels() })
	ok("labels-empty", "a field 17 of no bytes is as good as none, and not covered", func(t *token) { t.labels = nil; t.emptyLabels = true })
	ok("filled-in", "what only a registry fills in is not looked at", func(t *token) {
		t.joined, t.hasJoined, t.seen, t.lease = joined, true, joined, 15000
		t.run, t.admission = random("run", 16), random("no admission", 64)
	})
	none := m0p256()
	none.ends = nil
	with("no-endpoint", "no endpoint", none, "p256-comms", same)
	m.otherCurveSignatures()
}

// otherCurveSignatures are good ones that another signer could have made.
func (m *maker) otherCurveSignatures() {
	r := m.registering(m0p256(), "p256-comms")
	r.t.digSig2, r.t.commsSig = highS(r.t.digSig2), highS(r.t.commsSig)
	m.member("2.0-p256-high-s", "2.0", success, "either of the two values of s is a signature", r.t, r.shown, kept(r.t, 0, r.c.key))
}

func (m *maker) badModernTokens() {
	m.badDigSig2()
	m.badCommsSig()
	m.badCurveProofs()
	m.badShown()
	m.badModernForms()
}

// refusedToken adds a case of a token that was valid before change.
func (m *maker) refusedToken(name, layer, about string, c certified, comms string, want fields, change func(*registering)) {
	r := m.registering(c, comms)
	change(r)
	m.member("2.0-"+name, "2.0", layer, about, r.t, r.shown, want)
}

func (m *maker) badDigSig2() {
	bad := func(name, about string, change func(*token)) {
		m.refusedToken(name, auth, about, m0(), "node-comms", badSignature(), func(r *registering) { change(r.t) })
	}
	key, der := m.rsa["node-sig"], m.memberDER()
	salt := random("pss salt bad", 32)
	bad("unsigned", "no signature", func(t *token) { t.digSig2 = nil })
	bad("empty", "a signature of no bytes", func(t *token) { t.digSig2 = []byte{} })
	bad("only-digsig", "the classic signature alone", func(t *token) { m.sign(t, "node-sig").digSig2 = nil })
	bad("flipped", "one bit of the signature changed", func(t *token) { t.digSig2 = flip(t.digSig2) })
	bad("other-signer", "signed by another key", func(t *token) { m.sign2(t, "other-sig", der) })
	bad("other-certificate", "signed for another certificate of the same key", func(t *token) {
		c := m0()
		c.to++
		other, _ := m.certificate(c)
		m.sign2(t, "node-sig", other)
	})
	bad("other-port", "another port than was signed", func(t *token) { t.ends = append([]string{"203.0.113.9:4009"}, t.ends[1:]...) })
	bad("endpoint-twice", "an endpoint more than was signed, on a host that is there", func(t *token) { t.ends = append(t.ends[:3:3], "203.0.113.9:4009") })
	bad("other-attrs", "other attributes than were signed", func(t *token) { t.attrs = 4 })
	bad("other-comms-key", "another comms key than was signed, with its proof", func(t *token) { m.signComms(t, "registry-comms") })
	bad("labels-added", "labels that were not signed", func(t *token) { t.labels = someLabels() })
	bad("labels-changed", "other labels than were signed", func(t *token) {
		t.labels = encodeLabels(label{"role", []byte("worker")})
		m.sign2(t, "node-sig", der)
		t.labels = encodeLabels(label{"role", []byte("master")})
	})
	bad("labels-dropped", "labels were signed and are missing", func(t *token) {
		t.labels = someLabels()
		m.sign2(t, "node-sig", der)
		t.labels = nil
	})
	bad("salt-20", "a salt of 20 bytes", func(t *token) { t.digSig2 = pss(key, sha256.New, salt[:20], t.modernInput(der)) })
	bad("mask-sha1", "MGF1 with SHA-1", func(t *token) { t.digSig2 = pss(key, sha1.New, salt, t.modernInput(der)) })
	bad("pkcs1", "PKCS #1 v1.5 in place of PSS", func(t *token) { t.digSig2 = pkcs1(key, crypto.SHA256, t.modernInput(der)) })
	bad("plus-modulus", "the signature and the modulus added up", func(t *token) { t.digSig2 = plusModulus(key, t.digSig2) })
	bad("no-context", "what is signed does not begin with its context", func(t *token) {
		t.digSig2 = pss(key, sha256.New, salt, t.modernInput(der)[16:])
	})
	m.refusedToken("other-name", auth, "another name than was signed, in token and certificate", m0(), "node-comms", badSignature(), func(r *registering) {
		old := r.t.digSig2
		*r = *m.registering(certifiedAs("m1", "node-sig", memberEnds), "node-comms")
		r.t.digSig2 = old
	})
	m.refusedToken("other-host", auth, "another host than was signed, in token and certificate", m0(), "node-comms", badSignature(), func(r *registering) {
		old := r.t.digSig2
		*r = *m.registering(certifiedAs("m0", "node-sig", []string{"203.0.113.66:4001"}), "node-comms")
		r.t.digSig2 = old
	})
}

func (m *maker) badCommsSig() {
	bad := func(name, about string, change func(*token)) {
		m.refusedToken("comms-"+name, auth, about, m0(), "node-comms", badSignature(), func(r *registering) { change(r.t) })
	}
	key := m.rsa["node-comms"]
	input := m.modernToken().commsInput()
	signed := func(name, about string, input []byte) {
		bad(name, about, func(t *token) { t.commsSig = m.proof("node-comms", "comms bad", input) })
	}
	bad("missing", "no CommsSig", func(t *token) { t.commsSig = nil })
	bad("empty", "a CommsSig of no bytes", func(t *token) { t.commsSig = []byte{} })
	bad("flipped", "one bit of CommsSig changed", func(t *token) { t.commsSig = flip(t.commsSig) })
	bad("by-sig-key", "CommsSig by the sig key", func(t *token) { t.commsSig = m.proof("node-sig", "comms ", input) })
	bad("digsig2", "DigSig2 in the place of CommsSig", func(t *token) { t.commsSig = t.digSig2 })
	signed("other-sig-key", "CommsSig for another sig key", join([]byte("xlreg comms 2.0\x00"), lp(m.public("node-comms")), lp(m.public("other-sig"))))
	signed("order", "CommsSig with the sig key first", join([]byte("xlreg comms 2.0\x00"), lp(m.public("node-sig")), lp(m.public("node-comms"))))
	signed("no-context", "CommsSig without its context", input[16:])
	signed("other-context", "CommsSig with the context of DigSig2", join([]byte("xlreg token 2.0\x00"), input[16:]))
	signed("no-lengths", "CommsSig over the keys without their lengths", join(input[:16], m.public("node-comms"), m.public("node-sig")))
	bad("pkcs1", "CommsSig with PKCS #1 v1.5", func(t *token) { t.commsSig = pkcs1(key, crypto.SHA256, input) })
	bad("salt-20", "CommsSig with a salt of 20 bytes", func(t *token) { t.commsSig = pss(key, sha256.New, random("pss salt bad", 20), input) })
	bad("other-comms-key", "a comms key of somebody else, who proved it for himself", func(t *token) {
		other := m.tokenOf(certifiedAs("m1", "other-sig", memberEnds), "registry-comms")
		t.comms, t.commsSig = other.comms, other.commsSig
		m.sign2(t, "node-sig", m.memberDER())
	})
}

// badCurveProofs are wrong in ways that only ECDSA has.
func (m *maker) badCurveProofs() {
	proof := func(name, about string, change func([]byte) []byte) {
		for field, at := range map[string]func(*token) *[]byte{
			"p256-":       func(t *token) *[]byte { return &t.digSig2 },
			"comms-p256-": func(t *token) *[]byte { return &t.commsSig },
		} {
			m.refusedToken(field+name, auth, about, m0p256(), "p256-comms", badSignature(), func(r *registering) {
				*at(r.t) = change(*at(r.t))
			})
		}
	}
	proof("flipped", "one bit of the signature changed", flip)
	proof("trailing-byte", "a byte behind the signature", func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	proof("trailing-inside", "a third number behind r and s", func(b []byte) []byte { return seq(content(b), tlv(tagInteger, []byte{1})) })
	proof("padded-r", "r has a zero more before it than DER allows", func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return seq(tlv(tagInteger, []byte{0, 0}, r.Bytes()), marshalASN1(s))
	})
	proof("long-length", "the length in one byte more than DER allows", longer)
	proof("indefinite", "no length, as in BER", indefinite)
	proof("raw", "r and s as 64 bytes", func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return join(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	})
	proof("zero", "r and s are zero", func([]byte) []byte { return seq(tlv(tagInteger, []byte{0}), tlv(tagInteger, []byte{0})) })
	m.refusedToken("p256-sha384", auth, "DigSig2 with SHA-384", m0p256(), "p256-comms", badSignature(), func(r *registering) {
		r.t.digSig2 = ecdsaSign(m.p256["p256-sig"], crypto.SHA384, r.t.modernInput(r.shown))
	})
	m.refusedToken("p256-other-signer", auth, "DigSig2 by another key", m0p256(), "p256-comms", badSignature(), func(r *registering) {
		m.sign2(r.t, "other-p256-sig", r.shown)
	})
	m.refusedToken("comms-p256-by-sig-key", auth, "CommsSig by the sig key", m0p256(), "p256-comms", badSignature(), func(r *registering) {
		r.t.commsSig = m.proof("p256-sig", "", r.t.commsInput())
	})
}

// badShown are tokens that do not give what is shown. All are signed for what is
// shown, so that the certificate alone is wrong.
func (m *maker) badShown() {
	bad := func(name, about string, change func(*registering)) {
		m.refusedToken(name, auth, about, m0p256(), "p256-comms", illFormedToken(), func(r *registering) {
			change(r)
			m.sign2(r.t, r.c.key, r.shown)
		})
	}
	bad("no-certificate", "no field 9", func(r *registering) { r.t.cert = nil })
	bad("certificate-der", "the certificate itself in field 9", func(r *registering) { r.t.cert = r.shown })
	bad("certificate-flipped", "one bit of the signature in field 9 changed", func(r *registering) { r.t.cert = flip(r.t.cert) })
	bad("certificate-other", "field 9 is that of another certificate of the same key", func(r *registering) {
		c := r.c
		c.to++
		_, r.t.cert = m.certificate(c)
	})
	bad("certificate-ca", "what is shown has CA:TRUE", func(r *registering) {
		f := m.form(r.c)
		f.extensions[atBasicConstraints] = ext(19, true, seq(tlv(tagBoolean, []byte{0xff})))
		der, signature := f.der()
		r.shown, r.t.cert = der, r.c.field9(signature)
	})
	bad("certificate-other-name", "another name in the token than in what is shown", func(r *registering) { r.t.name = "m1" })
	bad("certificate-other-host", "another host in the token than in what is shown", func(r *registering) { r.t.ends = []string{"203.0.113.66:4001"} })
	bad("sig-key-not-shown", "the sig key of the token is not the key of what is shown", func(r *registering) {
		r.t = m.tokenOf(certifiedAs("m0", "other-p256-sig", memberEnds), "p256-comms")
	})
	m.refusedToken("certificate-and-digsig2", auth, "the certificate is looked at before the signature", m0p256(), "p256-comms", illFormedToken(),
		func(r *registering) { r.t.cert, r.t.digSig2, r.t.commsSig = flip(r.t.cert), nil, nil })
}

func (m *maker) badModernForms() {
	bad := func(name, layer, about string, change func(*registering)) {
		m.refusedToken(name, layer, about, m0p256(), "p256-comms", illFormedToken(), func(r *registering) {
			change(r)
			m.sign2(r.t, r.c.key, r.shown)
		})
	}
	bad("unknown-attrs", rule, "an attribute that there is not", func(r *registering) { r.t.attrs = 8 })
	comms := func(name, about string, key []byte) {
		bad(name, message, about, func(r *registering) { r.t.comms = key })
	}
	bad("small-comms-key", message, "a comms key of 1024 bits", func(r *registering) { m.signComms(r.t, "small-comms") })
	bad("no-comms-key", message, "no comms key", func(r *registering) { r.t.comms = nil })
	comms("compressed-comms-key", "a comms key with its point compressed", compressed(&m.p256["p256-comms"].PublicKey))
	comms("p384-comms-key", "a comms key on P-384", m.p384())
	comms("ed25519-comms-key", "a comms key of Ed25519", m.ed25519SPKI())
	m.refusedToken("small-sig-key", message, "a sig key of 1024 bits", m0(), "node-comms", illFormedToken(), func(r *registering) {
		r.t = m.tokenOf(certifiedAs("m0", "small-sig", memberEnds), "node-comms")
	})
	bad("too-large", message, "a token of more than 12 KiB without its field 9", func(r *registering) { r.t.digSig = make([]byte, 12<<10) })
	bad("labels-unsorted", message, "labels that are not sorted", func(r *registering) {
		r.t.labels = encodeLabels(label{"b", nil}, label{"a", nil})
	})
	bad("labels-broken", message, "labels that are no protobuf", func(r *registering) { r.t.labels = []byte{0x0a} })
}
