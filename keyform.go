package xlreg

import (
	"crypto/rsa"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// derRSA is the DER of the algorithm rsaEncryption with the parameter NULL.
const derRSA = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"

// readPublicKey returns the RSA key whose SubjectPublicKeyInfo der is, and false
// if it is none, or not in the one form that DER gives it.
//
// It is x509.ParsePKIXPublicKey for RSA alone, which is more forgiving (of bytes
// behind the exponent, for one) and takes five times as long. That counts: a
// roster has two keys for each member, and every member reads all of it.
func readPublicKey(der []byte) (*rsa.PublicKey, bool) {
	in := cryptobyte.String(der)
	var info, algorithm, pair cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1Element(&algorithm, asn1.SEQUENCE) || string(algorithm) != derRSA ||
		!info.ReadASN1BitStringAsBytes(&bits) || !info.Empty() {
		return nil, false
	}
	numbers := cryptobyte.String(bits)
	n, e := new(big.Int), 0
	if !numbers.ReadASN1(&pair, asn1.SEQUENCE) || !numbers.Empty() ||
		!pair.ReadASN1Integer(n) || !pair.ReadASN1Integer(&e) || !pair.Empty() {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: e}, n.Sign() > 0 && e > 0
}
