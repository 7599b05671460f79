package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func newCertificate(t testing.TB, keys *Set, token *xlreg.Token) []byte {
	t.Helper()
	der, err := NewCertificate(keys.Sig, token, testTime, DefaultCertificateLife)
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
func certTokens() map[string]*xlreg.Token {
	plain := testToken(testKeys())
	odd := testToken(testKeys())
	odd.Name = "_a_b..c-."
	odd.Endpoints = []xlreg.Endpoint{"[2001:db8::1]:5", "1.2.3.4:9", "1.2.3.4:10", "under_score.example:1"}
	long := testToken(testKeys())
	long.Name = xlreg.Name(strings.Repeat("n", 128))
	bare := testToken(testKeys())
	bare.Endpoints = nil
	return map[string]*xlreg.Token{"plain": plain, "odd": odd, "long": long, "bare": bare}
}

func TestNewCertificateHasTheForm(t *testing.T) {
	for name, token := range certTokens() {
		t.Run(name, func(t *testing.T) {
			der := newCertificate(t, testKeys(), token)
			if err := CheckCertificate(der, token); err != nil {
				t.Fatal(err)
			}
			key, err := CheckSelfSigned(der)
			if err != nil {
				t.Fatal(err)
			}
			if key != token.SigKey {
				t.Error("another key")
			}
		})
	}
}

// TestCertificateAsOpenSSLReadsIt holds the certificate against the form of
// section 7 in the words of another program.
func TestCertificateAsOpenSSLReadsIt(t *testing.T) {
	token := certTokens()["odd"]
	path := writePEM(t, newCertificate(t, testKeys(), token))
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
		"X509v3 Subject Alternative Name: \n                DNS:_a_b..c-., DNS:under_score.example, " +
			"IP Address:2001:DB8:0:0:0:0:0:1, IP Address:1.2.3.4\n",
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
	token := certTokens()["long"]
	cert, err := x509.ParseCertificate(newCertificate(t, testKeys(), token))
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
		cert, err := x509.ParseCertificate(newCertificate(t, testKeys(), testToken(testKeys())))
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
	a, b := testToken(testKeys()), testToken(otherKeys())
	now := time.Now()
	aDER, err := NewCertificate(testKeys().Sig, a, now, DefaultCertificateLife)
	if err != nil {
		t.Fatal(err)
	}
	bDER, err := NewCertificate(otherKeys().Sig, b, now, DefaultCertificateLife)
	if err != nil {
		t.Fatal(err)
	}
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
	template := certificateTemplate(token)
	template.SerialNumber = big.NewInt(1)
	template.Subject.CommonName = "minted"
	template.NotBefore, template.NotAfter = parent.NotBefore, parent.NotAfter
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, rsaOf(testKeys()))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// selfSigned makes a certificate that is as agreed but for one change.
func selfSigned(t *testing.T, keys *Set, token *xlreg.Token, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := certificateTemplate(token)
	template.SerialNumber = big.NewInt(1 << 40)
	template.NotBefore, template.NotAfter = testTime, testTime.Add(time.Hour)
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsaOf(keys).PublicKey, rsaOf(keys))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func extensionOf(critical bool, value []byte, id ...int) pkix.Extension {
	return pkix.Extension{Id: id, Critical: critical, Value: value}
}

func TestCheckCertificateRefuses(t *testing.T) {
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
		"no alternative names":       func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil },
		"name not among them":        func(c *x509.Certificate) { c.DNSNames = c.DNSNames[1:] },
		"another's name":             func(c *x509.Certificate) { c.DNSNames[0] = "m1" },
		"a mail address":             func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.example"} },
		"a URI":                      func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "https", Host: "b.example"}} },
		"a registered ID": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, []byte("\x30\x08\x82\x02m0\x88\x02\x2a\x03"), 2, 5, 29, 17))
		},
		"critical alternative names": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(true, []byte("\x30\x04\x82\x02m0"), 2, 5, 29, 17))
		},
		"one more extension": func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(false, []byte{5, 0}, 1, 2, 3, 4))
		},
		"name constraints":         func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"m0"} },
		"no subject":               func(c *x509.Certificate) { c.Subject = pkix.Name{} },
		"another CN":               func(c *x509.Certificate) { c.Subject.CommonName = "m1" },
		"no serialNumber":          func(c *x509.Certificate) { c.Subject.SerialNumber = "" },
		"another serialNumber":     func(c *x509.Certificate) { c.Subject.SerialNumber = strings.Repeat("0", 32) },
		"serialNumber in capitals": func(c *x509.Certificate) { c.Subject.SerialNumber = strings.ToUpper(c.Subject.SerialNumber) },
		"an organization":          func(c *x509.Certificate) { c.Subject.Organization = []string{"O"} },
		"a serial of 129 bits":     func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 128) },
		"SHA-512":                  func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSA },
		"PSS":                      func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS },
		"more than 4 KiB":          func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, strings.Repeat("a", 4096)) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			token := testToken(testKeys())
			if err := CheckCertificate(selfSigned(t, testKeys(), token, change), token); err == nil {
				t.Error("taken")
			}
		})
	}
	token := testToken(testKeys())
	if err := CheckCertificate(selfSigned(t, testKeys(), token, func(*x509.Certificate) {}), token); err != nil {
		t.Errorf("without a change: %v", err)
	}
}

func TestCheckCertificateAllows(t *testing.T) {
	cases := map[string]func(*x509.Certificate){
		"dates long gone": func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(-time.Hour) },
		"other hosts": func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"elsewhere.example", "m0"}, []net.IP{{9, 9, 9, 9}}
		},
		"no hosts":                func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"m0"}, nil },
		"usages the other way":    func(c *x509.Certificate) { u := c.ExtKeyUsage; u[0], u[1] = u[1], u[0] },
		"a serial of all 128 bit": func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 127) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			token := testToken(testKeys())
			if err := CheckCertificate(selfSigned(t, testKeys(), token, change), token); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckCertificateOfAnother(t *testing.T) {
	token := testToken(testKeys())
	der := newCertificate(t, testKeys(), token)

	renamed := testToken(testKeys())
	renamed.Name = "m1"
	if err := CheckCertificate(der, renamed); err == nil {
		t.Error("taken for another name")
	}
	if err := CheckCertificate(der, testToken(otherKeys())); err == nil {
		t.Error("taken for another key")
	}
	if _, err := NewCertificate(otherKeys().Sig, token, testTime, DefaultCertificateLife); err == nil {
		t.Error("made with another key")
	}
	if _, err := NewCertificate(smallKeys().Sig, testToken(smallKeys()), testTime, DefaultCertificateLife); err == nil {
		t.Error("made with a key of 1024 bits")
	}
	forged := bytes.Clone(der)
	forged[len(forged)-1] ^= 1
	if err := CheckCertificate(forged, token); err == nil {
		t.Error("taken though its signature does not verify")
	}
	if err := CheckCertificate(otherIssuer(t, token), token); err == nil {
		t.Error("taken though its issuer is another")
	}
	if err := CheckCertificate(append(der[:len(der):len(der)], 0), token); err == nil {
		t.Error("taken with a byte after it")
	}
}

// otherIssuer makes a certificate that its own key has signed, but in the name of
// someone else.
func otherIssuer(t *testing.T, token *xlreg.Token) []byte {
	t.Helper()
	template := certificateTemplate(token)
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = testTime, testTime.Add(time.Hour)
	parent := *template
	parent.Subject.CommonName = "m1"
	der, err := x509.CreateCertificate(rand.Reader, template, &parent, &rsaOf(testKeys()).PublicKey, rsaOf(testKeys()))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCheckSelfSigned(t *testing.T) {
	token := testToken(testKeys())
	good := newCertificate(t, testKeys(), token)
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	signedByOther := mintRSA(t)
	cases := map[string][]byte{
		"nothing":           nil,
		"a changed one":     forged,
		"signed by another": signedByOther,
		"an EC key":         selfSignedEC(t),
		"1024 bits":         selfSigned(t, smallKeys(), testToken(smallKeys()), func(*x509.Certificate) {}),
	}
	for name, der := range cases {
		if _, err := CheckSelfSigned(der); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, algorithm := range []x509.SignatureAlgorithm{x509.SHA512WithRSA, x509.SHA256WithRSAPSS} {
		der := selfSigned(t, testKeys(), token, func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm })
		key, err := CheckSelfSigned(der)
		if err != nil || key != token.SigKey {
			t.Errorf("%v: %v", algorithm, err)
		}
	}
}

// mintRSA makes a certificate of one RSA key that another has signed.
func mintRSA(t *testing.T) []byte {
	t.Helper()
	template := certificateTemplate(testToken(testKeys()))
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = testTime, testTime.Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsaOf(testKeys()).PublicKey, rsaOf(testKeys()))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	der, err = x509.CreateCertificate(rand.Reader, template, parent, &rsaOf(otherKeys()).PublicKey, rsaOf(testKeys()))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func selfSignedEC(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: testTime, NotAfter: testTime.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func FuzzCheckCertificate(f *testing.F) {
	token := testToken(testKeys())
	der := newCertificate(f, testKeys(), token)
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		if CheckCertificate(data, token) != nil {
			return
		}
		key, err := CheckSelfSigned(data)
		if err != nil || key != token.SigKey {
			t.Errorf("good in form, but not self-signed: %v", err)
		}
	})
}

func FuzzCheckSelfSigned(f *testing.F) {
	f.Add(newCertificate(f, testKeys(), testToken(testKeys())))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := CheckSelfSigned(data)
		if err != nil {
			return
		}
		if _, err := Parse(key); err != nil {
			t.Error(err)
		}
	})
}
