package launch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// ErrNoSecret says that a template asks for a secret where there is none.
var ErrNoSecret = errors.New("no secret: give one with --secret-file")

// SetSecret sets the secret that all members have in common. Templates see it as .Secret.
func (d *Data) SetSecret(secret string) { d.secret = func() string { return secret } }

// Secret returns the secret that all members have in common, or ErrNoSecret.
func (d *Data) Secret() (string, error) {
	if d.secret == nil {
		return "", ErrNoSecret
	}
	return d.secret(), nil
}

// SecretOf returns a secret for one purpose, in hex. It is derived from the common one, so
// it is the same for all members, and it says nothing about the secrets of other names.
func (d *Data) SecretOf(name string) (string, error) {
	secret, err := d.Secret()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(name))
	return hex.EncodeToString(mac.Sum(nil)), nil
}
