package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/xlattice/xlreg"
)

// otherForms are ways to write a key on P-256 that some parser or other takes.
func otherForms(t *testing.T) map[string][]byte {
	t.Helper()
	key := curveKeys().Sig.Signer().Public().(*ecdsa.PublicKey)
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	oid := asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	named := func(curve ...int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: marshal(t, asn1.ObjectIdentifier(curve))}}
	}
	usual := named(1, 2, 840, 10045, 3, 1, 7)
	good := spki(t, usual, point)
	if string(good) != string(curveKeys().SigKey) {
		t.Fatal("the key that the others are made from is not well formed")
	}
	x, y := point[1:33], point[33:]
	p := elliptic.P256().Params().P
	off := slices.Clone(point)
	off[64] ^= 1
	largeX := new(big.Int).Add(new(big.Int).SetBytes(x), p)
	return map[string][]byte{
		"compressed":         spki(t, usual, slices.Concat([]byte{2 | y[31]&1}, x)),
		"hybrid":             spki(t, usual, slices.Concat([]byte{6 | y[31]&1}, x, y)),
		"infinity":           spki(t, usual, []byte{0}),
		"nothing":            spki(t, usual, nil),
		"zeros":              spki(t, usual, slices.Concat([]byte{4}, make([]byte, 64))),
		"off the curve":      spki(t, usual, off),
		"a byte less":        spki(t, usual, point[:64]),
		"a byte more":        spki(t, usual, append(slices.Clone(point), 0)),
		"x past the prime":   spki(t, usual, slices.Concat([]byte{4}, largeX.Bytes()[len(largeX.Bytes())-32:], y)),
		"another curve":      spki(t, named(1, 3, 132, 0, 34), point),
		"no curve":           spki(t, pkix.AlgorithmIdentifier{Algorithm: oid}, point),
		"NULL for the curve": spki(t, pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}, point),
		"for ECDH only": spki(t, pkix.AlgorithmIdentifier{
			Algorithm: asn1.ObjectIdentifier{1, 3, 132, 1, 12}, Parameters: usual.Parameters,
		}, point),
		"a byte after it":       append(slices.Clone(good), 0),
		"two keys":              append(slices.Clone(good), good...),
		"a length in long form": slices.Concat([]byte{0x30, 0x81}, good[1:]),
		"unused bits":           slices.Concat(good[:len(good)-66], []byte{1}, good[len(good)-65:]),
	}
}

func TestP256HasOneForm(t *testing.T) {
	for name, der := range otherForms(t) {
		if key, err := Parse(der); !errors.Is(err, xlreg.ErrBadKey) || key != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	key, err := Parse(curveKeys().SigKey)
	if err != nil || key.Kind() != P256 || string(key.DER()) != string(curveKeys().SigKey) {
		t.Errorf("the one form: %v, %v", key, err)
	}
}

func TestP256IsForProtocol20(t *testing.T) {
	token := testToken(curveKeys())
	for p, want := range map[xlreg.Protocol]bool{xlreg.Protocol18: false, xlreg.Protocol19: false, xlreg.Protocol20: true} {
		err := CheckTokenFor(token, p)
		if (err == nil) != want {
			t.Errorf("over %v: %v", p, err)
		}
		if err != nil {
			wantIllFormed(t, err)
		}
	}
	if _, ok := curveKeys().Comms.Public().(Encrypter); ok {
		t.Error("encrypts, which only classic carriers need")
	}
}

// A signature has one form, too, though many programs are content with others.
func TestP256SignaturesAreStrict(t *testing.T) {
	key, digest := curveKeys().Sig, slices.Repeat([]byte{7}, 32)
	sig, err := key.Sign(SchemeToken, digest)
	if err != nil {
		t.Fatal(err)
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &numbers); err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	pair := func(r, s *big.Int) []byte { return marshal(t, []*big.Int{r, s}) }
	padded := slices.Concat([]byte{0x02, 0x22, 0}, numbers.R.FillBytes(make([]byte, 33)), marshal(t, numbers.S))
	cases := map[string][]byte{
		"nothing":          nil,
		"a byte after it":  append(slices.Clone(sig), 0),
		"inside a byte":    slices.Concat([]byte{sig[0], sig[1] + 1}, sig[2:], []byte{0}),
		"a long length":    slices.Concat([]byte{sig[0], 0x81}, sig[1:]),
		"zeros before r":   slices.Concat([]byte{0x30, byte(len(padded))}, padded),
		"r past the order": pair(new(big.Int).Add(numbers.R, n), numbers.S),
		"s past the order": pair(numbers.R, new(big.Int).Add(numbers.S, n)),
		"a negative s":     pair(numbers.R, new(big.Int).Neg(numbers.S)),
		"zero":             pair(new(big.Int), new(big.Int)),
		"not in DER":       slices.Concat(numbers.R.FillBytes(make([]byte, 32)), numbers.S.FillBytes(make([]byte, 32))),
		"swapped":          pair(numbers.S, numbers.R),
	}
	for name, bad := range cases {
		if key.Public().Verify(SchemeToken, digest, bad) {
			t.Errorf("%s: taken", name)
		}
	}
	if key.Public().Verify(SchemeClassic, digest, sig) {
		t.Error("taken for a classic signature, which is RSA")
	}
	if again := pair(numbers.R, numbers.S); !key.Public().Verify(SchemeToken, digest, again) {
		t.Error("the signature that the others are made from is refused")
	}
}

func TestP256AsSSHWritesIt(t *testing.T) {
	part := func(s string) string { return string(appendSSHString(nil, []byte(s))) }
	point := string(curveKeys().SigKey[len(curveKeys().SigKey)-65:])
	line := func(form string) string {
		return "ecdsa-sha2-nistp256 " + base64.StdEncoding.EncodeToString([]byte(form))
	}
	name, curve := part("ecdsa-sha2-nistp256"), part("nistp256")
	good := line(name + curve + part(point))
	key, err := ParseSSH(good + " a comment")
	if err != nil || string(key.DER()) != string(curveKeys().SigKey) || FormatSSH(key) != good {
		t.Fatalf("%v, %v", key, err)
	}
	for what, form := range map[string]string{
		"another curve":   name + part("nistp384") + part(point),
		"another name":    part("ssh-rsa") + curve + part(point),
		"no curve":        name,
		"no point":        name + curve,
		"compressed":      name + curve + part("\x02"+point[1:33]),
		"infinity":        name + curve + part("\x00"),
		"cut short":       name + curve + part(point)[:50],
		"a byte after it": name + curve + part(point) + "\x00",
	} {
		if _, err := ParseSSH(line(form)); !errors.Is(err, xlreg.ErrBadKey) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// Whatever x509 makes of a key on P-256 is read, and written the same.
func TestP256FormIsThatOfX509(t *testing.T) {
	for range 20 {
		set, err := Generate(P256, 0)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(set.Sig.Signer().Public())
		if err != nil || string(der) != string(set.SigKey) {
			t.Fatalf("written as %x, want %x, %v", set.SigKey, der, err)
		}
	}
}
