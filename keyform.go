package xlreg

import (
	"crypto/rsa"
	"math/big"
	"strings"
)

// This file does what x509.ParsePKIXPublicKey and x509.MarshalPKIXPublicKey do
// for RSA keys, in a fraction of the time. That counts since a roster has two
// keys for each member, and each member reads all of it.

// The parts of the DER of an RSA key that are the same in all of them: the
// algorithm rsaEncryption with the parameter NULL, and the tags.
const (
	derRSA       = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
	derInteger   = 0x02
	derBitString = 0x03
	derSequence  = 0x30
)

// readPublicKey returns the key in der, and false if it has none. It looks no
// further than it must to find the two numbers: whether der is the form that
// they have is for publicKeyForm to tell.
func readPublicKey(der string) (*rsa.PublicKey, bool) {
	info, _ := cutDER(der, derSequence)
	bits, _ := cutDER(strings.TrimPrefix(info, derRSA), derBitString)
	pair, _ := cutDER(strings.TrimPrefix(bits, "\x00"), derSequence)
	modulus, rest := cutDER(pair, derInteger)
	exponent, _ := cutDER(rest, derInteger)
	n, e := new(big.Int).SetBytes([]byte(modulus)), new(big.Int).SetBytes([]byte(exponent))
	if n.Sign() == 0 || e.Sign() == 0 || e.BitLen() > 31 {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, true
}

// cutDER returns the content of the value with this tag at the head of der, and
// what follows it; nothing if there is no such value, or it is 64 KiB or more.
func cutDER(der string, tag byte) (content, rest string) {
	if len(der) < 2 || der[0] != tag {
		return "", ""
	}
	n, der := int(der[1]), der[2:]
	if n > 0x82 || n == 0x80 || n > 0x80 && len(der) < n-0x80 {
		return "", ""
	}
	if size := n - 0x80; size > 0 {
		n = 0
		for _, b := range []byte(der[:size]) {
			n = n<<8 | int(b)
		}
		der = der[size:]
	}
	if n > len(der) {
		return "", ""
	}
	return der[:n], der[n:]
}

// publicKeyForm returns the one DER form of key.
func publicKeyForm(key *rsa.PublicKey) []byte {
	numbers := appendInteger(nil, key.N)
	numbers = appendInteger(numbers, big.NewInt(int64(key.E)))
	pair := appendDER([]byte{0}, derSequence, numbers) // no bit of the string is unused
	info := appendDER([]byte(derRSA), derBitString, pair)
	return appendDER(nil, derSequence, info)
}

// appendInteger puts a zero before a number whose highest bit is set: without
// it the number would be negative.
func appendInteger(b []byte, n *big.Int) []byte {
	return appendDER(b, derInteger, n.FillBytes(make([]byte, n.BitLen()/8+1)))
}

// appendDER appends a tag, the length of content in its shortest form, and
// content, which has less than 64 KiB.
func appendDER(b []byte, tag byte, content []byte) []byte {
	b = append(b, tag)
	switch n := len(content); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, content...)
}
