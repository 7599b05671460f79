package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// ErrNotPrivate says that some data is no private key that can be used.
var ErrNotPrivate = errors.New("parse private key")

var errEncrypted = errors.New("the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl rsa")

// ParsePrivate reads the key in the first PEM block of data, which may be in
// PKCS #8 or OpenSSH form, or in the one that its kind had before those, but not
// encrypted. Anything else is ErrNotPrivate.
func ParsePrivate(data []byte) (Private, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: not a PEM file", ErrNotPrivate)
	}
	parsed, err := parseBlock(block, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPrivate, err)
	}
	key, err := NewPrivate(parsed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPrivate, err)
	}
	return key, nil
}

// parseBlock returns a private key of the standard library.
func parseBlock(block *pem.Block, data []byte) (any, error) {
	// Since OpenSSL 1.0 and OpenSSH 7.8 only old files say it in this header.
	if block.Headers["DEK-Info"] != "" {
		return nil, errEncrypted
	}
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "OPENSSH PRIVATE KEY":
		return parseOpenSSH(data)
	}
	for _, k := range kinds {
		if block.Type == k.pem {
			return k.parsePEM(block.Bytes)
		}
	}
	return nil, fmt.Errorf("PEM block %q: want a private key of kind %s", block.Type, kindNames())
}

func parseOpenSSH(data []byte) (any, error) {
	key, err := ssh.ParseRawPrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		return nil, errEncrypted
	}
	return key, err
}

// EncodePrivate returns key as PKCS #8 in PEM.
func EncodePrivate(key Private) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer())
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Equal reports whether a and b are the same key, which they are if their public
// halves are.
func Equal(a, b Private) bool { return bytes.Equal(a.Public().DER(), b.Public().DER()) }
