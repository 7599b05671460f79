package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
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

// curveKeys are on P-256.
var curveKeys = sync.OnceValue(func() *Set {
	keys, err := Generate(P256, 0)
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

// lp is what the specification calls so, written anew.
func lp(b string) string {
	n := len(b)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + b
}

// proven returns a token with everything by which its node proves what it says.
func proven(t testing.TB, keys *Set) *xlreg.Token {
	t.Helper()
	token := testToken(keys)
	token.Labels = []byte("\x0a\x06\x0a\x01r\x12\x01w")
	prove(t, keys, token)
	return token
}

func prove(t testing.TB, keys *Set, token *xlreg.Token) {
	t.Helper()
	certified(t, keys, token)
	var err error
	if token.CommsSig, err = SignComms(keys.Comms, token); err != nil {
		t.Fatal(err)
	}
	if token.DigSig2, err = SignToken(keys.Sig, token); err != nil {
		t.Fatal(err)
	}
}

// verified reports whether sig is good for what is covered, to the standard library.
func verified(keys *Set, covered string, sig []byte) bool {
	digest := sha256.Sum256([]byte(covered))
	switch key := keys.Sig.Signer().Public().(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest[:], sig)
	}
	return false
}

// TestTokenSignatureInput builds what the signature covers from section 7 word by
// word, and not from the code under test.
func TestTokenSignatureInput(t *testing.T) {
	for kind, keys := range bothKinds() {
		token := testToken(keys)
		shown := sha256.Sum256(certified(t, keys, token))
		covered := "xlreg token 2.0\x00" + lp("m0") + lp("\x05\x00\x00\x00\x00\x00\x00\x00") +
			lp(string(keys.CommsKey)) + lp(string(keys.SigKey)) + lp(string(shown[:])) +
			"\x00\x00\x00\x02" + lp("127.0.0.1:4001") + lp("node-0.example.org:4002")
		for labels, more := range map[string]string{"none": "", "": "", "some": lp("some")} {
			if token.Labels = []byte(labels); labels == "none" {
				token.Labels = nil
			}
			sig, err := SignToken(keys.Sig, token)
			if err != nil {
				t.Fatal(err)
			}
			if !verified(keys, covered+more, sig) {
				t.Errorf("%s, labels %q: covers something else", kind, labels)
			}
			token.DigSig2 = sig
			token.ID = "ID is not covered..."
			if err := VerifyToken(token); err != nil {
				t.Errorf("%s, labels %q: %v", kind, labels, err)
			}
		}
	}
}

func TestCommsSignatureInput(t *testing.T) {
	for kind, keys := range bothKinds() {
		token := testToken(keys)
		sig, err := SignComms(keys.Comms, token)
		if err != nil {
			t.Fatal(err)
		}
		comms := &Set{Sig: keys.Comms}
		if !verified(comms, "xlreg comms 2.0\x00"+lp(string(keys.CommsKey))+lp(string(keys.SigKey)), sig) {
			t.Errorf("%s: covers something else", kind)
		}
		token.CommsSig = sig
		if err := VerifyComms(token); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestCommsSignatureCoversBothKeys(t *testing.T) {
	for kind, keys := range bothKinds() {
		for what, change := range map[string]func(*xlreg.Token){
			"comms key": func(t *xlreg.Token) { t.CommsKey = otherKeys().CommsKey },
			"sig key":   func(t *xlreg.Token) { t.SigKey = otherKeys().SigKey },
			"none":      func(t *xlreg.Token) { t.CommsSig = nil },
			"no key":    func(t *xlreg.Token) { t.CommsKey = "no key" },
			"small key": func(t *xlreg.Token) { t.CommsKey = smallKeys().CommsKey },
			"swapped":   func(t *xlreg.Token) { t.CommsSig = t.DigSig2 },
			"a byte":    func(t *xlreg.Token) { t.CommsSig = append(t.CommsSig, 0) },
		} {
			token := proven(t, keys)
			change(token)
			t.Run(kind+" "+what, func(t *testing.T) { wantBadSignature(t, VerifyComms(token)) })
		}
	}
}

func TestTokenSignatureCoversTheToken(t *testing.T) {
	changes := maps.Clone(changes)
	changes["labels"] = func(t *xlreg.Token) { t.Labels[3]++ }
	changes["no labels"] = func(t *xlreg.Token) { t.Labels = nil }
	changes["empty labels"] = func(t *xlreg.Token) { t.Labels = []byte{} }
	changes["serial number"] = func(t *xlreg.Token) { t.Certificate[1] ^= 1 }
	changes["certificate"] = func(t *xlreg.Token) { t.Certificate[len(t.Certificate)-1] ^= 1 }
	for kind, keys := range bothKinds() {
		for what, change := range changes {
			token := proven(t, keys)
			change(token)
			t.Run(kind+" "+what, func(t *testing.T) {
				wantBadSignature(t, VerifyToken(token))
				wantBadSignature(t, VerifyMember(token))
			})
		}
	}
}

func TestVerifyMember(t *testing.T) {
	for kind, keys := range bothKinds() {
		token := proven(t, keys)
		if err := VerifyMember(token); err != nil || !HasProofs(token) {
			t.Errorf("%s: %v", kind, err)
		}
		for what, change := range map[string]func(*xlreg.Token){
			"comms signature": func(t *xlreg.Token) { t.CommsSig[9] ^= 1 },
			"token signature": func(t *xlreg.Token) { t.DigSig2[9] ^= 1 },
		} {
			token := proven(t, keys)
			change(token)
			t.Run(kind+" "+what, func(t *testing.T) { wantBadSignature(t, VerifyMember(token)) })
		}
		for what, strip := range map[string]func(*xlreg.Token){
			"comms signature": func(t *xlreg.Token) { t.CommsSig = nil },
			"token signature": func(t *xlreg.Token) { t.DigSig2 = nil },
			"certificate":     func(t *xlreg.Token) { t.Certificate = nil },
		} {
			token := proven(t, keys)
			strip(token)
			if !HasProofs(token) {
				t.Errorf("%s: without its %s it has no proofs", kind, what)
			}
			wantBadSignature(t, VerifyMember(token))
		}
	}
	if HasProofs(testToken(testKeys())) {
		t.Error("a bare token has proofs")
	}
	// A mixed set is as good as any.
	mixed, err := NewSet(curveKeys().Comms, testKeys().Sig)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyMember(proven(t, mixed)); err != nil {
		t.Error(err)
	}
}

// Over 2.0 both keys have bounds.
func TestVerifyMemberBoundsKeys(t *testing.T) {
	large := xlreg.SigKey(keyDER(t, modulus(4097), 65537))
	for what, change := range map[string]func(*xlreg.Token){
		"small sig key":   func(t *xlreg.Token) { t.SigKey = smallKeys().SigKey },
		"small comms key": func(t *xlreg.Token) { t.CommsKey = smallKeys().CommsKey },
		"large sig key":   func(t *xlreg.Token) { t.SigKey = large },
		"large comms key": func(t *xlreg.Token) { t.CommsKey = xlreg.CommsKey(large) },
	} {
		token := proven(t, testKeys())
		change(token)
		t.Run(what, func(t *testing.T) { wantIllFormed(t, VerifyMember(token)) })
	}
}

func TestTokenSignatureTakesOneLengthOfSaltOnly(t *testing.T) {
	token := testToken(testKeys())
	digest := tokenDigest(token, certified(t, testKeys(), token))
	for _, length := range []int{0, 20, 31, 33, rsa.PSSSaltLengthAuto} {
		sig, err := rsa.SignPSS(rand.Reader, rsaOf(testKeys()), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length})
		if err != nil {
			t.Fatal(err)
		}
		token.DigSig2 = sig
		wantBadSignature(t, VerifyToken(token))
	}
}

func TestTokenSignatureNeedsALongKey(t *testing.T) {
	token := testToken(smallKeys())
	prove(t, smallKeys(), token)
	wantBadSignature(t, VerifyToken(token))
	token.DigSig2 = nil
	token.SigKey = "no key"
	wantBadSignature(t, VerifyToken(token))
}

func TestSignaturesDoNotStandForOneAnother(t *testing.T) {
	token := proven(t, testKeys())
	var err error
	if token.DigSig, err = SignClassic(testKeys().Sig, token); err != nil {
		t.Fatal(err)
	}
	token.DigSig, token.DigSig2 = token.DigSig2, token.DigSig
	wantBadSignature(t, VerifyToken(token))
	wantBadSignature(t, VerifyClassic(token))
}

// No classic peer knows any kind but RSA.
func TestClassicSignaturesAreRSA(t *testing.T) {
	token := testToken(curveKeys())
	if sig, err := SignClassic(curveKeys().Sig, token); err == nil || sig != nil {
		t.Error("signed")
	}
	if sig, err := SignLogin(curveKeys().Sig, nil, "id"); err == nil || sig != nil {
		t.Error("signed a log-in")
	}
	token.DigSig = proven(t, curveKeys()).DigSig2
	wantBadSignature(t, VerifyClassic(token))
	wantBadSignature(t, VerifyLogin(token.SigKey, nil, "id", token.DigSig))
}

func TestVerifyLeavesTheTokenAlone(t *testing.T) {
	token := proven(t, testKeys())
	before := hex.EncodeToString(token.DigSig2)
	for range 2 {
		if err := VerifyMember(token); err != nil {
			t.Fatal(err)
		}
	}
	if before != hex.EncodeToString(token.DigSig2) {
		t.Error("the signature changed")
	}
}

func BenchmarkVerifyMember(b *testing.B) {
	for kind, keys := range bothKinds() {
		token := proven(b, keys)
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := VerifyMember(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is what the others are held against: one signature of the kind.
func BenchmarkVerify(b *testing.B) {
	digest := make([]byte, 32)
	for kind, keys := range bothKinds() {
		key := keys.Sig.Public()
		sig, err := keys.Sig.Sign(SchemeToken, digest)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if !key.Verify(SchemeToken, digest, sig) {
					b.Fatal("refused")
				}
			}
		})
	}
}
