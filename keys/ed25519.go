package keys

import (
	"crypto/ed25519"
	"slices"

	"github.com/xlattice/xlreg"
)

// smallOrder are the y coordinates, lowest byte first, of the points that times 8 are
// none, 0 and 1 in both of their encodings. The signatures of such a key are anybody's to
// make, and crypto/ed25519 takes them, as RFC 8032 allows.
var smallOrder = [][ed25519.PublicKeySize]byte{
	{},
	{1},
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
	nearPrime(0xec),
	nearPrime(0xed),
	nearPrime(0xee),
}

// nearPrime returns 2^255 - 19 or a number near it, by the lowest byte.
func nearPrime(lowest byte) [ed25519.PublicKeySize]byte {
	var y [ed25519.PublicKeySize]byte
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[len(y)-1] = lowest, 0x7f
	return y
}

// isSmallOrder reports whether anybody can sign by a key.
func isSmallOrder(key [ed25519.PublicKeySize]byte) bool {
	key[len(key)-1] &= 0x7f // the rest is the sign of x
	return slices.Contains(smallOrder, key)
}

// verifyEd25519 takes a key from anywhere: one of another length, or by which anybody can
// sign, has signed nothing.
func verifyEd25519(key xlreg.ClusterKey, message, sig []byte) bool {
	if len(key) != ed25519.PublicKeySize || isSmallOrder([ed25519.PublicKeySize]byte([]byte(key))) {
		return false
	}
	return ed25519.Verify(ed25519.PublicKey(key), message, sig)
}
