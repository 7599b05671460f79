package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/big"
)

// OAEP and PSS are written out here because crypto/rsa takes no randomness but
// the system's, and a vector has to come out the same each time. This is tooling
// for tests; the product uses crypto/rsa.

// mgf1 is the mask generation function of RFC 8017, B.2.1.
func mgf1(newHash func() hash.Hash, seed []byte, n int) []byte {
	var mask []byte
	for counter := uint32(0); len(mask) < n; counter++ {
		digest := newHash()
		digest.Write(seed)
		digest.Write(binary.BigEndian.AppendUint32(nil, counter))
		mask = digest.Sum(mask)
	}
	return mask[:n]
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// oaep encrypts as RFC 8017, 7.1.1 with newHash for both of its hashes.
func oaep(key *rsa.PublicKey, newHash func() hash.Hash, label string, seed, plain []byte) []byte {
	digest := newHash()
	digest.Write([]byte(label))
	db := digest.Sum(nil)
	zeros := key.Size() - len(plain) - 2*digest.Size() - 2
	db = append(db, make([]byte, zeros)...)
	db = append(append(db, 1), plain...)
	maskedDB := xor(db, mgf1(newHash, seed, len(db)))
	maskedSeed := xor(seed, mgf1(newHash, maskedDB, len(seed)))
	return rawPublic(key, append(append([]byte{0}, maskedSeed...), maskedDB...))
}

func rawPublic(key *rsa.PublicKey, block []byte) []byte {
	m := new(big.Int).SetBytes(block)
	m.Exp(m, big.NewInt(int64(key.E)), key.N)
	return m.FillBytes(make([]byte, key.Size()))
}

// pss signs as RFC 8017, 8.1.1, over SHA-256 of message, with newMask as the
// hash of the mask.
func pss(key *rsa.PrivateKey, newMask func() hash.Hash, salt, message []byte) []byte {
	bits := key.N.BitLen() - 1
	size := (bits + 7) / 8
	digest := sha256.Sum256(message)
	sum := sha256.Sum256(append(append(make([]byte, 8), digest[:]...), salt...))
	db := make([]byte, size-len(salt)-len(sum)-2)
	db = append(append(db, 1), salt...)
	masked := xor(db, mgf1(newMask, sum[:], len(db)))
	masked[0] &= 0xff >> (8*size - bits)
	block := append(append(masked, sum[:]...), 0xbc)
	s := new(big.Int).SetBytes(block)
	s.Exp(s, key.D, key.N)
	return s.FillBytes(make([]byte, key.Size()))
}

// pkcs1 signs with RSASSA-PKCS1-v1.5, which needs no randomness.
func pkcs1(key *rsa.PrivateKey, hash crypto.Hash, message []byte) []byte {
	digest := hash.New()
	digest.Write(message)
	sig, err := rsa.SignPKCS1v15(nil, key, hash, digest.Sum(nil))
	if err != nil {
		panic(err) // the key is too short for the hash: a mistake in this package
	}
	return sig
}

// ecdsaSign makes the signature that RFC 6979 derives from the key and the
// message, in DER.
func ecdsaSign(key *ecdsa.PrivateKey, hash crypto.Hash, message []byte) []byte {
	digest := hash.New()
	digest.Write(message)
	sig, err := key.Sign(nil, digest.Sum(nil), hash) // deterministic without a source of randomness
	if err != nil {
		panic(err) // a hash that is not linked in: a mistake in this package
	}
	return sig
}

func pkcs1SHA1(key *rsa.PrivateKey, message []byte) []byte { return pkcs1(key, crypto.SHA1, message) }

// pad appends padding as PKCS #7 says.
func pad(plain []byte) []byte {
	n := aes.BlockSize - len(plain)%aes.BlockSize
	return append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
}

// cbc encrypts whole blocks.
func cbc(key, iv, padded []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of another length than 32: a mistake in this package
	}
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return out
}

// plusModulus returns a number that is the signature to whoever reduces it first.
func plusModulus(key *rsa.PrivateKey, signature []byte) []byte {
	return new(big.Int).Add(new(big.Int).SetBytes(signature), key.N).Bytes()
}

func sha1Sum(b []byte) []byte { sum := sha1.Sum(b); return sum[:] }

func sha256Sum(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// flip returns b with its last bit changed.
func flip(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)-1] ^= 1
	return out
}

func u32le(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func u64le(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
func u32be(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// lp is a field of a 2.0 signature: its length and its bytes.
func lp(b []byte) []byte { return append(u32be(uint32(len(b))), b...) }
