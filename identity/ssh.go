package identity

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/xlattice/xlreg"
)

// sshAlgorithm opens the SSH form of an RSA public key.
const sshAlgorithm = "ssh-rsa"

// fingerprintPrefix names the hash, as ssh-keygen does.
const fingerprintPrefix = "SHA256:"

// Fingerprint returns what ssh-keygen -l prints for k: "SHA256:" and the SHA-256
// of its SSH form in unpadded base64.
func Fingerprint(k xlreg.SigKey) (string, error) {
	key, err := k.Public()
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(MarshalSSH(key))
	return FormatFingerprint(sum), nil
}

// FormatFingerprint returns the text form of a fingerprint.
func FormatFingerprint(sum [sha256.Size]byte) string {
	return fingerprintPrefix + base64.RawStdEncoding.EncodeToString(sum[:])
}

// ParseFingerprint reads a fingerprint in unpadded base64 or base64url, with or
// without "SHA256:".
func ParseFingerprint(s string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	digits := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimPrefix(s, fingerprintPrefix))
	b, err := base64.RawStdEncoding.Strict().DecodeString(digits)
	if err != nil || len(digits) != base64.RawStdEncoding.EncodedLen(len(sum)) || len(b) != len(sum) {
		return sum, fmt.Errorf("fingerprint %.60q: want SHA256: and 43 characters of base64", s)
	}
	copy(sum[:], b)
	return sum, nil
}

// MarshalSSH returns key in the SSH form: the algorithm's name, the exponent and
// the modulus, each after its length (RFC 4253, section 6.6).
func MarshalSSH(key *rsa.PublicKey) []byte {
	form := appendSSHString(nil, []byte(sshAlgorithm))
	form = appendSSHString(form, mpint(big.NewInt(int64(key.E))))
	return appendSSHString(form, mpint(key.N))
}

// ParseSSH reads exactly one RSA key of an allowed size in the form of
// MarshalSSH. It is not left to a library for SSH, as those refuse some of the
// exponents that this protocol allows.
func ParseSSH(form []byte) (*rsa.PublicKey, error) {
	algorithm, rest, err := cutSSHString(form)
	if err != nil || string(algorithm) != sshAlgorithm {
		return nil, fmt.Errorf("%w: not an %s key", xlreg.ErrBadKey, sshAlgorithm)
	}
	exponent, rest, err := cutSSHString(rest)
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
	key := &rsa.PublicKey{
		N: new(big.Int).SetBytes(modulus),
		E: int(new(big.Int).SetBytes(exponent).Int64()),
	}
	if err := xlreg.CheckPublicKey(key); err != nil {
		return nil, err
	}
	// One key has one form, or it would have several fingerprints.
	if string(MarshalSSH(key)) != string(form) {
		return nil, fmt.Errorf("%w: not the one SSH form of the key", xlreg.ErrBadKey)
	}
	return key, nil
}

func appendSSHString(b, s []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func cutSSHString(b []byte) (s, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errors.New("cut short")
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, errors.New("cut short")
	}
	return b[:n], b[n:], nil
}

// mpint returns a positive n as SSH writes it: without leading zeros but the one
// that keeps the sign bit clear.
func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		return append([]byte{0}, b...)
	}
	return b
}
