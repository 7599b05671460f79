package keys

import (
	"bytes"
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
