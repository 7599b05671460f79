package xlreg

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// Whatever x509 writes is read, and whatever is read x509 writes the same.
func TestKeyFormIsThatOfX509(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		modulus := rapid.SliceOfN(rapid.Byte(), 1, MaxKeyBits/8+1).Draw(t, "modulus")
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: rapid.IntRange(1, MaxKeyExponent).Draw(t, "exponent")}
		if key.N.Sign() == 0 {
			return
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if read, ok := readPublicKey(der); !ok || !read.Equal(key) {
			t.Fatalf("read %v, want %v", read, key)
		}
		at := rapid.IntRange(0, len(der)-1).Draw(t, "place")
		der[at] ^= rapid.Byte().Draw(t, "change")
		changed, ok := readPublicKey(der)
		if !ok || changed.N.Sign() <= 0 || changed.E <= 0 {
			return // the limits on keys refuse those
		}
		if again, err := x509.MarshalPKIXPublicKey(changed); err != nil || string(again) != string(der) {
			t.Fatalf("read %x, whose form is %x, %v", der, again, err)
		}
	})
}

func BenchmarkParsePublicKey(b *testing.B) {
	n := new(big.Int).SetBit(big.NewInt(1), 2047, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ParsePublicKey(der); err != nil {
			b.Fatal(err)
		}
	}
}
