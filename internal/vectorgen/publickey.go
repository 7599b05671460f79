package vectorgen

import (
	"crypto/ed25519"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

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

func (m *maker) ecKey() []byte { return spki(&m.leaf.PublicKey) }

func (m *maker) publicKeys() {
	m.goodKeys()
	m.badKeys()
}

func (m *maker) goodKeys() {
	ok := func(name, about string, der []byte, bits, exponent int) {
		m.add("key/"+name, success, about, fields{"der": h(der)},
			fields{"bits": bits, "exponent": exponent, "modern": bits >= 2048 && bits <= 4096 && exponent <= 65537})
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
}

func (m *maker) badKeys() {
	der := m.public("node-sig")
	n := oddModulus("bad", 2048)
	even := new(big.Int).Sub(n, big.NewInt(1))
	ed := spki(ed25519.NewKeyFromSeed(random("ed25519", 32)).Public())
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
		{"ec-p256", "an ECDSA key", m.ecKey()},
		{"ed25519", "an Ed25519 key", ed},
		{"rsassa-pss", "an RSA key under the object identifier for PSS alone", keySPKI(oidRSAPSS, asn1.RawValue{}, n, keyExponent)},
		{"no-parameters", "the NULL after the object identifier is missing", keySPKI(oidRSA, asn1.RawValue{}, n, keyExponent)},
		{"trailing-byte", "one byte after the value", append(append([]byte{}, der...), 0)},
		{"truncated", "the last byte is missing", der[:len(der)-1]},
		{"long-length", "the outer length in one byte more than DER allows", longLength(der)},
		{"pkcs1", "a bare RSAPublicKey", marshalASN1(struct{ N, E *big.Int }{n, big.NewInt(keyExponent)})},
	} {
		m.add("key/"+c.name, message, c.about, fields{"der": h(c.der)}, nil)
	}
}

// longLength rewrites 30 82 xx yy … as 30 83 00 xx yy …, which is BER.
func longLength(der []byte) []byte {
	return join([]byte{der[0], 0x83, 0}, der[2:])
}
