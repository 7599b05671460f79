package keys

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// testKeys are made once for all tests of this package.
var testKeys = sync.OnceValue(func() *Set {
	keys, err := Generate(RSA, 2048)
	if err != nil {
		panic(err)
	}
	return keys
})

// otherKeys are a second pair, so that a wrong key can be had.
var otherKeys = sync.OnceValue(func() *Set {
	keys, err := Generate(RSA, 2048)
	if err != nil {
		panic(err)
	}
	return keys
})

// smallKeys are 1024 bits long, as deployed peers' are in their tests.
var smallKeys = sync.OnceValue(func() *Set {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	private, err := NewPrivate(key)
	if err != nil {
		panic(err)
	}
	keys, err := NewSet(private, private)
	if err != nil {
		panic(err)
	}
	return keys
})

// rsaOf returns the standard library's form of a set's sig key.
func rsaOf(keys *Set) *rsa.PrivateKey { return keys.Sig.Signer().(*rsa.PrivateKey) }

func testToken(keys *Set) *xlreg.Token {
	return &xlreg.Token{
		Name:      "m0",
		Attrs:     5,
		CommsKey:  keys.CommsKey,
		SigKey:    keys.SigKey,
		Endpoints: []xlreg.Endpoint{"127.0.0.1:4001", "node-0.example.org:4002"},
	}
}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// changes are all that a token's signatures cover.
var changes = map[string]func(*xlreg.Token){
	"name":           func(t *xlreg.Token) { t.Name = "m1" },
	"attrs":          func(t *xlreg.Token) { t.Attrs++ },
	"comms key":      func(t *xlreg.Token) { t.CommsKey = otherKeys().CommsKey },
	"sig key":        func(t *xlreg.Token) { t.SigKey = otherKeys().SigKey },
	"endpoint":       func(t *xlreg.Token) { t.Endpoints[1] = "node-1.example.org:4002" },
	"endpoint less":  func(t *xlreg.Token) { t.Endpoints = t.Endpoints[:1] },
	"endpoint more":  func(t *xlreg.Token) { t.Endpoints = append(t.Endpoints, "a:1") },
	"endpoint order": func(t *xlreg.Token) { e := t.Endpoints; e[0], e[1] = e[1], e[0] },
}

func wantBadSignature(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, xlreg.ErrBadSignature) {
		t.Errorf("got %v, want an error of kind %v", err, xlreg.ErrBadSignature)
	}
}

func TestClassicSignatureIsOverThePlainConcatenation(t *testing.T) {
	keys := smallKeys()
	token := testToken(keys)
	sig, err := SignClassic(keys.Sig, token)
	if err != nil {
		t.Fatal(err)
	}
	covered := "m0\x05\x00\x00\x00\x00\x00\x00\x00" + string(keys.CommsKey) + string(keys.SigKey) +
		"127.0.0.1:4001node-0.example.org:4002"
	digest := sha1.Sum([]byte(covered))
	if err := rsa.VerifyPKCS1v15(&rsaOf(keys).PublicKey, crypto.SHA1, digest[:], sig); err != nil {
		t.Fatal(err)
	}
	token.DigSig = sig
	token.ID = "ID is not covered..."
	if err := VerifyClassic(token); err != nil {
		t.Fatal(err)
	}
}

func TestClassicSignatureCoversTheToken(t *testing.T) {
	for what, change := range changes {
		token := testToken(smallKeys())
		token.DigSig, _ = SignClassic(smallKeys().Sig, token)
		change(token)
		t.Run(what, func(t *testing.T) { wantBadSignature(t, VerifyClassic(token)) })
	}
}

func TestLoginSignature(t *testing.T) {
	keys := smallKeys()
	salt, id := []byte("8 bytes."), xlreg.NodeID("0123456789abcdef0123")
	sig, err := SignLogin(keys.Sig, salt, id)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha1.Sum([]byte("8 bytes.0123456789abcdef0123"))
	if err := rsa.VerifyPKCS1v15(&rsaOf(keys).PublicKey, crypto.SHA1, digest[:], sig); err != nil {
		t.Fatal(err)
	}
	if err := VerifyLogin(keys.SigKey, salt, id, sig); err != nil {
		t.Fatal(err)
	}
	wantBadSignature(t, VerifyLogin(keys.SigKey, []byte("8 Bytes."), id, sig))
	wantBadSignature(t, VerifyLogin(keys.SigKey, salt, "0123456789abcdef0124", sig))
	wantBadSignature(t, VerifyLogin(otherKeys().SigKey, salt, id, sig))
	wantBadSignature(t, VerifyLogin("no key", salt, id, sig))
	wantBadSignature(t, VerifyLogin(keys.SigKey, salt, id, nil))
}

// TestTokenSignatureInput builds what the signature covers from section 7 word by
// word, and not from the code under test.
func TestTokenSignatureInput(t *testing.T) {
	keys := testKeys()
	token := testToken(keys)
	sig, err := SignToken(keys.Sig, token, []byte("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	field := func(b string) string {
		n := len(b)
		return string([]byte{0, 0, byte(n >> 8), byte(n)}) + b
	}
	shown := sha256.Sum256([]byte("certificate"))
	covered := "xlreg token 2.0\x00" + field("m0") + field("\x05\x00\x00\x00\x00\x00\x00\x00") +
		field(string(keys.CommsKey)) + field(string(keys.SigKey)) + field(string(shown[:])) +
		"\x00\x00\x00\x02" + field("127.0.0.1:4001") + field("node-0.example.org:4002")
	digest := sha256.Sum256([]byte(covered))
	if err := rsa.VerifyPSS(&rsaOf(keys).PublicKey, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}); err != nil {
		t.Fatal(err)
	}
	token.DigSig2 = sig
	token.ID = "ID is not covered..."
	if err := VerifyToken(token, []byte("certificate")); err != nil {
		t.Fatal(err)
	}
	wantBadSignature(t, VerifyToken(token, []byte("another certificate")))
}

func TestTokenSignatureCoversTheToken(t *testing.T) {
	for what, change := range changes {
		token := testToken(testKeys())
		token.DigSig2, _ = SignToken(testKeys().Sig, token, nil)
		change(token)
		t.Run(what, func(t *testing.T) { wantBadSignature(t, VerifyToken(token, nil)) })
	}
}

func TestTokenSignatureTakesOneLengthOfSaltOnly(t *testing.T) {
	token := testToken(testKeys())
	digest := tokenDigest(token, nil)
	for _, length := range []int{0, 20, 31, 33, rsa.PSSSaltLengthAuto} {
		sig, err := rsa.SignPSS(rand.Reader, rsaOf(testKeys()), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length})
		if err != nil {
			t.Fatal(err)
		}
		token.DigSig2 = sig
		wantBadSignature(t, VerifyToken(token, nil))
	}
}

func TestTokenSignatureNeedsALongKey(t *testing.T) {
	token := testToken(smallKeys())
	var err error
	if token.DigSig2, err = SignToken(smallKeys().Sig, token, nil); err != nil {
		t.Fatal(err)
	}
	wantBadSignature(t, VerifyToken(token, nil))
	token.DigSig2 = nil
	token.SigKey = "no key"
	wantBadSignature(t, VerifyToken(token, nil))
}

func TestSignaturesDoNotStandForOneAnother(t *testing.T) {
	token := testToken(testKeys())
	token.DigSig, _ = SignClassic(testKeys().Sig, token)
	token.DigSig2 = token.DigSig
	wantBadSignature(t, VerifyToken(token, nil))
	token.DigSig2, _ = SignToken(testKeys().Sig, token, nil)
	token.DigSig = token.DigSig2
	wantBadSignature(t, VerifyClassic(token))
}

func TestVerifyLeavesTheTokenAlone(t *testing.T) {
	token := testToken(testKeys())
	token.DigSig2, _ = SignToken(testKeys().Sig, token, nil)
	before := hex.EncodeToString(token.DigSig2)
	for range 2 {
		if err := VerifyToken(token, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal([]byte(before), []byte(hex.EncodeToString(token.DigSig2))) {
		t.Error("the signature changed")
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	token := testToken(testKeys())
	certificate, err := NewCertificate(testKeys().Sig, token, testTime, DefaultCertificateLife)
	if err != nil {
		b.Fatal(err)
	}
	token.DigSig2, _ = SignToken(testKeys().Sig, token, certificate)
	for b.Loop() {
		if err := VerifyToken(token, certificate); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckCertificate(b *testing.B) {
	token := testToken(testKeys())
	certificate, err := NewCertificate(testKeys().Sig, token, testTime, DefaultCertificateLife)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckCertificate(certificate, token); err != nil {
			b.Fatal(err)
		}
	}
}
