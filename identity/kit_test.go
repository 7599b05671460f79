package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// Keys are made once for all tests of this package. The second set is there so
// that a wrong key can be had, and the small ones are of 1024 bits, as those of
// deployed peers can be.
var (
	testKeys  = sync.OnceValue(func() *keys.Set { return newKeys(2048) })
	otherKeys = sync.OnceValue(func() *keys.Set { return newKeys(2048) })
	smallKeys = sync.OnceValue(func() *keys.Set { return newKeys(1024) })
)

// curveKeys are on P-256.
var curveKeys = sync.OnceValue(func() *keys.Set {
	set, err := keys.Generate(keys.P256, 0)
	if err != nil {
		panic(err)
	}
	return set
})

func newKeys(bits int) *keys.Set {
	set, err := keys.NewSet(newKey(bits), newKey(bits))
	if err != nil {
		panic(err)
	}
	return set
}

func newKey(bits int) keys.Private {
	generated, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	key, err := keys.NewPrivate(generated)
	if err != nil {
		panic(err)
	}
	return key
}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testToken(set *keys.Set) *xlreg.Token {
	return &xlreg.Token{
		Name:      "m0",
		Attrs:     5,
		CommsKey:  set.CommsKey,
		SigKey:    set.SigKey,
		Endpoints: []xlreg.Endpoint{"127.0.0.1:4001", "node-0.example.org:4002"},
	}
}

func newCertificate(t testing.TB, set *keys.Set, token *xlreg.Token) []byte {
	t.Helper()
	var err error
	if token.Certificate, err = keys.NewCertificate(set.Sig, token, testTime, keys.DefaultCertificateLife); err != nil {
		t.Fatal(err)
	}
	der, err := keys.BuildCertificate(token)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func opensshOf(t testing.TB, key keys.Private) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key.Signer(), "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}
