package hostile

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/wire"
)

// Whatever a client shows for a certificate, it gets an answer or an alert, nobody else
// notices, and the registry keeps its temper.
func TestOddCertificates(t *testing.T) {
	cast := newCast(t)
	mint := newMint(t, cast.rogues[0].cert)
	shown := slices.Concat(mint.templates(t), mint.edits(t), mint.bytes(), mint.keys(t), mint.proofs())
	if len(shown) < 77 {
		t.Errorf("%d kinds of certificate, want 77", len(shown))
	}
	flips := 200
	if long() {
		flips = 5000
	}
	shown = append(shown, mint.damaged(flips)...)
	inWorld(t, cast, func(w *world) {
		neighbour, err := connectRaw(w.host.Bound()[0], carriers[0], w.comms, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer neighbour.Close()
		taken := 0
		for _, c := range shown {
			if w.show(c) {
				taken++
			}
			_ = neighbour.(*modern).SetDeadline(time.Now().Add(patience))
			if !asks(neighbour) {
				t.Fatalf("a neighbour was not answered while somebody showed %s", c.name)
			}
		}
		t.Logf("%d of %d certificates were taken", taken, len(shown))
	})
}

// oddity is something to show for a certificate.
type oddity struct {
	name  string
	cert  tls.Certificate
	taken bool // whether the handshake has to succeed
	any   bool // whether it may do either
}

// show connects with a certificate, asks, and reports whether there was an answer.
func (w *world) show(c oddity) (taken bool) {
	w.t.Helper()
	d := net.Dialer{Timeout: patience}
	nc, err := d.DialContext(context.Background(), "tcp", w.host.Bound()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(nc, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"xlreg/2"}, InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.cert, nil },
	})
	err = conn.HandshakeContext(context.Background())
	if err == nil {
		taken = asks(&modern{conn})
	}
	if !taken {
		_, end := conn.Read(make([]byte, 1))
		if !hungUp(end) {
			w.t.Errorf("%s: neither an answer nor an end: %v", c.name, end)
		}
	}
	if taken != c.taken && !c.any {
		w.t.Errorf("%s: taken %v, want %v; %v", c.name, taken, c.taken, err)
	}
	return taken
}

// asks reports whether the registry answers on a session.
func asks(r raw) bool {
	m, err := wire.NewRegCredRequest().Append(nil)
	if err != nil || r.send(m) != nil {
		return false
	}
	_, err = r.receive()
	return err == nil
}

// mint makes odd certificates out of a sound one.
type mint struct {
	key   *rsa.PrivateKey
	sound []byte
	other *rsa.PrivateKey
}

func newMint(t *testing.T, cert *tls.Certificate) *mint {
	t.Helper()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &mint{cert.PrivateKey.(*rsa.PrivateKey), cert.Certificate[0], other}
}

// shows is a certificate, or what stands for one, with the key that goes with it.
func (m *mint) shows(name string, taken bool, ders ...[]byte) oddity {
	return oddity{name: name, cert: tls.Certificate{Certificate: ders, PrivateKey: m.key}, taken: taken}
}

// templates are certificates that Go makes. In the handshake neither names nor dates
// nor what a certificate is for is looked at.
func (m *mint) templates(t *testing.T) []oddity {
	t.Helper()
	all := []oddity{m.shows("the sound one", true, m.sound)}
	for name, change := range templates {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		change(c)
		der, err := x509.CreateCertificate(rand.Reader, c, c, m.key.Public(), m.key)
		if err != nil {
			t.Fatal(name, err)
		}
		all = append(all, m.shows(name, len(der) <= 4096, der))
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2)}, issuer, m.key.Public(), m.other)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, m.shows("signed by another key", true, der)) // that is looked at when somebody registers
}

var templates = map[string]func(*x509.Certificate){
	"nothing in it":   func(*x509.Certificate) {},
	"expired":         func(c *x509.Certificate) { c.NotAfter = time.Unix(0, 0) },
	"from the future": func(c *x509.Certificate) { c.NotBefore = time.Now().Add(1e6 * time.Hour) },
	"for ever":        func(c *x509.Certificate) { c.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) },
	"ends before it begins": func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Unix(2e9, 0), time.Unix(1e9, 0)
	},
	"a CA": func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
	"a CA with a path": func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, 1<<31-1
	},
	"for code":          func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} },
	"for nothing known": func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3, 4, 5}} },
	"no usage":          func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign },
	"a long name":       func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("n", 2000) },
	"a name with a NUL": func(c *x509.Certificate) { c.Subject.CommonName = "a\x00b" },
	"a name to escape":  func(c *x509.Certificate) { c.Subject.CommonName = "\x1b[31m\u202ename" },
	"many names":        func(c *x509.Certificate) { c.Subject.OrganizationalUnit = slices.Repeat([]string{"o"}, 200) },
	"over 4 KiB":        func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("n", 4096) },
	"over 30 KiB":       func(c *x509.Certificate) { c.DNSNames = slices.Repeat([]string{strings.Repeat("n", 60)}, 500) },
	"over 100 KiB":      func(c *x509.Certificate) { c.DNSNames = slices.Repeat([]string{strings.Repeat("n", 60)}, 2000) },
	"a wildcard":        func(c *x509.Certificate) { c.DNSNames = []string{"*", "*.*"} },
	"many hosts":        func(c *x509.Certificate) { c.DNSNames = slices.Repeat([]string{"h"}, 500) },
	"mail":              func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.org"} },
	"an address":        func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4bcast, net.IPv6zero} },
	"a URI":             func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "https", Host: "example.org"}} },
	"name constraints":  func(c *x509.Certificate) { c.PermittedDNSDomains = slices.Repeat([]string{"a.b"}, 100) },
	"lists of revocation": func(c *x509.Certificate) {
		c.CRLDistributionPoints, c.OCSPServer = []string{"http://127.0.0.1/"}, []string{"http://127.0.0.1/"}
	},
	"policies":             func(c *x509.Certificate) { c.PolicyIdentifiers = []asn1.ObjectIdentifier{{2, 5, 29, 32, 0}} },
	"a large serial":       func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 150) },
	"another hash, longer": func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSA },
	"PSS":                  func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS },
	"an unknown extension": func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte("?")}}
	},
	"an unknown critical extension": func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	},
	"a hundred extensions": func(c *x509.Certificate) {
		for i := range 100 {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, i}, Value: []byte{5, 0}})
		}
	},
}

// body is a certificate taken apart (RFC 5280, 4.1).
type body struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []pkix.Extension `asn1:"optional,explicit,omitempty,tag:3"`
}

type signed struct {
	Body      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// edits are certificates that Go would not make, signed as they should be. What its
// parser thinks of them may change; what a client is told of it may not.
func (m *mint) edits(t *testing.T) []oddity {
	t.Helper()
	var all []oddity
	for name, edit := range bodies {
		whole, b := new(signed), new(body)
		if _, err := asn1.Unmarshal(m.sound, whole); err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(whole.Body.FullBytes, b); err != nil {
			t.Fatal(err)
		}
		edit(b)
		der, err := asn1.Marshal(*b)
		if err != nil {
			t.Fatal(name, err)
		}
		sum := sha256.Sum256(der)
		sig, err := rsa.SignPKCS1v15(rand.Reader, m.key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		whole.Body = asn1.RawValue{FullBytes: der}
		whole.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
		if der, err = asn1.Marshal(*whole); err != nil {
			t.Fatal(name, err)
		}
		c := m.shows(name, false, der)
		c.any = true
		all = append(all, c)
	}
	return all
}

// ill is an extension of a known kind whose value is not of it.
func ill(kind int, value ...byte) func(*body) {
	return func(b *body) {
		b.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, kind}, Critical: true, Value: value}}
	}
}

var bodies = map[string]func(*body){
	"version 1":                  func(b *body) { b.Version, b.Extensions = 0, nil },
	"version 1, with extensions": func(b *body) { b.Version = 0 },
	"version 2":                  func(b *body) { b.Version = 1 },
	"version 4":                  func(b *body) { b.Version = 3 },
	"version -1":                 func(b *body) { b.Version = -1 },
	"serial 0":                   func(b *body) { b.Serial = new(big.Int) },
	"a negative serial":          func(b *body) { b.Serial = big.NewInt(-5) },
	"a serial of 1000 bytes":     func(b *body) { b.Serial = new(big.Int).Lsh(big.NewInt(1), 8000) },
	"no extensions":              func(b *body) { b.Extensions = nil },
	"an extension twice":         func(b *body) { b.Extensions = append(b.Extensions, b.Extensions[0]) },
	"no dates":                   func(b *body) { b.Validity = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true} },
	"a date that is none": func(b *body) {
		b.Validity = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: []byte("\x17\x0d999999999999Z\x17\x0d999999999999Z")}
	},
	"no subject":    func(b *body) { b.Subject = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true} },
	"other issuer":  func(b *body) { b.Issuer = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true} },
	"a null issuer": func(b *body) { b.Issuer = asn1.NullRawValue },
	"a subject that is no UTF-8": func(b *body) {
		b.Subject.FullBytes = []byte("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02\xff\xfe")
	},
	"a subject of UTF-16": func(b *body) {
		b.Subject.FullBytes = []byte("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x1e\x02\xd8\x00")
	},
	"another algorithm inside":   func(b *body) { b.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5} },
	"an unknown algorithm":       func(b *body) { b.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 3} },
	"ill-formed usage":           ill(15, 5, 0),
	"empty usage":                ill(15, 3, 1, 0),
	"ill-formed constraints":     ill(19, 0x30, 0x80, 0, 0),
	"a path below zero":          ill(19, 0x30, 6, 1, 1, 0xff, 2, 1, 0x80),
	"names without end":          ill(17, 0x30, 0x84, 0x7f, 0xff, 0xff, 0xff),
	"an address of three bytes":  ill(17, 0x30, 5, 0x87, 3, 1, 2, 3),
	"a URI that is none":         ill(17, append([]byte{0x30, 7, 0x86, 5}, "://\x00%"...)...),
	"a host that is no ASCII":    ill(17, 0x30, 4, 0x82, 2, 0xc3, 0xa9),
	"ill-formed purposes":        ill(37, 0x30, 3, 6, 1, 0x80),
	"no key ID":                  ill(14),
	"ill-formed revocation":      ill(31, 0x30, 2, 0x30, 1),
	"ill-formed name constraint": ill(30, 0x30, 4, 0xa0, 2, 0x30, 0),
	"ill-formed policies":        ill(32, 0x30, 2, 6, 0),
}

// bytes are what no certificate is, and chains of what is one.
func (m *mint) bytes() []oddity {
	stapled, stamped := m.shows("an OCSP staple", false, m.sound), m.shows("a timestamp", false, m.sound)
	stapled.cert.OCSPStaple = bytes.Repeat([]byte{1}, 1000)
	stamped.cert.SignedCertificateTimestamps = [][]byte{{1}}
	wrong := bytes.Clone(m.sound)
	wrong[len(wrong)-1]++
	deep := bytes.Repeat([]byte{0x30, 0x80}, 2000)
	return []oddity{
		stapled, stamped,
		m.shows("a wrong signature", true, wrong), // likewise
		m.shows("no bytes", false, nil),
		m.shows("a zero", false, []byte{0}),
		m.shows("an empty sequence", false, []byte{0x30, 0}),
		m.shows("a length that lies", false, []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}),
		m.shows("a length of nine bytes", false, append([]byte{0x30, 0x89}, m.sound...)),
		m.shows("no end", false, append([]byte{0x30, 0x80}, m.sound...)),
		m.shows("sequences without end", false, deep),
		m.shows("a byte short", false, m.sound[:len(m.sound)-1]),
		m.shows("a byte too long", false, append(bytes.Clone(m.sound), 0)),
		m.shows("a certificate in another", false, append([]byte{0x30, 0x82, byte(len(m.sound) >> 8), byte(len(m.sound))}, m.sound...)),
		m.shows("PEM", false, []byte("-----BEGIN CERTIFICATE-----\n")),
		m.shows("two", false, m.sound, m.sound),
		m.shows("one and nothing", false, m.sound, nil),
		m.shows("one and garbage", false, m.sound, []byte("garbage")),
		m.shows("229", false, slices.Repeat([][]byte{m.sound}, 229)...),
		m.shows("thousands of nothing", false, make([][]byte, 3000)...),
	}
}

// keys are certificates of keys that 2.0 does not take, as far as they can be made.
func (m *mint) keys(t *testing.T) []oddity {
	t.Helper()
	var all []oddity
	add := func(name string, taken bool, key crypto.Signer, err error) {
		t.Helper()
		c := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, createErr := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil || createErr != nil {
			t.Fatal(name, err, createErr)
		}
		all = append(all, oddity{name: name, taken: taken, cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}})
	}
	for name, curve := range map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		add(name, name == "P-256", key, err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	add("Ed25519", false, ed, err)
	for name, key := range map[string]*rsa.PublicKey{
		"exponent 3":              {N: m.key.N, E: 3},
		"exponent 2^31-1":         {N: m.key.N, E: 1<<31 - 1},
		"an even exponent":        {N: m.key.N, E: 65536},
		"exponent 1":              {N: m.key.N, E: 1},
		"5000 bits":               {N: new(big.Int).SetBit(big.NewInt(1), 4999, 1), E: 65537},
		"16384 bits":              {N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537},
		"1024 bits":               {N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537},
		"8 bits":                  {N: big.NewInt(253), E: 3},
		"an even modulus":         {N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537},
		"another one's signature": {N: m.other.N, E: m.other.E},
	} {
		c := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{SerialNumber: big.NewInt(2)}, key, m.key)
		if err != nil {
			t.Fatal(name, err)
		}
		all = append(all, m.shows(name, false, der))
	}
	return all
}

// forger signs something, for the key that it is said to be.
type forger struct {
	crypto.Signer
	sign func(digest []byte, o crypto.SignerOpts) []byte
}

func (l forger) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return l.sign(digest, o), nil
}

// proofs are sound certificates of which the client does not hold the key.
func (m *mint) proofs() []oddity {
	var all []oddity
	for name, sign := range map[string]func([]byte, crypto.SignerOpts) []byte{
		"no proof":          func([]byte, crypto.SignerOpts) []byte { return nil },
		"a proof of a byte": func([]byte, crypto.SignerOpts) []byte { return []byte{1} },
		"a proof of zeros":  func([]byte, crypto.SignerOpts) []byte { return make([]byte, 256) },
		"a proof of 255s":   func([]byte, crypto.SignerOpts) []byte { return bytes.Repeat([]byte{255}, 256) },
		"a proof too long":  func([]byte, crypto.SignerOpts) []byte { return make([]byte, 60000) },
		"another one's proof": func(digest []byte, o crypto.SignerOpts) []byte {
			sig, _ := m.other.Sign(rand.Reader, digest, o) // nil is a wrong proof, too
			return sig
		},
	} {
		c := m.shows(name, false, m.sound)
		c.cert.PrivateKey = forger{m.key, sign}
		all = append(all, c)
	}
	return all
}

// damaged are sound certificates in which some bytes are others, missing or too many.
func (m *mint) damaged(n int) []oddity {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	all := make([]oddity, n)
	for i := range all {
		der := bytes.Clone(m.sound)
		at := random.IntN(len(der))
		switch i % 4 {
		case 0:
			der[at] ^= 1 << random.IntN(8)
		case 1:
			der[at] = byte(random.Uint32())
		case 2:
			der = slices.Delete(der, at, min(len(der), at+1+random.IntN(8)))
		default:
			der = slices.Insert(der, at, byte(random.Uint32()))
		}
		all[i] = m.shows("a damaged one", false, der)
		all[i].any = true // where only what the parser passes over was changed
	}
	return all
}
