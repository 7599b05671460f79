package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// mint has the holder of the certificate issuer sign one for someone else's name.
func mint(t *testing.T, issuer []byte, token *xlreg.Token) []byte {
	t.Helper()
	parent, err := x509.ParseCertificate(issuer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificateTemplate(t, token)
	template.SerialNumber = big.NewInt(1)
	template.RawSubject = standardSubject(t, "minted", "1")
	template.NotBefore, template.NotAfter = parent.NotBefore, parent.NotAfter
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, rsaOf(testKeys()))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func extensionOf(critical bool, value []byte, id ...int) pkix.Extension {
	return pkix.Extension{Id: id, Critical: critical, Value: value}
}

// TestOtherForms has certificates that are well formed to any program, signed by their
// own keys, and differ from the form in one thing.
func TestOtherForms(t *testing.T) {
	sum := sha256.Sum256([]byte(string(testKeys().SigKey) + "m0"))
	digits := hex.EncodeToString(sum[:16])
	subject := func(n pkix.Name) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.RawSubject = marshal(t, n.ToRDNSequence()) }
	}
	keyID := bytes.Repeat([]byte{7}, 20)
	usages := []byte("\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")
	cases := map[string]func(*x509.Certificate){
		"a CA":                func(c *x509.Certificate) { c.IsCA = true },
		"no basicConstraints": func(c *x509.Certificate) { c.BasicConstraintsValid = false },
		"a path length": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(true, []byte("\x30\x03\x02\x01\x00"), 2, 5, 29, 19))
		},
		"constraints not critical": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, []byte("\x30\x00"), 2, 5, 29, 19))
		},
		"no keyUsage":      func(c *x509.Certificate) { c.KeyUsage = 0 },
		"more keyUsage":    func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign },
		"another keyUsage": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
		"keyUsage not critical": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, []byte("\x03\x02\x07\x80"), 2, 5, 29, 15))
		},
		"no extended usage": func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"server only":       func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] },
		"server twice":      func(c *x509.Certificate) { c.ExtKeyUsage[1] = c.ExtKeyUsage[0] },
		"any usage":         func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny) },
		"unknown usage":     func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} },
		"critical extended usage": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(true, usages, 2, 5, 29, 37))
		},
		"no subjectKeyIdentifier":    func(c *x509.Certificate) { c.SubjectKeyId = nil },
		"other subjectKeyIdentifier": func(c *x509.Certificate) { c.SubjectKeyId = keyID },
		"no authorityKeyIdentifier":  func(c *x509.Certificate) { c.AuthorityKeyId = nil },
		"other authorityKeyID":       func(c *x509.Certificate) { c.AuthorityKeyId = keyID },
		"no alternative names":       func(c *x509.Certificate) { c.ExtraExtensions = nil },
		"another's name":             func(c *x509.Certificate) { c.ExtraExtensions[0].Value[5] = '1' },
		"a registered ID": func(c *x509.Certificate) {
			c.ExtraExtensions[0].Value = []byte("\x30\x08\x82\x02m0\x88\x02\x2a\x03")
		},
		"critical alternative names": func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true },
		"one more extension": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, []byte{5, 0}, 1, 2, 3, 4))
		},
		"name constraints":         func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"m0"} },
		"no subject":               subject(pkix.Name{}),
		"another CN":               subject(pkix.Name{CommonName: "m1", SerialNumber: digits}),
		"a CN in another encoding": subject(pkix.Name{CommonName: "m0", SerialNumber: digits}),
		"no serialNumber":          subject(pkix.Name{CommonName: "m0"}),
		"another serialNumber": func(c *x509.Certificate) {
			c.RawSubject = standardSubject(t, "m0", strings.Repeat("0", 32))
		},
		"serialNumber in capitals": func(c *x509.Certificate) { c.RawSubject = standardSubject(t, "m0", strings.ToUpper(digits)) },
		"an organization":          subject(pkix.Name{CommonName: "m0", SerialNumber: digits, Organization: []string{"O"}}),
		"a serial of 127 bits":     func(c *x509.Certificate) { c.SerialNumber.Rsh(c.SerialNumber, 8) },
		"a serial of 128 bits":     func(c *x509.Certificate) { c.SerialNumber.SetBit(c.SerialNumber, 127, 1) },
		"a serial of 129 bits":     func(c *x509.Certificate) { c.SerialNumber.SetBit(c.SerialNumber, 128, 1) },
		"usages the other way":     func(c *x509.Certificate) { slices.Reverse(c.ExtKeyUsage) },
		"SHA-512":                  func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSA },
		"PSS":                      func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS },
		"more than 4 KiB": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, make([]byte, 4096), 1, 2, 3, 4))
		},
	}
	cases["another order"] = func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(true, []byte("\x03\x02\x07\x80"), 2, 5, 29, 15))
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			token := testToken(testKeys())
			certified(t, testKeys(), token)
			der := standardCertificate(t, testKeys(), token, change)
			if _, err := ReadCertificate(der); err == nil {
				t.Error("read")
			}
			token.Certificate = append(token.Certificate[:32], signatureOf(t, der)...)
			wantIllFormed(t, VerifyCertificate(token, der))
		})
	}
}

func signatureOf(t *testing.T, der []byte) []byte {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Signature
}

func TestReadCertificate(t *testing.T) {
	for kind, keys := range bothKinds() {
		for name, token := range certTokens(keys) {
			der := certified(t, keys, token)
			c, err := ReadCertificate(der)
			if err != nil {
				t.Errorf("%s %s: %v", kind, name, err)
				continue
			}
			if c.Name != token.Name || c.SigKey != token.SigKey || !bytes.Equal(c.Field, token.Certificate) {
				t.Errorf("%s %s: read %q, %x", kind, name, c.Name, c.Field)
			}
			if !c.NotBefore.Equal(testTime.Add(-time.Hour)) || c.NotAfter.Sub(c.NotBefore) != DefaultCertificateLife {
				t.Errorf("%s %s: valid from %v to %v", kind, name, c.NotBefore, c.NotAfter)
			}
		}
	}
	token := certTokens(curveKeys())["odd"]
	c, err := ReadCertificate(certified(t, curveKeys(), token))
	if want := []xlreg.Endpoint{"[2001:db8::1]:1", "1.2.3.4:1", "under_score.example:1"}; err != nil || !slices.Equal(c.Hosts, want) {
		t.Errorf("hosts %v, %v", c, err)
	}
}

func TestCertificateKey(t *testing.T) {
	for kind, keys := range bothKinds() {
		token := testToken(keys)
		der := certified(t, keys, token)
		key, err := CertificateKey(der)
		if err != nil || key != token.SigKey {
			t.Errorf("%s: %v, %v", kind, key, err)
		}
	}
	certified(t, testKeys(), testToken(testKeys()))
	long := testToken(testKeys())
	certified(t, testKeys(), long)
	for name, der := range map[string][]byte{
		"nothing":         nil,
		"no certificate":  []byte(testKeys().SigKey),
		"1024 bits":       unsupported(t, smallKeys().Sig.Signer()),
		"another curve":   unsupported(t, p384(t)),
		"more than 4 KiB": standardCertificate(t, testKeys(), long, func(c *x509.Certificate) { c.DNSNames = []string{"a"}; c.ExtraExtensions[0].Value = make([]byte, 4096) }),
	} {
		if key, err := CertificateKey(der); err == nil || key != "" {
			t.Errorf("%s: taken", name)
		}
	}
}

func p384(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// unsupported makes a certificate of a key that 2.0 does not take.
func unsupported(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: testTime, NotAfter: testTime.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// FuzzReadCertificate has any bytes: what is read says the very same bytes.
func FuzzReadCertificate(f *testing.F) {
	for _, keys := range bothKinds() {
		f.Add(certified(f, keys, testToken(keys)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadCertificate(data)
		if err != nil {
			return
		}
		token := &xlreg.Token{Name: c.Name, SigKey: c.SigKey, Endpoints: c.Hosts, Certificate: c.Field}
		if der, err := BuildCertificate(token); err != nil || !bytes.Equal(der, data) {
			t.Errorf("read of %x, which it does not say: %v", data, err)
		}
		if key, err := CertificateKey(data); err == nil && key != c.SigKey {
			t.Error("another key")
		}
	})
}
