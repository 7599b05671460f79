package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/xlattice/xlreg"
)

// DefaultKeyBits is the size of the keys made when nothing else is asked for.
const DefaultKeyBits = 2048

// keySizes are the sizes that are generated. Smaller keys are taken from deployed
// peers, and larger ones from whoever brings them, but never made.
var keySizes = []int{2048, 3072, 4096}

// Keys are the two key pairs of a node or a registry, and the form in which
// their public halves travel. Keys are never changed once made.
type Keys struct {
	Comms    *rsa.PrivateKey // others encrypt to it
	Sig      *rsa.PrivateKey // it signs; it is what a node is known by
	CommsKey xlreg.CommsKey
	SigKey   xlreg.SigKey
}

// GenerateKeys makes two new keys of 2048, 3072 or 4096 bits.
func GenerateKeys(bits int) (*Keys, error) {
	if !slices.Contains(keySizes, bits) {
		return nil, fmt.Errorf("generate keys: %d bits: want 2048, 3072 or 4096", bits)
	}
	comms, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("generate comms key: %w", err)
	}
	sig, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("generate sig key: %w", err)
	}
	return NewKeys(comms, sig)
}

// NewKeys takes keys that exist already. Each has to be of a size that the
// protocol accepts; both may be the same key.
func NewKeys(comms, sig *rsa.PrivateKey) (*Keys, error) {
	commsDER, err := publicDER(comms)
	if err != nil {
		return nil, fmt.Errorf("comms key: %w", err)
	}
	sigDER, err := publicDER(sig)
	if err != nil {
		return nil, fmt.Errorf("sig key: %w", err)
	}
	return &Keys{
		Comms:    comms,
		Sig:      sig,
		CommsKey: xlreg.CommsKey(commsDER),
		SigKey:   xlreg.SigKey(sigDER),
	}, nil
}

func publicDER(key *rsa.PrivateKey) ([]byte, error) {
	if key == nil {
		return nil, errors.New("no key given")
	}
	if err := xlreg.CheckPublicKey(&key.PublicKey); err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(&key.PublicKey)
}

// errNoKey says that data is no private key that can be used.
var errNoKey = errors.New("parse private key")

// ParsePrivateKey reads the RSA key in the first PEM block of data, which may be
// in PKCS #1, PKCS #8 or OpenSSH form but not encrypted.
func ParsePrivateKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: not a PEM file", errNoKey)
	}
	key, err := parseKeyBlock(block, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	if err := xlreg.CheckPublicKey(&key.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	return key, nil
}

var errEncrypted = errors.New("the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl rsa")

func parseKeyBlock(block *pem.Block, data []byte) (*rsa.PrivateKey, error) {
	// Since OpenSSL 1.0 and OpenSSH 7.8 only old files say it in this header.
	if block.Headers["DEK-Info"] != "" {
		return nil, errEncrypted
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		return asRSA(x509.ParsePKCS8PrivateKey(block.Bytes))
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "OPENSSH PRIVATE KEY":
		return parseOpenSSH(data)
	}
	return nil, fmt.Errorf("PEM block %q: want an RSA private key", block.Type)
}

func parseOpenSSH(data []byte) (*rsa.PrivateKey, error) {
	key, err := ssh.ParseRawPrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		return nil, errEncrypted
	}
	return asRSA(key, err)
}

func asRSA(key any, err error) (*rsa.PrivateKey, error) {
	if err != nil {
		return nil, err
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T is not an RSA key", key)
	}
	return rsaKey, nil
}

// EncodePrivateKey returns key as PKCS #8 in PEM.
func EncodePrivateKey(key *rsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
