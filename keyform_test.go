package xlreg

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyFormIsThatOfX509(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		modulus := rapid.SliceOfN(rapid.Byte(), 1, MaxKeyBits/8+1).Draw(t, "modulus")
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: rapid.IntRange(1, MaxKeyExponent).Draw(t, "exponent")}
		if key.N.Sign() == 0 {
			return
		}
		want, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := publicKeyForm(key); string(got) != string(want) {
			t.Fatalf("got %x, want %x", got, want)
		}
		if read, ok := readPublicKey(string(want)); !ok || !read.Equal(key) {
			t.Fatalf("read %v, want %v", read, key)
		}
	})
}

func BenchmarkParsePublicKey(b *testing.B) {
	n := new(big.Int).SetBit(big.NewInt(1), 2047, 1)
	der := publicKeyForm(&rsa.PublicKey{N: n, E: 65537})
	for b.Loop() {
		if _, err := ParsePublicKey(der); err != nil {
			b.Fatal(err)
		}
	}
}
