package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"math/big"
)

// highS returns the other of the two signatures that ECDSA allows.
func highS(signature []byte) []byte {
	r, s := ecdsaNumbers(signature)
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	return seq(marshalASN1(r), marshalASN1(s.Sub(n, s)))
}

func ecdsaNumbers(signature []byte) (r, s *big.Int) {
	var parsed struct{ R, S *big.Int }
	unmarshalASN1(signature, &parsed)
	return parsed.R, parsed.S
}

func (m *maker) oddCurveSignatures() {
	resigned := func(name, layer, about string, change func(signature []byte) []byte) {
		m.odd("p256-"+name, layer, about, m0p256(), func(f *form) {
			sign := f.sign
			f.sign = func(tbs []byte) []byte { return change(sign(tbs)) }
		})
	}
	resigned("high-s", success, "either of the two values of s is a signature", highS)
	padded := func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return seq(tlv(tagInteger, make([]byte, 2), r.Bytes()), marshalASN1(s))
	}
	resigned("padded-r", handshake, "r has a zero more before it than DER allows", padded)
	resigned("trailing-byte", handshake, "a byte after the signature, within its BIT STRING", func(b []byte) []byte { return append(bytes.Clone(b), 0) })
	resigned("trailing-inside", handshake, "a third number behind r and s", func(b []byte) []byte {
		return seq(content(b), tlv(tagInteger, []byte{1}))
	})
	resigned("long-length", handshake, "the length of the signature in one byte more than DER allows", longer)
	resigned("indefinite", handshake, "the signature has no length, as in BER", indefinite)
	resigned("negative-r", handshake, "r as a negative number", func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return seq(marshalASN1(r.Neg(r)), marshalASN1(s))
	})
	resigned("raw", handshake, "r and s as 64 bytes", func(b []byte) []byte {
		r, s := ecdsaNumbers(b)
		return join(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	})
	resigned("zero", handshake, "r and s are zero", func([]byte) []byte { return seq(tlv(tagInteger, []byte{0}), tlv(tagInteger, []byte{0})) })
	resigned("flipped", handshake, "one bit of the signature changed", flip)
	m.unsignedNumber()
	m.curveAlgorithms()
}

// unsignedNumber leaves out the zero that r needs where its highest bit is set,
// so it tries serial numbers until it is.
func (m *maker) unsignedNumber() {
	c := m0p256()
	c.serial = bytes.Clone(c.serial)
	for ; ; c.serial[15]++ {
		_, signature := m.form(c).der()
		r, s := ecdsaNumbers(signature)
		if r.BitLen() < 256 {
			continue
		}
		m.odd("p256-unsigned-r", handshake, "r without the zero that keeps it positive", c, func(f *form) {
			f.sign = func([]byte) []byte { return seq(tlv(tagInteger, r.Bytes()), marshalASN1(s)) }
		})
		return
	}
}

func (m *maker) curveAlgorithms() {
	c := m0p256()
	m.odd("p256-null", auth, "ecdsa-with-SHA256 with parameters of NULL", c, func(f *form) {
		f.algorithm = seq(ecdsaWithSHA256(), null())
		f.outer = f.algorithm
	})
	m.odd("p256-null-outer", auth, "the same in the outer algorithm alone", c, func(f *form) { f.outer = seq(ecdsaWithSHA256(), null()) })
	m.odd("p256-sha384", auth, "signed with SHA-384", c, func(f *form) {
		f.algorithm = seq(oid(1, 2, 840, 10045, 4, 3, 3))
		f.outer = f.algorithm
		f.sign = func(tbs []byte) []byte { return ecdsaSign(m.p256[c.key], crypto.SHA384, tbs) }
	})
	m.odd("p256-rsa-algorithm", handshake, "signed with ECDSA, under the name of RSA", c, func(f *form) {
		f.algorithm = seq(rsaWithSHA256(), null())
		f.outer = f.algorithm
	})
	m.odd("p256-compressed", handshake, "the same key with its point compressed", c, func(f *form) { f.key = compressed(&m.p256[c.key].PublicKey) })
	m.odd("p256-other-signer", handshake, "signed by another key on P-256", c, func(f *form) {
		f.sign = func(tbs []byte) []byte { return m.certSign("other-p256-sig", tbs) }
	})
	m.odd("ed25519", handshake, "a key of Ed25519, and signed by it", c, func(f *form) {
		key := ed25519.NewKeyFromSeed(random("ed25519", 32))
		f.key, f.algorithm = spki(key.Public()), seq(oid(1, 3, 101, 112))
		f.outer = f.algorithm
		f.sign = func(tbs []byte) []byte { return ed25519.Sign(key, tbs) }
	})
}

// compressed returns a key on P-256 with its point in 33 bytes.
func compressed(key *ecdsa.PublicKey) []byte {
	point, err := key.Bytes()
	if err != nil {
		panic(err) // no point on the curve: a mistake in this package
	}
	short := append([]byte{2 + point[64]&1}, point[1:33]...)
	return curveSPKI(namedP256(), short)
}
