package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/xlattice/xlreg"
)

// fingerprintPrefix names the hash, as ssh-keygen does.
const fingerprintPrefix = "SHA256:"

// Fingerprint returns what ssh-keygen -l prints for k: "SHA256:" and the SHA-256
// of its SSH form in unpadded base64.
func Fingerprint(k xlreg.SigKey) (string, error) {
	key, err := Parse(k)
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	return FormatFingerprint(sha256.Sum256(key.SSH())), nil
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

// FormatSSH returns key as SSH writes it on one line: the algorithm's name, and
// the encoded key in base64.
func FormatSSH(key Public) string {
	return kindNamed(key.Kind()).ssh + " " + base64.StdEncoding.EncodeToString(key.SSH())
}

// ParseSSH reads what FormatSSH writes, perhaps followed by a space and a comment.
func ParseSSH(line string) (Public, error) {
	algorithm, rest, found := strings.Cut(line, " ")
	k := kindOfSSH(algorithm)
	if k == nil || !found {
		return nil, fmt.Errorf("want %s and a key in base64", sshNames())
	}
	digits, _, _ := strings.Cut(rest, " ")
	form, err := base64.StdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil, err
	}
	return k.decodeSSH(form)
}

func kindOfSSH(algorithm string) *kind {
	for i := range kinds {
		if kinds[i].ssh == algorithm {
			return &kinds[i]
		}
	}
	return nil
}

func sshNames() string {
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		names = append(names, k.ssh)
	}
	return strings.Join(names, " or ")
}

// decodeSSH reads exactly one key of this kind and of an allowed size. It is not
// left to a library for SSH, as those refuse some of the exponents that this
// protocol allows.
func (k *kind) decodeSSH(form []byte) (Public, error) {
	algorithm, fields, err := cutSSHString(form)
	if err != nil || string(algorithm) != k.ssh {
		return nil, fmt.Errorf("%w: not an %s key", xlreg.ErrBadKey, k.ssh)
	}
	key, err := k.parseSSH(fields)
	if err != nil {
		return nil, err
	}
	// One key has one form, or it would have several fingerprints.
	if string(key.SSH()) != string(form) {
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
