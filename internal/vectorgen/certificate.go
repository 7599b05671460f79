package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
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

// memberCert returns a certificate in the form that members show.
func memberCert(name string, key crypto.Signer, hosts []string) *cert {
	sum := sha256Sum(append(spki(key.Public()), name...))
	c := &cert{public: key.Public(), signer: key}
	c.SerialNumber = new(big.Int).SetBytes(random("serial "+name, 16))
	c.SignatureAlgorithm = x509.SHA256WithRSA
	c.Subject = pkix.Name{CommonName: name[:min(64, len(name))], SerialNumber: h(sum)[:32]}
	c.NotBefore, c.NotAfter = now.Add(-hour), now.Add(-hour).Add(90*day)
	c.BasicConstraintsValid = true
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.SubjectKeyId, c.AuthorityKeyId = sum[:20], sum[:20]
	c.DNSNames = []string{name}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
			continue
		}
		c.DNSNames = append(c.DNSNames, host)
	}
	return c
}

var memberEnds = []string{"203.0.113.9:4001", "[2001:db8::9]:4002", "m0.example.org:4003"}
var memberHosts = []string{"203.0.113.9", "2001:db8::9", "m0.example.org"}

// memberDER is the certificate of the member m0 that all other vectors use.
func (m *maker) memberDER() []byte { return m.der(memberCert("m0", m.rsa["node-sig"], memberHosts)) }

// extension replaces what the template would make of the same identifier.
func extension(last int, critical bool, value any) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, last}, Critical: critical, Value: marshalASN1(value)}
}

func (m *maker) certificates() {
	add := func(name, layer, about, member string, der []byte) {
		m.add("certificate/"+name, layer, about, fields{
			"certificate": h(der), "name": member, "sig_key": h(m.public("node-sig")), "endpoints": memberEnds,
		}, nil)
	}
	key := m.rsa["node-sig"]
	like := func(name, layer, about string, change func(*cert)) {
		c := memberCert("m0", key, memberHosts)
		change(c)
		add(name, layer, about, "m0", m.der(c))
	}
	add("valid", success, "the form that is agreed", "m0", m.memberDER())
	long := strings.Repeat("long-name.", 12) + "12345678"
	add("long-name", success, "the CN is cut after 64 characters", long, m.der(memberCert(long, key, memberHosts)))
	add("underscore", success, "a name that is no PrintableString", "_m_0", m.der(memberCert("_m_0", key, memberHosts)))
	m.lenient(like)
	m.otherHead(like)
	m.otherExtensions(like)
	m.notSelfSigned(add, like)
	add("other-name", auth, "the certificate of the same node under another name", "m1", m.memberDER())
	add("other-node", auth, "the certificate of another node",
		"m0", m.der(memberCert("m0", m.rsa["other-sig"], memberHosts)))
}

type changer func(name, layer, about string, change func(*cert))

// lenient are differences that nobody looks at.
func (m *maker) lenient(like changer) {
	like("expired", success, "nobody looks at the dates", func(c *cert) {
		c.NotBefore, c.NotAfter = now.Add(-90*day), now.Add(-day)
	})
	like("not-yet-valid", success, "nobody looks at the dates", func(c *cert) {
		c.NotBefore, c.NotAfter = now.Add(day), now.Add(90*day)
	})
	like("other-hosts", success, "nobody looks whether the hosts are those of the token", func(c *cert) {
		c.DNSNames, c.IPAddresses = []string{"m0", "elsewhere.example.org"}, nil
	})
}

func (m *maker) otherHead(like changer) {
	like("other-cn", auth, "the CN is not the name", func(c *cert) { c.Subject.CommonName = "m1" })
	like("no-subject-serial", auth, "the subject has no serialNumber", func(c *cert) { c.Subject.SerialNumber = "" })
	like("other-subject-serial", auth, "the subject's serialNumber is another", func(c *cert) {
		c.Subject.SerialNumber = strings.Repeat("0", 32)
	})
	like("more-subject", auth, "the subject has an organisation too", func(c *cert) { c.Subject.Organization = []string{"xlreg"} })
	like("other-issuer", auth, "the issuer is not the subject", func(c *cert) {
		parent := memberCert("m1", m.rsa["node-sig"], nil).Certificate
		parent.SubjectKeyId = c.SubjectKeyId
		c.parent = &parent
	})
	like("sha384", auth, "signed with SHA-384", func(c *cert) { c.SignatureAlgorithm = x509.SHA384WithRSA })
	like("long-serial", auth, "a serial number of 136 bits", func(c *cert) {
		c.SerialNumber = new(big.Int).SetBytes(append([]byte{0x5a}, random("long serial", 16)...))
	})
	like("too-large", auth, "more than 4 KiB", func(c *cert) {
		for i := range 70 {
			label := strings.Repeat(string(rune('a'+i%26)), 60)
			c.DNSNames = append(c.DNSNames, label)
		}
	})
}

func (m *maker) otherExtensions(like changer) {
	like("ca", auth, "CA:TRUE: such a member could mint certificates for the others", func(c *cert) { c.IsCA = true })
	like("no-basic-constraints", auth, "basicConstraints is missing", func(c *cert) { c.BasicConstraintsValid = false })
	like("basic-constraints-not-critical", auth, "basicConstraints is not critical", func(c *cert) {
		c.ExtraExtensions = []pkix.Extension{extension(19, false, struct{}{})}
	})
	like("more-key-usage", auth, "keyUsage also has certSign", func(c *cert) { c.KeyUsage |= x509.KeyUsageCertSign })
	like("no-key-usage", auth, "keyUsage is missing", func(c *cert) { c.KeyUsage = 0 })
	like("key-usage-not-critical", auth, "keyUsage is not critical", func(c *cert) {
		c.ExtraExtensions = []pkix.Extension{extension(15, false, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1})}
	})
	like("no-ext-key-usage", auth, "extendedKeyUsage is missing", func(c *cert) { c.ExtKeyUsage = nil })
	like("server-only", auth, "extendedKeyUsage lacks client authentication", func(c *cert) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })
	like("any-usage", auth, "extendedKeyUsage also has any usage", func(c *cert) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	})
	like("other-subject-key-id", auth, "subjectKeyIdentifier is another", func(c *cert) {
		c.SubjectKeyId, c.AuthorityKeyId = random("key id", 20), random("key id", 20)
	})
	like("no-authority-key-id", auth, "authorityKeyIdentifier is missing", func(c *cert) { c.AuthorityKeyId = nil })
	like("name-missing", auth, "the name is not among the alternative names", func(c *cert) { c.DNSNames = c.DNSNames[1:] })
	like("email", auth, "an alternative name that is no host", func(c *cert) { c.EmailAddresses = []string{"m0@example.org"} })
	like("more-extensions", auth, "an extension that is not part of the form", func(c *cert) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: []byte{5, 0}}}
	})
}

// notSelfSigned are those that a server refuses in the handshake already.
func (m *maker) notSelfSigned(add func(name, layer, about, member string, der []byte), like changer) {
	like("other-signer", handshake, "signed by another key than its own", func(c *cert) {
		c.signer = m.rsa["other-sig"]
		parent := c.Certificate
		parent.PublicKey = m.rsa["other-sig"].Public()
		c.parent = &parent
	})
	small := memberCert("m0", m.rsa["small-sig"], memberHosts)
	add("small-key", handshake, "a key of 1024 bits", "m0", m.der(small))
	ec := memberCert("m0", m.leaf, memberHosts)
	ec.SignatureAlgorithm = x509.ECDSAWithSHA256
	add("ecdsa", handshake, "an ECDSA key", "m0", m.der(ec))
	der := m.memberDER()
	add("broken-signature", handshake, "the signature's last bit is changed", "m0", flip(der))
	add("trailing-byte", handshake, "a byte after the certificate", "m0", append(bytes.Clone(der), 0))
	add("empty", handshake, "no bytes", "m0", nil)
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
}

func (m *maker) serverChains() {
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

	m.chain("pinned", success, "the client knows the sig key", chain{root, leaf, pinned, ""})
	m.chain("fingerprint", success, "the client knows the fingerprint alone", chain{root, leaf, nil, print})
	m.chain("other-root", success, "a client that knows the sig key does not look at the root", chain{otherRoot, leaf, pinned, ""})
	m.chain("just-expired", success, "over for less than an hour", chain{root, dates(-7*day, -59*time.Minute), pinned, ""})
	m.chain("almost-valid", success, "to begin in less than an hour", chain{root, dates(59*time.Minute, 7*day), pinned, ""})

	bad := func(name, about string, c chain) { m.chain(name, handshake, about, c) }
	bad("expired", "over for more than an hour", chain{root, dates(-7*day, -61*time.Minute), pinned, ""})
	bad("not-yet-valid", "to begin in more than an hour", chain{root, dates(61*time.Minute, 7*day), pinned, ""})
	bad("other-key", "all of it from another registry", chain{otherRoot, otherLeaf, pinned, ""})
	bad("other-fingerprint", "all of it from another registry", chain{otherRoot, otherLeaf, nil, print})
	bad("root-borrowed", "the right root, and a leaf signed by another key", chain{root, otherLeaf, nil, print})
	bad("leaf-other-signer", "a leaf signed by another key", chain{root, otherLeaf, pinned, ""})
	bad("leaf-broken-signature", "the last bit of the leaf's signature is changed", chain{root, flip(leaf), pinned, ""})
	bad("leaf-ca", "the leaf is a CA", chain{root, leafWith(func(c *cert) { c.IsCA = true }), pinned, ""})
	bad("leaf-client-usage", "the leaf is for clients", chain{root, leafWith(func(c *cert) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), pinned, ""})
	bad("leaf-no-usage", "the leaf has no extended usage", chain{root, leafWith(func(c *cert) { c.ExtKeyUsage = nil }), pinned, ""})
	bad("small-key", "the registry's sig key has 1024 bits",
		chain{m.der(rootCert(small)), m.der(m.leafCert(small)), m.public("small-sig"), ""})
}

func (m *maker) chain(name, layer, about string, c chain) {
	in := fields{"chain": []string{h(c.leaf), h(c.root)}, "now": now.Format(time.RFC3339)}
	if c.sigKey != nil {
		in["sig_key"] = h(c.sigKey)
	}
	if c.fingerprint != "" {
		in["fingerprint"] = c.fingerprint
	}
	var want any
	if layer == success {
		want = fields{"sig_key": h(m.public("registry-sig"))}
	}
	m.add("serverchain/"+name, layer, about, in, want)
}
