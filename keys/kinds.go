package keys

import (
	"crypto"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// Kind is the name of a kind of key.
type Kind string

// Scheme is what a signature is for, which decides the hash. The rest of how it is
// made is up to the kind of the key.
type Scheme uint8

// The schemes.
const (
	SchemeClassic     Scheme = iota + 1 // tokens and log-ins over a classic carrier: SHA-1 (sections 4 and 5)
	SchemeToken                         // tokens over 2.0, and their comms keys: SHA-256 (section 7)
	SchemeCertificate                   // X.509 certificates: SHA-256 (section 7)
)

// Public is a public key that is within the limits of its kind.
type Public interface {
	Kind() Kind

	// Bits is the size of the key as its kind counts it.
	Bits() int

	// Check returns an error unless p accepts keys of this kind and size. Its
	// text says what the key is like and what p wants instead.
	Check(p xlreg.Protocol) error

	// DER returns the key as it travels: a PKIX SubjectPublicKeyInfo.
	DER() []byte

	// SSH returns the key as SSH encodes it, which is what fingerprints are of.
	SSH() []byte

	// Verify reports whether sig is the key's signature of what has the digest
	// under the hash of s. It never is where the kind has no such signatures.
	Verify(s Scheme, digest, sig []byte) bool
}

// Private is a private key whose public half is within the limits of its kind.
type Private interface {
	Public() Public

	// Sign signs what has the digest under the hash of s. It is an error if the
	// kind has no such signatures.
	Sign(s Scheme, digest []byte) ([]byte, error)

	// Signer returns the key as crypto/tls and crypto/x509 use it.
	Signer() crypto.Signer
}

// Encrypter is a public key to which one can encrypt. Clients that speak a
// classic protocol do so with the registry's comms key (section 3).
type Encrypter interface {
	Encrypt(plaintext []byte) ([]byte, error)
}

// Decrypter is the private key that goes with an Encrypter.
type Decrypter interface {
	// Decrypt returns what was encrypted. It keeps nothing of ciphertext.
	Decrypt(ciphertext []byte) ([]byte, error)

	// CiphertextLen is the length of every ciphertext.
	CiphertextLen() int
}

// kind is a row of the table of kinds: what has to be known of a key before
// there is one.
type kind struct {
	name        Kind
	algorithm   string // DER of the AlgorithmIdentifier in a SubjectPublicKeyInfo
	ssh         string // the algorithm's name in SSH
	pem         string // type of the PEM block that held private keys before PKCS #8
	certificate string // DER of the AlgorithmIdentifier of the certificates that it signs

	// parse reads what follows the algorithm in a SubjectPublicKeyInfo.
	parse func(bits []byte) (Public, error)
	// parseSSH reads what follows the algorithm in SSH's encoding. It may accept
	// more than one encoding of a key: its caller does not.
	parseSSH func(fields []byte) (Public, error)
	// parsePEM reads the content of a pem block.
	parsePEM func(der []byte) (any, error)
	// wrap returns a standard library's private key as ours. The result is nil
	// if key is of another kind.
	wrap func(key any) (Private, error)
	// checkSize reports a size of which no keys are generated, and generate makes
	// one of a size that checkSize allows.
	checkSize func(bits int) error
	generate  func(bits int) (Private, error)
}

// kinds is the table of all kinds.
var kinds = []kind{rsaKind, p256Kind}

// kindNamed returns the row of a kind, and nil if there is none.
func kindNamed(name Kind) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}

// kindNames returns the names of all kinds, to say what is wanted.
func kindNames() string {
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		names = append(names, string(k.name))
	}
	return strings.Join(names, " or ")
}

// NewPrivate takes a private key of the standard library, such as
// *rsa.PrivateKey, if its kind and size are allowed by any protocol.
func NewPrivate(key any) (Private, error) {
	if key == nil {
		return nil, errNoKey
	}
	for _, k := range kinds {
		if private, err := k.wrap(key); private != nil || err != nil {
			return private, err
		}
	}
	return nil, fmt.Errorf("%T is not a key of kind %s", key, kindNames())
}
