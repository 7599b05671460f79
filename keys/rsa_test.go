package keys

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

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
		key, err := Parse(keyDER(t, modulus(bits), 65537))
		if (err == nil) != want || err != nil && !errors.Is(err, xlreg.ErrBadKey) {
			t.Errorf("%d bits: %v", bits, err)
		}
		if err == nil && (key.Bits() != bits || string(key.DER()) != string(keyDER(t, modulus(bits), 65537))) {
			t.Errorf("%d bits: another key", bits)
		}
	}
}

func TestKeyExponents(t *testing.T) {
	for e, want := range map[int]bool{
		1: false, 2: false, 3: true, 4: false, 17: true, 65536: false, 65537: true, 1<<31 - 2: false, 1<<31 - 1: true,
		1 << 31: false, 1<<31 + 1: false, 1<<62 + 1: false,
	} {
		if _, err := Parse(keyDER(t, modulus(2048), e)); (err == nil) != want {
			t.Errorf("exponent %d: %v", e, err)
		}
	}
}

// standardDER returns what the standard library makes of key.
func standardDER(t testing.TB, key Public) []byte {
	t.Helper()
	switch k := key.(type) {
	case rsaPublic:
		return keyDER(t, k.key.N, k.key.E)
	case p256Public:
		der, err := x509.MarshalPKIXPublicKey(k.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	t.Fatalf("%T", key)
	return nil
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
	if _, err := Parse(good); err != nil {
		t.Fatalf("the key that the others are made from: %v", err)
	}
	// The header of a SEQUENCE of between 256 and 65535 bytes has four.
	long := slices.Concat([]byte{0x30, 0x83, 0}, good[2:])
	indefinite := slices.Concat([]byte{0x30, 0x80}, good[4:], []byte{0, 0})
	zeroed := slices.Concat([]byte{0x02, 0x82, 0x01, 0x02, 0}, n.FillBytes(make([]byte, 257)))
	ecDER, err := x509.MarshalPKIXPublicKey(p384(t).Public())
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
		"another curve":            ecDER,
		"9 KiB":                    keyDER(t, modulus(9<<13), 65537),
	}
	for name, der := range cases {
		if key, err := Parse(der); !errors.Is(err, xlreg.ErrBadKey) || key != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(keyDER(f, modulus(2048), 65537))
	f.Add(keyDER(f, modulus(1024), 3))
	f.Add([]byte(curveKeys().SigKey))
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := Parse(der)
		if err != nil {
			return
		}
		if again := key.DER(); string(again) != string(der) {
			t.Errorf("%x is taken, its form is %x", der, again)
		}
		if again := standardDER(t, key); string(again) != string(der) {
			t.Errorf("%x is taken, its form is %x", der, again)
		}
	})
}

// readAnyRSA reads a key without a look at its size.
func readAnyRSA(der []byte) (*rsa.PublicKey, bool) {
	algorithm, bits, ok := readInfo(der)
	if !ok || string(algorithm) != rsaKind.algorithm {
		return nil, false
	}
	return readRSA(bits)
}

// Whatever x509 writes is read, and whatever is read x509 writes the same.
func TestKeyFormIsThatOfX509(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		modulus := rapid.SliceOfN(rapid.Byte(), 1, xlreg.MaxKeyBits/8+1).Draw(t, "modulus")
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: rapid.IntRange(1, xlreg.MaxKeyExponent).Draw(t, "exponent")}
		if key.N.Sign() == 0 {
			return
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if read, ok := readAnyRSA(der); !ok || !read.Equal(key) {
			t.Fatalf("read %v, want %v", read, key)
		}
		if written := (rsaPublic{key}).DER(); string(written) != string(der) {
			t.Fatalf("written as %x, want %x", written, der)
		}
		at := rapid.IntRange(0, len(der)-1).Draw(t, "place")
		der[at] ^= rapid.Byte().Draw(t, "change")
		changed, ok := readAnyRSA(der)
		if !ok || changed.N.Sign() <= 0 || changed.E <= 0 {
			return // the limits on keys refuse those
		}
		if again, err := x509.MarshalPKIXPublicKey(changed); err != nil || string(again) != string(der) {
			t.Fatalf("read %x, whose form is %x, %v", der, again, err)
		}
	})
}

func tokenWith(t *testing.T, comms, sig []byte) *xlreg.Token {
	t.Helper()
	return &xlreg.Token{
		Name: "m0", CommsKey: xlreg.CommsKey(comms), SigKey: xlreg.SigKey(sig), Endpoints: []xlreg.Endpoint{"127.0.0.1:1"},
	}
}

// Over 2.0 a key has bounds on what verifying costs; over a classic carrier deployed
// peers may have any.
func TestModernKeysAreBounded(t *testing.T) {
	for _, c := range []struct {
		bits, exponent int
		modern         bool
	}{
		{2047, 65537, false}, {2048, 65537, true}, {2048, 3, true}, {4096, 65537, true},
		{4097, 65537, false}, {8192, 65537, false}, {2048, 65539, false}, {2048, 1<<31 - 1, false},
	} {
		n := new(big.Int).Lsh(big.NewInt(1), uint(c.bits-1))
		key, err := newRSAPublic(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: c.exponent})
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Check(xlreg.Protocol20); (err == nil) != c.modern {
			t.Errorf("%d bits, exponent %d, over 2.0: %v", c.bits, c.exponent, err)
		}
		for _, p := range []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19} {
			if err := key.Check(p); err != nil {
				t.Errorf("%d bits, exponent %d, over %v: %v", c.bits, c.exponent, p, err)
			}
		}
	}
}

func TestCheckToken(t *testing.T) {
	good, other := keyDER(t, modulus(2048), 65537), keyDER(t, modulus(2048), 3)
	short, tiny := keyDER(t, modulus(2047), 65537), keyDER(t, modulus(1023), 65537)
	for name, c := range map[string]struct {
		token       *xlreg.Token
		any, over20 bool   // whether it passes
		detail      string // what the error says
	}{
		"good":             {tokenWith(t, good, other), true, true, ""},
		"form":             {&xlreg.Token{}, false, false, "name"},
		"no comms key":     {tokenWith(t, nil, good), false, false, "comms key: ill-formed public key: "},
		"no sig key":       {tokenWith(t, good, nil), false, false, "sig key: ill-formed public key: "},
		"short comms key":  {tokenWith(t, short, good), true, false, "comms key: ill-formed public key: 2047 bits, want at least 2048"},
		"short sig key":    {tokenWith(t, good, short), true, false, "sig key: ill-formed public key: 2047 bits, want at least 2048"},
		"shortest sig key": {tokenWith(t, good, tiny), false, false, "sig key: ill-formed public key: 1023 bits, want 1024 to 8192"},
	} {
		check := func(what string, err error, want bool) {
			if (err == nil) != want {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if err != nil && (!errors.Is(err, xlreg.ErrIllFormedToken) || !strings.Contains(err.Error(), c.detail)) {
				t.Errorf("%s, %s: %v, want %q", name, what, err, c.detail)
			}
		}
		check("any", CheckToken(c.token), c.any)
		check("1.8", CheckTokenFor(c.token, xlreg.Protocol18), c.any)
		check("1.9", CheckTokenFor(c.token, xlreg.Protocol19), c.any)
		check("2.0", CheckTokenFor(c.token, xlreg.Protocol20), c.over20)
	}
}

func BenchmarkParse(b *testing.B) {
	n := new(big.Int).SetBit(big.NewInt(1), 2047, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(der); err != nil {
			b.Fatal(err)
		}
	}
}
