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
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// certified gives token a certificate, and returns that.
func certified(t testing.TB, keys *Set, token *xlreg.Token) []byte {
	t.Helper()
	return certifiedAt(t, keys, token, testTime)
}

func certifiedAt(t testing.TB, keys *Set, token *xlreg.Token, now time.Time) []byte {
	t.Helper()
	var err error
	if token.Certificate, err = NewCertificate(keys.Sig, token, now, DefaultCertificateLife); err != nil {
		t.Fatal(err)
	}
	der, err := BuildCertificate(token)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t *testing.T, ders ...[]byte) string {
	t.Helper()
	var data []byte
	for _, der := range ders {
		data = append(data, pemOf("CERTIFICATE", der)...)
	}
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("%v (Debian package openssl)", err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// certTokens are tokens with all kinds of names and hosts.
func certTokens(keys *Set) map[string]*xlreg.Token {
	plain := testToken(keys)
	odd := testToken(keys)
	odd.Name = "_a_b..c-."
	odd.Endpoints = []xlreg.Endpoint{"[2001:db8::1]:5", "1.2.3.4:9", "1.2.3.4:10", "under_score.example:1"}
	twice := testToken(keys)
	twice.Endpoints = []xlreg.Endpoint{
		"b.example:1", "m0:2", "[::ffff:1.2.3.4]:3", "1.2.3.4:4", "[2001:db8::1]:5", "B.example:6",
		"[2001:DB8:0:0::1]:7", "b.example:8", "1.2.3.4:9",
	}
	long := testToken(keys)
	long.Name = xlreg.Name(strings.Repeat("n", 128))
	bare := testToken(keys)
	bare.Endpoints = nil
	return map[string]*xlreg.Token{"plain": plain, "odd": odd, "twice": twice, "long": long, "bare": bare}
}

// bothKinds are sets of keys by the names of their kinds.
func bothKinds() map[string]*Set { return map[string]*Set{"RSA": testKeys(), "P-256": curveKeys()} }

// standardCertificate is what the standard library makes of a token, with the parts of
// its own that section 7 has in another way given to it.
func standardCertificate(t testing.TB, keys *Set, token *xlreg.Token, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := certificateTemplate(t, token)
	template.SerialNumber = new(big.Int).SetBytes(token.Certificate[:16])
	template.NotBefore = time.Unix(int64(binary.BigEndian.Uint64(token.Certificate[16:])), 0)
	template.NotAfter = time.Unix(int64(binary.BigEndian.Uint64(token.Certificate[24:])), 0)
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, keys.Sig.Signer().Public(), keys.Sig.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certificateTemplate says what section 7 says, in the words of the standard library.
func certificateTemplate(t testing.TB, token *xlreg.Token) *x509.Certificate {
	t.Helper()
	sum := sha256.Sum256([]byte(string(token.SigKey) + string(token.Name)))
	cn := string(token.Name)[:min(64, len(token.Name))]
	return &x509.Certificate{
		RawSubject:            standardSubject(t, cn, hex.EncodeToString(sum[:16])),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		SubjectKeyId:          sum[:20],
		AuthorityKeyId:        sum[:20],
		ExtraExtensions:       []pkix.Extension{extensionOf(false, standardNames(t, token), 2, 5, 29, 17)},
	}
}

// standardSubject has the common name as UTF-8, which pkix.Name never does with ASCII.
func standardSubject(t testing.TB, cn, serial string) []byte {
	t.Helper()
	return marshal(t, pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(cn)}}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte(serial)}}},
	})
}

// standardNames are the alternative names in the order of the endpoints.
func standardNames(t testing.TB, token *xlreg.Token) []byte {
	t.Helper()
	all := []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(token.Name)}}
	for _, e := range token.Endpoints {
		name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(e.Host())}
		if addr, ok := e.Addr(); ok {
			name.Tag, name.Bytes = 7, addr.AsSlice()
		}
		same := func(o asn1.RawValue) bool { return o.Tag == name.Tag && bytes.Equal(o.Bytes, name.Bytes) }
		if !slices.ContainsFunc(all, same) {
			all = append(all, name)
		}
	}
	return marshal(t, all)
}

// TestCertificateIsThatOfTheStandardLibrary compares byte for byte what two encoders make
// of the same tokens.
func TestCertificateIsThatOfTheStandardLibrary(t *testing.T) {
	for kind, keys := range bothKinds() {
		for name, token := range certTokens(keys) {
			t.Run(kind+" "+name, func(t *testing.T) {
				der := certified(t, keys, token)
				want := standardCertificate(t, keys, token, func(*x509.Certificate) {})
				// Signatures on P-256 are random, but all before them has to agree.
				if kind == "P-256" {
					der, want = toBeSigned(t, der), toBeSigned(t, want)
				}
				if !bytes.Equal(der, want) {
					t.Errorf("built\n%x, want\n%x", der, want)
				}
			})
		}
	}
}

func toBeSigned(t *testing.T, der []byte) []byte {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate
}

// The form has two ways to write a date, and their bounds are looked at from both sides.
func TestCertificateDates(t *testing.T) {
	keys, token := curveKeys(), testToken(curveKeys())
	certified(t, keys, token)
	date := func(year int) uint64 { return uint64(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix()) }
	for _, from := range []uint64{0, 1, date(1999), date(2000), date(2050) - 1, date(2050), date(9999), date(10000) - 1} {
		binary.BigEndian.PutUint64(token.Certificate[16:], from)
		binary.BigEndian.PutUint64(token.Certificate[24:], date(2026))
		der, err := BuildCertificate(token)
		if err != nil {
			t.Fatalf("%d: %v", from, err)
		}
		if want := standardCertificate(t, keys, token, func(*x509.Certificate) {}); !bytes.Equal(toBeSigned(t, der), toBeSigned(t, want)) {
			t.Errorf("%d: built another certificate than the standard library", from)
		}
	}
	for _, bad := range []uint64{date(10000), 1 << 40, 1 << 63, 1<<64 - 1} {
		for at := 16; at <= 24; at += 8 {
			binary.BigEndian.PutUint64(token.Certificate[16:], date(2026))
			binary.BigEndian.PutUint64(token.Certificate[24:], date(2026))
			binary.BigEndian.PutUint64(token.Certificate[at:], bad)
			wantIllFormed(t, second(BuildCertificate(token)))
		}
	}
}

func second[T any](_ T, err error) error { return err }

func wantIllFormed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, xlreg.ErrIllFormedToken) {
		t.Errorf("got %v, want an error of kind %v", err, xlreg.ErrIllFormedToken)
	}
}

func TestBuildCertificateRefuses(t *testing.T) {
	long := xlreg.Endpoint(strings.Repeat(strings.Repeat("a", 62)+".", 4) + ":1")
	for name, change := range map[string]func(*xlreg.Token){
		"no field":            func(t *xlreg.Token) { t.Certificate = nil },
		"half a date":         func(t *xlreg.Token) { t.Certificate = t.Certificate[:28] },
		"no signature":        func(t *xlreg.Token) { t.Certificate = t.Certificate[:32] },
		"serial from 00":      func(t *xlreg.Token) { t.Certificate[0] = 0 },
		"serial from 80":      func(t *xlreg.Token) { t.Certificate[0] = 0x80 },
		"a long signature":    func(t *xlreg.Token) { t.Certificate = append(t.Certificate, make([]byte, 2048)...) },
		"no key":              func(t *xlreg.Token) { t.SigKey = "" },
		"a key of no kind":    func(t *xlreg.Token) { t.SigKey = t.SigKey[1:] },
		"too many endpoints":  func(t *xlreg.Token) { t.Endpoints = slices.Repeat(t.Endpoints[:1], 17) },
		"no IPv6 in brackets": func(t *xlreg.Token) { t.Endpoints = []xlreg.Endpoint{"[1.2.3.4]:1"} },
		"no IPv4":             func(t *xlreg.Token) { t.Endpoints = []xlreg.Endpoint{"1.2.3:1"} },
		"more than 4 KiB": func(t *xlreg.Token) {
			t.Endpoints = nil
			for i := range 16 {
				t.Endpoints = append(t.Endpoints, xlreg.Endpoint('a'+rune(i))+long)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			token := testToken(testKeys())
			certified(t, testKeys(), token)
			change(token)
			wantIllFormed(t, second(BuildCertificate(token)))
			wantIllFormed(t, VerifyCertificate(token, nil))
		})
	}
}

func TestVerifyCertificate(t *testing.T) {
	for kind, keys := range bothKinds() {
		token := testToken(keys)
		der := certified(t, keys, token)
		if err := VerifyCertificate(token, der); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		wantIllFormed(t, VerifyCertificate(token, nil))
		wantIllFormed(t, VerifyCertificate(token, append(slices.Clone(der), 0)))
		for name, change := range changes {
			if name == "attrs" || name == "comms key" {
				continue // no certificate has them
			}
			changed := testToken(keys)
			changed.Certificate = token.Certificate
			change(changed)
			if err := VerifyCertificate(changed, der); !errors.Is(err, xlreg.ErrIllFormedToken) {
				t.Errorf("%s, another %s: %v", kind, name, err)
			}
		}
		// One that follows from the token, but that the key has not signed.
		forged := testToken(keys)
		forged.Certificate = slices.Clone(token.Certificate)
		forged.Certificate[1] ^= 1
		der, err := BuildCertificate(forged)
		if err != nil {
			t.Fatal(err)
		}
		wantIllFormed(t, VerifyCertificate(forged, der))
	}
	small := testToken(smallKeys())
	small.Certificate = slices.Repeat([]byte{1}, 200)
	wantIllFormed(t, VerifyCertificate(small, nil))
}

// TestCertificateAsOpenSSLReadsIt holds the certificate against the form of
// section 7 in the words of another program.
func TestCertificateAsOpenSSLReadsIt(t *testing.T) {
	token := certTokens(testKeys())["odd"]
	path := writePEM(t, certified(t, testKeys(), token))
	out, err := openssl(t, "x509", "-in", path, "-noout", "-text", "-nameopt", "RFC2253,sep_comma_plus_space")
	if err != nil {
		t.Fatal(err, out)
	}
	sum := sha256.Sum256([]byte(string(token.SigKey) + string(token.Name)))
	keyID := strings.ToUpper(hex.EncodeToString(sum[:20]))
	for i := 38; i > 0; i -= 2 {
		keyID = keyID[:i] + ":" + keyID[i:]
	}
	subject := "serialNumber=" + hex.EncodeToString(sum[:16]) + ", CN=_a_b..c-.\n"
	for _, want := range []string{
		"Version: 3 (0x2)",
		"Signature Algorithm: sha256WithRSAEncryption",
		"Issuer: " + subject,
		"Subject: " + subject,
		"Not Before: Mar  1 11:00:00 2026 GMT",
		"Not After : May 30 11:00:00 2026 GMT",
		"X509v3 Basic Constraints: critical\n                CA:FALSE\n",
		"X509v3 Key Usage: critical\n                Digital Signature\n",
		"X509v3 Extended Key Usage: \n                TLS Web Server Authentication, TLS Web Client Authentication\n",
		"X509v3 Subject Key Identifier: \n                " + keyID + "\n",
		"X509v3 Authority Key Identifier: \n                " + keyID + "\n",
		"X509v3 Subject Alternative Name: \n                DNS:_a_b..c-., " +
			"IP Address:2001:DB8:0:0:0:0:0:1, IP Address:1.2.3.4, DNS:under_score.example\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "X509v3 "); n != 7 { // six and the heading
		t.Errorf("%d extensions in\n%s", n-1, out)
	}
}

func TestCertificateOfALongName(t *testing.T) {
	token := certTokens(testKeys())["long"]
	cert, err := x509.ParseCertificate(certified(t, testKeys(), token))
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != strings.Repeat("n", 64) {
		t.Errorf("CN %q", cert.Subject.CommonName)
	}
	if cert.DNSNames[0] != string(token.Name) {
		t.Errorf("alternative names %q", cert.DNSNames)
	}
}

func TestSerialsAreRandom(t *testing.T) {
	seen := map[string]bool{}
	longest := 0
	for range 16 {
		cert, err := x509.ParseCertificate(certified(t, curveKeys(), testToken(curveKeys())))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, cert.SerialNumber.BitLen())
		seen[cert.SerialNumber.String()] = true
	}
	if len(seen) != 16 || longest <= 112 || longest > 128 {
		t.Errorf("%d serials, the longest of %d bits", len(seen), longest)
	}
}

// TestRosterOfAnchors gives OpenSSL and Go the certificates of two members as the
// only ones to trust. Each has to be good for itself, and neither for a third that
// one of them signed.
func TestRosterOfAnchors(t *testing.T) {
	a, b := testToken(testKeys()), testToken(curveKeys())
	now := time.Now()
	aDER, bDER := certifiedAt(t, testKeys(), a, now), certifiedAt(t, curveKeys(), b, now)
	minted := mint(t, aDER, b)

	roster := writePEM(t, aDER, bDER)
	for _, der := range [][]byte{aDER, bDER} {
		for _, purpose := range []string{"sslserver", "sslclient"} {
			if out, err := openssl(t, "verify", "-purpose", purpose, "-CAfile", roster, writePEM(t, der)); err != nil {
				t.Errorf("openssl refuses a member as %s: %s", purpose, out)
			}
		}
	}
	if out, err := openssl(t, "verify", "-CAfile", roster, writePEM(t, minted)); err == nil {
		t.Errorf("openssl takes what a member minted: %s", out)
	}

	pool := x509.NewCertPool()
	for _, der := range [][]byte{aDER, bDER} {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(cert)
	}
	for _, host := range []string{"m0", "127.0.0.1", "node-0.example.org"} {
		if err := verifyGo(t, bDER, pool, host); err != nil {
			t.Errorf("go refuses a member as %s: %v", host, err)
		}
	}
	if err := verifyGo(t, bDER, pool, "m1"); err == nil {
		t.Error("go takes a member for another")
	}
	if err := verifyGo(t, minted, pool, "m0"); err == nil {
		t.Error("go takes what a member minted")
	}
}

func verifyGo(t *testing.T, der []byte, pool *x509.CertPool, host string) error {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

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

func TestNewCertificateRefuses(t *testing.T) {
	token := testToken(testKeys())
	for name, made := range map[string]func() ([]byte, error){
		"another key":       func() ([]byte, error) { return NewCertificate(otherKeys().Sig, token, testTime, time.Hour) },
		"a key of its kind": func() ([]byte, error) { return NewCertificate(curveKeys().Sig, token, testTime, time.Hour) },
		"before 1970":       func() ([]byte, error) { return NewCertificate(testKeys().Sig, token, time.Unix(-60, 0), time.Hour) },
		"after 9999": func() ([]byte, error) {
			return NewCertificate(testKeys().Sig, token, time.Date(9999, 12, 31, 23, 59, 0, 0, time.UTC), 2*time.Hour)
		},
	} {
		if field, err := made(); err == nil || field != nil {
			t.Errorf("%s: made", name)
		}
	}
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

// FuzzBuildCertificate has any tokens: what is built is read again, and the parser of the
// standard library agrees.
func FuzzBuildCertificate(f *testing.F) {
	for _, keys := range bothKinds() {
		for _, token := range certTokens(keys) {
			certified(f, keys, token)
			f.Add(string(token.Name), string(token.SigKey), token.String(), token.Certificate)
		}
	}
	f.Fuzz(func(t *testing.T, name, key, ends string, field []byte) {
		token := &xlreg.Token{Name: xlreg.Name(name), SigKey: xlreg.SigKey(key), Certificate: field}
		for e := range strings.SplitSeq(ends, ", ") {
			token.Endpoints = append(token.Endpoints, xlreg.Endpoint(e))
		}
		der, err := BuildCertificate(token)
		if err != nil {
			wantIllFormed(t, err)
			return
		}
		if _, err := Parse(token.SigKey); err != nil || token.Validate() != nil {
			return
		}
		c, err := ReadCertificate(der)
		if err != nil {
			t.Fatalf("%v\n%x", err, der)
		}
		if c.Name != token.Name || !bytes.Equal(c.Field, field) {
			t.Errorf("read %q, %x", c.Name, c.Field)
		}
	})
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

func BenchmarkBuildCertificate(b *testing.B) {
	for kind, keys := range bothKinds() {
		token := testToken(keys)
		certified(b, keys, token)
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := BuildCertificate(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
