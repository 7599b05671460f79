package vectorgen

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// noParameters stands for parameters that are left out.
func noParameters() asn1.RawValue { return asn1.RawValue{} }

var (
	oidRSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
)

// oddModulus returns an odd number of exactly that many bits. Nobody knows its
// factors; it serves where a key is only looked at.
func oddModulus(label string, bits int) *big.Int {
	n := new(big.Int).SetBytes(random("modulus "+label, (bits+7)/8))
	n.Rsh(n, uint(-bits&7))
	return n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
}

func rsaSPKI(n *big.Int, e int64) []byte { return keySPKI(oidRSA, asn1.NullRawValue, n, e) }

func keySPKI(oid asn1.ObjectIdentifier, parameters asn1.RawValue, n *big.Int, e int64) []byte {
	key := struct {
		N *big.Int
		E *big.Int
	}{n, big.NewInt(e)}
	inner := marshalASN1(key)
	return marshalASN1(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: parameters}, asn1.BitString{Bytes: inner, BitLength: 8 * len(inner)}})
}

func marshalASN1(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err) // a type that ASN.1 does not know: a mistake in this package
	}
	return der
}

func unmarshalASN1(der []byte, into any) {
	if _, err := asn1.Unmarshal(der, into); err != nil {
		panic(err) // what this package made itself
	}
}

func (m *maker) ecKey() []byte { return spki(&m.leaf.PublicKey) }

func (m *maker) publicKeys() {
	m.goodKeys()
	m.badKeys()
}

func (m *maker) goodKeys() {
	ok := func(name, about string, der []byte, bits, exponent int) {
		m.add("key/"+name, success, about, fields{"der": h(der)}, fields{
			"kind": "RSA", "bits": bits, "exponent": exponent, "modern": bits >= 2048 && bits <= 4096 && exponent <= 65537,
		})
	}
	ok("rsa-1024", "the shortest key, as deployed peers have in their tests; too short for 2.0", m.public("small-sig"), 1024, keyExponent)
	ok("rsa-2047", "one bit too short for 2.0", rsaSPKI(oddModulus("2047", 2047), keyExponent), 2047, keyExponent)
	ok("rsa-2048", "the usual key", m.public("node-sig"), 2048, keyExponent)
	ok("rsa-4096", "the longest key for 2.0", rsaSPKI(oddModulus("4096", 4096), keyExponent), 4096, keyExponent)
	ok("rsa-4097", "one bit too long for 2.0", rsaSPKI(oddModulus("4097", 4097), keyExponent), 4097, keyExponent)
	ok("rsa-8192", "the longest key, too long for 2.0", rsaSPKI(oddModulus("8192", 8192), keyExponent), 8192, keyExponent)
	ok("exponent-3", "the smallest exponent", rsaSPKI(oddModulus("e3", 2048), 3), 2048, 3)
	ok("exponent-65539", "an exponent too large for 2.0", rsaSPKI(oddModulus("e65539", 2048), 65539), 2048, 65539)
	ok("exponent-max", "the largest exponent, too large for 2.0", rsaSPKI(oddModulus("emax", 2048), 1<<31-1), 2048, 1<<31-1)
	for _, name := range curveKeys {
		m.add("key/"+name, success, "an ECDSA key on P-256, for 2.0 alone", fields{"der": h(m.public(name))},
			fields{"kind": "P-256", "bits": 256, "modern": true})
	}
}

func (m *maker) badKeys() {
	der := m.public("node-sig")
	n := oddModulus("bad", 2048)
	even := new(big.Int).Sub(n, big.NewInt(1))
	for _, c := range []struct {
		name, about string
		der         []byte
	}{
		{"empty", "no bytes", nil},
		{"rsa-200", "a modulus of 200 bits", rsaSPKI(oddModulus("200", 200), keyExponent)},
		{"rsa-1023", "one bit too short", rsaSPKI(oddModulus("1023", 1023), keyExponent)},
		{"rsa-8193", "one bit too long", rsaSPKI(oddModulus("8193", 8193), keyExponent)},
		{"even-modulus", "an even modulus is no RSA key", rsaSPKI(even, keyExponent)},
		{"exponent-1", "an exponent under 3", rsaSPKI(n, 1)},
		{"exponent-even", "an even exponent", rsaSPKI(n, 65536)},
		{"exponent-too-large", "an exponent of 2^31 + 1", rsaSPKI(n, 1<<31+1)},
		{"ed25519", "an Ed25519 key", m.ed25519SPKI()},
		{"rsassa-pss", "an RSA key under the object identifier for PSS alone", keySPKI(oidRSAPSS, noParameters(), n, keyExponent)},
		{"no-parameters", "the NULL after the object identifier is missing", keySPKI(oidRSA, noParameters(), n, keyExponent)},
		{"trailing-byte", "one byte after the value", append(append([]byte{}, der...), 0)},
		{"truncated", "the last byte is missing", der[:len(der)-1]},
		{"long-length", "the outer length in one byte more than DER allows", longer(der)},
		{"pkcs1", "a bare RSAPublicKey", marshalASN1(struct{ N, E *big.Int }{n, big.NewInt(keyExponent)})},
	} {
		m.add("key/"+c.name, message, c.about, fields{"der": h(c.der)}, nil)
	}
	m.badCurveKeys()
}

func ecPublicKey() []byte { return oid(1, 2, 840, 10045, 2, 1) }
func prime256v1() []byte  { return oid(1, 2, 840, 10045, 3, 1, 7) }
func namedP256() []byte   { return seq(ecPublicKey(), prime256v1()) }

// curveSPKI returns a public key on a curve with that AlgorithmIdentifier.
func curveSPKI(algorithm, point []byte) []byte { return seq(algorithm, bitString(point)) }

func (m *maker) badCurveKeys() {
	key := &m.p256["p256-sig"].PublicKey
	der := spki(key)
	point := der[len(der)-65:]
	with := func(algorithm []byte) []byte { return curveSPKI(algorithm, point) }
	at := func(point []byte) []byte { return curveSPKI(namedP256(), point) }
	hybrid := append([]byte{6 + point[64]&1}, point[1:]...)
	half := append([]byte{4}, point[1:33]...)
	tooLarge := join([]byte{4}, bytes.Repeat([]byte{0xff}, 32), point[33:])
	for _, c := range []struct {
		name, about string
		der         []byte
	}{
		{"compressed", "a compressed point", compressed(key)},
		{"hybrid", "a point in the hybrid form", at(hybrid)},
		{"off-curve", "a point that is not on the curve", at(flip(point))},
		{"zero-point", "the point 0, 0, which is not on the curve", at(append([]byte{4}, make([]byte, 64)...))},
		{"infinity", "the point at infinity", at([]byte{0})},
		{"empty-point", "no point", at(nil)},
		{"half-point", "one coordinate alone", at(half)},
		{"long-point", "a byte behind the point", at(append(bytes.Clone(point), 0))},
		{"coordinate-too-large", "a coordinate past the prime", at(tooLarge)},
		{"explicit-parameters", "the parameters of P-256 in numbers in place of its name", with(seq(ecPublicKey(), explicitP256()))},
		{"null-parameters", "NULL in place of the curve", with(seq(ecPublicKey(), null()))},
		{"no-curve", "no curve", with(seq(ecPublicKey()))},
		{"more-parameters", "a NULL behind the curve", with(seq(ecPublicKey(), prime256v1(), null()))},
		{"ecdh", "the point under the object identifier of ECDH", with(seq(oid(1, 3, 132, 1, 12), prime256v1()))},
		{"wrong-curve", "a point of P-256 under the name of P-384", with(seq(ecPublicKey(), oid(1, 3, 132, 0, 34)))},
		{"p384", "a key on P-384", m.p384()},
		{"p521", "a key on P-521", m.otherCurve(elliptic.P521(), 66)},
		{"p224", "a key on P-224", m.otherCurve(elliptic.P224(), 28)},
		{"unused-bits", "a BIT STRING with unused bits", seq(namedP256(), tlv(tagBitString, []byte{1}, point[:64], []byte{point[64] &^ 1}))},
		{"trailing-byte", "one byte after the value", append(bytes.Clone(der), 0)},
		{"trailing-inside", "a NULL behind the point", seq(namedP256(), bitString(point), null())},
		{"truncated", "the last byte is missing", der[:len(der)-1]},
		{"long-length", "the outer length in one byte more than DER allows", longer(der)},
		{"bare-point", "the point alone", point},
	} {
		m.add("key/p256-"+c.name, message, c.about, fields{"der": h(c.der)}, nil)
	}
}

func (m *maker) p384() []byte { return m.otherCurve(elliptic.P384(), 48) }

func (m *maker) ed25519SPKI() []byte {
	return spki(ed25519.NewKeyFromSeed(random("ed25519", 32)).Public())
}

func (m *maker) otherCurve(curve elliptic.Curve, size int) []byte {
	secret := random("key "+curve.Params().Name, size)
	secret[0] = 0
	key, err := ecdsa.ParseRawPrivateKey(curve, secret)
	m.fail(err)
	return spki(&key.PublicKey)
}

// explicitP256 are the ECParameters of RFC 3279 for the curve.
func explicitP256() []byte {
	p := elliptic.P256().Params()
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
	a := new(big.Int).Sub(p.P, big.NewInt(3))
	base := join([]byte{4}, number(p.Gx), number(p.Gy))
	return seq(tlv(tagInteger, []byte{1}), seq(oid(1, 2, 840, 10045, 1, 1), marshalASN1(p.P)),
		seq(tlv(tagOctetString, number(a)), tlv(tagOctetString, number(p.B))),
		tlv(tagOctetString, base), marshalASN1(p.N), tlv(tagInteger, []byte{1}))
}
