package xlreg_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

// modulus returns an odd number of just so many bits. No test needs its factors.
func modulus(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.Add(n, big.NewInt(12345))
}

func keyDER(t testing.TB, n *big.Int, e int) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: e})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestKeySizes(t *testing.T) {
	for bits, want := range map[int]bool{
		200: false, 512: false, 1023: false, 1024: true, 1025: true, 2047: true, 2048: true, 3072: true, 4096: true,
		8191: true, 8192: true, 8193: false, 16384: false,
	} {
		key, err := xlreg.ParsePublicKey(keyDER(t, modulus(bits), 65537))
		if (err == nil) != want || err != nil && !errors.Is(err, xlreg.ErrBadKey) {
			t.Errorf("%d bits: %v", bits, err)
		}
		if err == nil && (key.N.Cmp(modulus(bits)) != 0 || key.E != 65537) {
			t.Errorf("%d bits: another key", bits)
		}
	}
}

func TestKeyExponents(t *testing.T) {
	for e, want := range map[int]bool{
		1: false, 2: false, 3: true, 4: false, 17: true, 65536: false, 65537: true, 1<<31 - 2: false, 1<<31 - 1: true,
		1 << 31: false, 1<<31 + 1: false, 1<<62 + 1: false,
	} {
		if _, err := xlreg.ParsePublicKey(keyDER(t, modulus(2048), e)); (err == nil) != want {
			t.Errorf("exponent %d: %v", e, err)
		}
	}
}

// spki puts a key together from parts that may be wrong.
func spki(t testing.TB, algorithm pkix.AlgorithmIdentifier, key []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{algorithm, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestKeysThatAreNotTheOneForm has keys that some parser or other takes. As
// signatures and IDs go by the bytes, there may be only one form.
func TestKeysThatAreNotTheOneForm(t *testing.T) {
	n := modulus(2048)
	rsaOID := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	usual := pkix.AlgorithmIdentifier{Algorithm: rsaOID, Parameters: asn1.NullRawValue}
	pss := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}}
	plain := marshal(t, []*big.Int{n, big.NewInt(65537)})
	good := spki(t, usual, plain)
	if _, err := xlreg.ParsePublicKey(good); err != nil {
		t.Fatalf("the key that the others are made from: %v", err)
	}
	// The header of a SEQUENCE of between 256 and 65535 bytes has four.
	long := slices.Concat([]byte{0x30, 0x83, 0}, good[2:])
	indefinite := slices.Concat([]byte{0x30, 0x80}, good[4:], []byte{0, 0})
	zeroed := slices.Concat([]byte{0x02, 0x82, 0x01, 0x02, 0}, n.FillBytes(make([]byte, 257)))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"nothing":                  nil,
		"half":                     good[:len(good)/2],
		"a byte after it":          append(slices.Clone(good), 0),
		"two keys":                 append(slices.Clone(good), good...),
		"a byte after the numbers": spki(t, usual, append(slices.Clone(plain), 0)),
		"a third number":           spki(t, usual, marshal(t, []*big.Int{n, big.NewInt(65537), big.NewInt(0)})),
		"one number":               spki(t, usual, marshal(t, []*big.Int{n})),
		"a negative modulus":       spki(t, usual, marshal(t, []*big.Int{new(big.Int).Neg(n), big.NewInt(65537)})),
		"a negative exponent":      spki(t, usual, marshal(t, []*big.Int{n, big.NewInt(-65537)})),
		"a huge exponent":          spki(t, usual, marshal(t, []*big.Int{n, n})),
		"an even modulus":          spki(t, usual, marshal(t, []*big.Int{new(big.Int).Add(n, big.NewInt(1)), big.NewInt(65537)})),
		"a zero before the number": spki(t, usual, marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(zeroed, marshal(t, 65537))})),
		"no parameters":            spki(t, pkix.AlgorithmIdentifier{Algorithm: rsaOID}, plain),
		"a key for PSS only":       spki(t, pss, plain),
		"a length in long form":    long,
		"an indefinite length":     indefinite,
		"PKCS #1":                  plain,
		"an EC key":                ecDER,
		"9 KiB":                    keyDER(t, modulus(9<<13), 65537),
	}
	for name, der := range cases {
		if key, err := xlreg.ParsePublicKey(der); !errors.Is(err, xlreg.ErrBadKey) || key != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(keyDER(f, modulus(2048), 65537))
	f.Add(keyDER(f, modulus(1024), 3))
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := xlreg.ParsePublicKey(der)
		if err != nil {
			return
		}
		if again := keyDER(t, key.N, key.E); string(again) != string(der) {
			t.Errorf("%x is taken, its form is %x", der, again)
		}
	})
}

func goodToken(t *testing.T) *xlreg.Token {
	return &xlreg.Token{
		Name:      "m0",
		CommsKey:  xlreg.CommsKey(keyDER(t, modulus(2048), 65537)),
		SigKey:    xlreg.SigKey(keyDER(t, modulus(2048), 3)),
		Endpoints: []xlreg.Endpoint{"127.0.0.1:1"},
	}
}

func TestTokenValidate(t *testing.T) {
	token := goodToken(t)
	if err := token.Validate(2048); err != nil {
		t.Error(err)
	}
	token.Endpoints = slices.Repeat(token.Endpoints, 16)
	if err := token.Validate(2048); err != nil {
		t.Errorf("16 endpoints: %v", err)
	}
	token.Endpoints = nil
	if err := token.Validate(1024); err != nil {
		t.Errorf("no endpoints: %v", err)
	}
}

func TestTokenValidateRefuses(t *testing.T) {
	short := keyDER(t, modulus(2047), 65537)
	cases := map[string]struct {
		change func(*xlreg.Token)
		keys   bool   // whether only the look at the keys finds it
		detail string // what names the fault
	}{
		"no name":      {func(t *xlreg.Token) { t.Name = "" }, false, "name"},
		"name":         {func(t *xlreg.Token) { t.Name = "a b" }, false, `"a b"`},
		"17 endpoints": {func(t *xlreg.Token) { t.Endpoints = slices.Repeat(t.Endpoints, 17) }, false, "17 endpoints"},
		"endpoint":     {func(t *xlreg.Token) { t.Endpoints = append(t.Endpoints, "a:0") }, false, `"a:0"`},
		"no comms key": {func(t *xlreg.Token) { t.CommsKey = "" }, true, "comms key"},
		"comms key":    {func(t *xlreg.Token) { t.CommsKey = xlreg.CommsKey(short) }, true, "comms key"},
		"no sig key":   {func(t *xlreg.Token) { t.SigKey = "" }, true, "sig key"},
		"sig key":      {func(t *xlreg.Token) { t.SigKey = xlreg.SigKey(short) }, true, "sig key"},
	}
	for name, c := range cases {
		token := goodToken(t)
		c.change(token)
		err := token.Validate(2048)
		if !errors.Is(err, xlreg.ErrIllFormedToken) || !strings.Contains(err.Error(), c.detail) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := token.ValidateForm(); (err == nil) != c.keys {
			t.Errorf("%s: form: %v", name, err)
		}
	}
	token := goodToken(t)
	token.SigKey = xlreg.SigKey(short)
	if err := token.Validate(xlreg.MinKeyBits); err != nil {
		t.Errorf("2047 bits where 1024 do: %v", err)
	}
}
