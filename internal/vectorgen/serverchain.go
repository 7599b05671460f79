package vectorgen

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// now is when everything in the vectors happens.
var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// cert is a certificate in the making: a template and who signs it. When parent
// is nil it is its own issuer.
type cert struct {
	x509.Certificate
	parent *x509.Certificate
	public crypto.PublicKey
	signer crypto.Signer
}

// der signs the certificate. No signature used here needs randomness: RSA is
// PKCS #1 v1.5, and ECDSA without a source of it is deterministic.
func (m *maker) der(c *cert) []byte {
	parent := c.parent
	if parent == nil {
		parent = &c.Certificate
	}
	der, err := x509.CreateCertificate(nil, &c.Certificate, parent, c.public, c.signer)
	m.fail(err)
	return der
}

// rootCert is the registry's self-signed certificate.
func rootCert(key *rsa.PrivateKey) *cert {
	c := &cert{public: key.Public(), signer: key}
	c.SerialNumber = new(big.Int).SetBytes(random("serial root", 16))
	c.SignatureAlgorithm = x509.SHA256WithRSA
	c.Subject = pkix.Name{CommonName: "xlReg"}
	c.NotBefore, c.NotAfter = now.Add(-day), now.Add(6*day)
	c.BasicConstraintsValid, c.IsCA = true, true
	c.KeyUsage = x509.KeyUsageCertSign
	return c
}

// leafCert is what the registry shows in TLS.
func (m *maker) leafCert(signer *rsa.PrivateKey) *cert {
	parent := rootCert(signer).Certificate
	parent.PublicKey = signer.Public()
	c := &cert{public: m.leaf.Public(), signer: signer, parent: &parent}
	c.SerialNumber = new(big.Int).SetBytes(random("serial leaf", 16))
	c.SignatureAlgorithm = x509.SHA256WithRSA
	c.Subject = pkix.Name{CommonName: "xlReg", OrganizationalUnit: []string{"leaf"}}
	c.NotBefore, c.NotAfter = now.Add(-day), now.Add(6*day)
	c.BasicConstraintsValid = true
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return c
}

// chain is one case of what a server shows and what a client knows.
type chain struct {
	root, leaf  []byte
	sigKey      []byte
	fingerprint string
	more        [][]byte // behind the root
	known       string   // the key that is known, by its file
	next        bool     // the leaf is accepted by the cross certificate
}

func (m *maker) serverChains() {
	m.oneKeyChains()
	m.crossChains()
	m.badCrossChains()
}

func (m *maker) oneKeyChains() {
	sig, other := m.rsa["registry-sig"], m.rsa["other-sig"]
	pinned := m.public("registry-sig")
	print := fingerprint(m.ssh("registry-sig"))
	root, leaf := m.der(rootCert(sig)), m.der(m.leafCert(sig))
	leafWith := func(change func(*cert)) []byte {
		c := m.leafCert(sig)
		change(c)
		return m.der(c)
	}
	dates := func(from, to time.Duration) []byte {
		return leafWith(func(c *cert) { c.NotBefore, c.NotAfter = now.Add(from), now.Add(to) })
	}
	otherRoot, otherLeaf := m.der(rootCert(other)), m.der(m.leafCert(other))
	small := m.rsa["small-sig"]

	m.chain("pinned", success, "the client knows the sig key", oneKey(root, leaf, pinned, ""))
	m.chain("fingerprint", success, "the client knows the fingerprint alone", oneKey(root, leaf, nil, print))
	m.chain("other-root", success, "a client that knows the sig key does not look at the root", oneKey(otherRoot, leaf, pinned, ""))
	m.chain("just-expired", success, "over for less than an hour", oneKey(root, dates(-7*day, -59*time.Minute), pinned, ""))
	m.chain("almost-valid", success, "to begin in less than an hour", oneKey(root, dates(59*time.Minute, 7*day), pinned, ""))

	bad := func(name, about string, c chain) { m.chain(name, handshake, about, c) }
	bad("expired", "over for more than an hour", oneKey(root, dates(-7*day, -61*time.Minute), pinned, ""))
	bad("not-yet-valid", "to begin in more than an hour", oneKey(root, dates(61*time.Minute, 7*day), pinned, ""))
	bad("other-key", "all of it from another registry", oneKey(otherRoot, otherLeaf, pinned, ""))
	bad("other-fingerprint", "all of it from another registry", oneKey(otherRoot, otherLeaf, nil, print))
	bad("root-borrowed", "the right root, and a leaf signed by another key", oneKey(root, otherLeaf, nil, print))
	bad("leaf-other-signer", "a leaf signed by another key", oneKey(root, otherLeaf, pinned, ""))
	bad("leaf-broken-signature", "the last bit of the leaf's signature is changed", oneKey(root, flip(leaf), pinned, ""))
	bad("leaf-ca", "the leaf is a CA", oneKey(root, leafWith(func(c *cert) { c.IsCA = true }), pinned, ""))
	bad("leaf-client-usage", "the leaf is for clients", oneKey(root, leafWith(func(c *cert) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), pinned, ""))
	bad("leaf-no-usage", "the leaf has no extended usage", oneKey(root, leafWith(func(c *cert) { c.ExtKeyUsage = nil }), pinned, ""))
	bad("small-key", "the registry's sig key has 1024 bits",
		oneKey(m.der(rootCert(small)), m.der(m.leafCert(small)), m.public("small-sig"), ""))
}

func oneKey(root, leaf, sigKey []byte, fingerprint string) chain {
	return chain{root: root, leaf: leaf, sigKey: sigKey, fingerprint: fingerprint, known: "registry-sig"}
}

func (m *maker) chain(name, layer, about string, c chain) {
	list := []string{h(c.leaf), h(c.root)}
	for _, der := range c.more {
		list = append(list, h(der))
	}
	in := fields{"chain": list, "now": now.Format(time.RFC3339)}
	if c.sigKey != nil {
		in["sig_key"] = h(c.sigKey)
	}
	if c.fingerprint != "" {
		in["fingerprint"] = c.fingerprint
	}
	var want any
	if layer == success {
		want = m.chainWant(c)
	}
	m.add("serverchain/"+name, layer, about, in, want)
}

func (m *maker) chainWant(c chain) fields {
	want := fields{"sig_key": h(m.public(c.known))}
	if c.next {
		want["next_key"] = h(m.public("registry-next"))
		want["next_fingerprint"] = fingerprint(m.ssh("registry-next"))
		want["next_until"] = now.Add(-day).Add(180 * day).Format(time.RFC3339)
	}
	return want
}
