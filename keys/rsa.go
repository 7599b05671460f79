package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the classic protocols sign and encrypt with it; sections 3 to 5
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/xlattice/xlreg"
)

// RSA is the kind of RSA keys. The classic carriers know no other.
const RSA Kind = "RSA"

var rsaKind = kind{
	name:        RSA,
	algorithm:   "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", // rsaEncryption, NULL
	ssh:         "ssh-rsa",
	pem:         "RSA PRIVATE KEY",
	certificate: "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", // sha256WithRSAEncryption, NULL
	parse:       parseRSA,
	parseSSH:    parseRSAFromSSH,
	parsePEM:    func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	wrap:        wrapRSA,
	checkSize:   checkRSASize,
	generate:    generateRSA,
}

// tokenPSS are the parameters of the signature of a 2.0 token. Another length of
// salt does not verify.
var tokenPSS = rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}

type rsaPublic struct{ key *rsa.PublicKey }

func parseRSA(bits []byte) (Public, error) {
	key, ok := readRSA(bits)
	if !ok {
		return nil, errForm
	}
	return newRSAPublic(key)
}

// readRSA reads the two numbers of a key, in the one form that DER gives them.
func readRSA(bits []byte) (*rsa.PublicKey, bool) {
	numbers := cryptobyte.String(bits)
	var pair cryptobyte.String
	n, e := new(big.Int), 0
	if !numbers.ReadASN1(&pair, asn1.SEQUENCE) || !numbers.Empty() ||
		!pair.ReadASN1Integer(n) || !pair.ReadASN1Integer(&e) || !pair.Empty() {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: e}, n.Sign() > 0 && e > 0
}

func parseRSAFromSSH(fields []byte) (Public, error) {
	exponent, rest, err := cutSSHString(fields)
	if err != nil {
		return nil, fmt.Errorf("%w: exponent: %w", xlreg.ErrBadKey, err)
	}
	modulus, rest, err := cutSSHString(rest)
	if err != nil {
		return nil, fmt.Errorf("%w: modulus: %w", xlreg.ErrBadKey, err)
	}
	if len(exponent) > 5 || len(modulus) > xlreg.MaxKeyBits/8+1 || len(rest) > 0 {
		return nil, fmt.Errorf("%w: too long", xlreg.ErrBadKey)
	}
	return newRSAPublic(&rsa.PublicKey{
		N: new(big.Int).SetBytes(modulus),
		E: int(new(big.Int).SetBytes(exponent).Int64()),
	})
}

// newRSAPublic holds a key against the limits that all protocols share.
func newRSAPublic(key *rsa.PublicKey) (Public, error) {
	if bits := key.N.BitLen(); bits < xlreg.MinKeyBits || bits > xlreg.MaxKeyBits {
		return nil, fmt.Errorf("%w: %d bits, want %d to %d", xlreg.ErrBadKey, bits, xlreg.MinKeyBits, xlreg.MaxKeyBits)
	}
	if key.N.Bit(0) == 0 {
		return nil, fmt.Errorf("%w: even modulus", xlreg.ErrBadKey)
	}
	if key.E < xlreg.MinKeyExponent || key.E > xlreg.MaxKeyExponent || key.E%2 == 0 {
		return nil, fmt.Errorf("%w: exponent %d", xlreg.ErrBadKey, key.E)
	}
	return rsaPublic{key}, nil
}

func (k rsaPublic) Kind() Kind { return RSA }

// Bits is the size of the modulus.
func (k rsaPublic) Bits() int { return k.key.N.BitLen() }

func (k rsaPublic) Check(p xlreg.Protocol) error {
	if p.Classic() {
		return nil // its limits are those of the kind
	}
	switch bits := k.Bits(); {
	case bits < xlreg.MinKeyBitsModern:
		return fmt.Errorf("%d bits, want at least %d", bits, xlreg.MinKeyBitsModern)
	case bits > xlreg.MaxKeyBitsModern:
		return fmt.Errorf("%d bits, want at most %d", bits, xlreg.MaxKeyBitsModern)
	case k.key.E > xlreg.MaxKeyExponentModern:
		return fmt.Errorf("exponent %d, want at most %d", k.key.E, xlreg.MaxKeyExponentModern)
	}
	return nil
}

func (k rsaPublic) DER() []byte {
	return marshalInfo(rsaKind.algorithm, x509.MarshalPKCS1PublicKey(k.key))
}

// SSH follows RFC 4253, section 6.6: the algorithm's name, the exponent and the
// modulus, each after its length.
func (k rsaPublic) SSH() []byte {
	form := appendSSHString(nil, []byte(rsaKind.ssh))
	form = appendSSHString(form, mpint(big.NewInt(int64(k.key.E))))
	return appendSSHString(form, mpint(k.key.N))
}

func (k rsaPublic) Verify(s Scheme, digest, sig []byte) bool {
	switch s {
	case SchemeClassic:
		return rsa.VerifyPKCS1v15(k.key, crypto.SHA1, digest, sig) == nil
	case SchemeToken:
		return rsa.VerifyPSS(k.key, crypto.SHA256, digest, sig, &tokenPSS) == nil
	case SchemeCertificate:
		return rsa.VerifyPKCS1v15(k.key, crypto.SHA256, digest, sig) == nil
	}
	return false
}

// Encrypt implements Encrypter with RSA-OAEP (section 3).
func (k rsaPublic) Encrypt(plaintext []byte) ([]byte, error) {
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, k.key, plaintext, nil)
}

type rsaPrivate struct{ key *rsa.PrivateKey }

func wrapRSA(key any) (Private, error) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil
	}
	if private == nil {
		return nil, errNoKey
	}
	if _, err := newRSAPublic(&private.PublicKey); err != nil {
		return nil, err
	}
	return rsaPrivate{private}, nil
}

// rsaSizes are the sizes that are generated. Smaller keys are taken from deployed
// peers, and larger ones from whoever brings them, but never made.
var rsaSizes = []int{2048, 3072, 4096}

func checkRSASize(bits int) error {
	if !slices.Contains(rsaSizes, bits) {
		return fmt.Errorf("%d bits: want 2048, 3072 or 4096", bits)
	}
	return nil
}

func generateRSA(bits int) (Private, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	return rsaPrivate{key}, nil
}

func (k rsaPrivate) Public() Public        { return rsaPublic{&k.key.PublicKey} }
func (k rsaPrivate) Signer() crypto.Signer { return k.key }

func (k rsaPrivate) Sign(s Scheme, digest []byte) ([]byte, error) {
	switch s {
	case SchemeClassic:
		return rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA1, digest)
	case SchemeToken:
		return rsa.SignPSS(rand.Reader, k.key, crypto.SHA256, digest, &tokenPSS)
	case SchemeCertificate:
		return rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, digest)
	}
	return nil, errors.New("no such signature")
}

// Decrypt implements Decrypter (section 3).
func (k rsaPrivate) Decrypt(ciphertext []byte) ([]byte, error) {
	return rsa.DecryptOAEP(sha1.New(), nil, k.key, ciphertext, nil)
}

// CiphertextLen is the length of the modulus.
func (k rsaPrivate) CiphertextLen() int { return k.key.Size() }
