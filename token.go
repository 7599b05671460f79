package xlreg

import (
	"crypto/rsa"
	"fmt"
	"time"
)

// NodeAttrs are the attribute bits of a node.
type NodeAttrs uint64

// The bits of NodeAttrs.
const (
	AttrEphemeral NodeAttrs = 1
	AttrAdmin     NodeAttrs = 2
	AttrSolo      NodeAttrs = 4

	KnownNodeAttrs = AttrEphemeral | AttrAdmin | AttrSolo
)

// CommsKey is a node's RSA public key for encryption: PKIX SubjectPublicKeyInfo
// in DER, kept as it came because signatures cover these very bytes.
type CommsKey string

// SigKey is a node's RSA public key for signatures, in the form of a CommsKey.
type SigKey string

// Public parses the key; see ParsePublicKey.
func (k CommsKey) Public() (*rsa.PublicKey, error) { return ParsePublicKey([]byte(k)) }

// Public parses the key; see ParsePublicKey.
func (k SigKey) Public() (*rsa.PublicKey, error) { return ParsePublicKey([]byte(k)) }

// Token is what a node says of itself, with the proof, and the ID that the
// registry gave it. A Token is never changed once it is shared.
type Token struct {
	Name      Name
	Attrs     NodeAttrs
	ID        NodeID // empty in a token that has not been registered
	CommsKey  CommsKey
	SigKey    SigKey
	Endpoints []Endpoint // the first is for the other members, the second for their clients

	DigSig      []byte    // classic signature; verified by the registry, never kept or handed on
	DigSig2     []byte    // 2.0 signature; absent in a node that registered over a classic carrier
	Certificate []byte    // X.509 DER; absent as DigSig2 is, or if its form was not the agreed one
	Joined      time.Time // when the node last joined the cluster, in milliseconds; zero outside a roster
}

// Validate is ValidateForm and then a look at the keys, of which minBits is the
// smallest RSA modulus accepted.
func (t *Token) Validate(minBits int) error {
	if err := t.ValidateForm(); err != nil {
		return err
	}
	if err := checkKey([]byte(t.CommsKey), minBits); err != nil {
		return Errorf(ErrIllFormedToken, "comms key: %v", err)
	}
	if err := checkKey([]byte(t.SigKey), minBits); err != nil {
		return Errorf(ErrIllFormedToken, "sig key: %v", err)
	}
	return nil
}

// ValidateForm holds t's name and endpoints against their limits, and returns
// an error of kind ErrIllFormedToken that names the fault. Keys are costly to
// parse and are left to whoever needs them.
func (t *Token) ValidateForm() error {
	if err := t.Name.Validate(); err != nil {
		return Errorf(ErrIllFormedToken, "%v", err)
	}
	if len(t.Endpoints) > MaxEndpoints {
		return Errorf(ErrIllFormedToken, "%d endpoints, at most %d allowed", len(t.Endpoints), MaxEndpoints)
	}
	for _, e := range t.Endpoints {
		if err := e.Validate(); err != nil {
			return Errorf(ErrIllFormedToken, "%v", err)
		}
	}
	return nil
}

// ParsePublicKey reads exactly one PKIX SubjectPublicKeyInfo in DER that holds
// an RSA key of MinKeyBits to MaxKeyBits with an odd exponent of MinKeyExponent
// to MaxKeyExponent. Anything else is ErrBadKey.
func ParsePublicKey(der []byte) (*rsa.PublicKey, error) {
	if len(der) > MaxTokenLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadKey, len(der))
	}
	key, ok := readPublicKey(der)
	if !ok {
		return nil, fmt.Errorf("%w: not the DER form of one", ErrBadKey)
	}
	if err := CheckPublicKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// CheckPublicKey holds a parsed key against the limits of ParsePublicKey.
func CheckPublicKey(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < MinKeyBits || bits > MaxKeyBits {
		return fmt.Errorf("%w: %d bits, want %d to %d", ErrBadKey, bits, MinKeyBits, MaxKeyBits)
	}
	if key.N.Bit(0) == 0 {
		return fmt.Errorf("%w: even modulus", ErrBadKey)
	}
	if key.E < MinKeyExponent || key.E > MaxKeyExponent || key.E%2 == 0 {
		return fmt.Errorf("%w: exponent %d", ErrBadKey, key.E)
	}
	return nil
}

func checkKey(der []byte, minBits int) error {
	key, err := ParsePublicKey(der)
	if err != nil {
		return err
	}
	if bits := key.N.BitLen(); bits < minBits {
		return fmt.Errorf("%w: %d bits, want at least %d", ErrBadKey, bits, minBits)
	}
	return nil
}
