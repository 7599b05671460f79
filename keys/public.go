package keys

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/xlattice/xlreg"
)

var errForm = fmt.Errorf("%w: not the DER form of one", xlreg.ErrBadKey)

// Parse reads exactly one PKIX SubjectPublicKeyInfo in DER that holds a key of one
// of the kinds, within the limits that all protocols share. Anything else is
// xlreg.ErrBadKey.
func Parse[K ~string | ~[]byte](der K) (Public, error) {
	if len(der) > xlreg.MaxTokenLen {
		return nil, fmt.Errorf("%w: %d bytes", xlreg.ErrBadKey, len(der))
	}
	k, bits := kindOfInfo([]byte(der))
	if k == nil {
		return nil, errForm
	}
	return k.parse(bits)
}

// kindOfInfo returns the row of the kind that a SubjectPublicKeyInfo says it is of,
// and nil if there is none, with the key in the form of that kind.
func kindOfInfo(der []byte) (*kind, []byte) {
	algorithm, bits, ok := readInfo(der)
	if !ok {
		return nil, nil
	}
	for i := range kinds {
		if string(algorithm) == kinds[i].algorithm {
			return &kinds[i], bits
		}
	}
	return nil, nil
}

// ParseFor is Parse for a key that p has to accept; one that it does not is
// xlreg.ErrBadKey too.
func ParseFor[K ~string | ~[]byte](der K, p xlreg.Protocol) (Public, error) {
	key, err := Parse(der)
	if err != nil {
		return nil, err
	}
	if err := key.Check(p); err != nil {
		return nil, fmt.Errorf("%w: %w", xlreg.ErrBadKey, err)
	}
	return key, nil
}

// readInfo reads a SubjectPublicKeyInfo in the one form that DER gives it: an
// algorithm, still encoded, and a key in the form of that algorithm.
//
// With what follows in each kind it does the work of x509.ParsePKIXPublicKey,
// which is more forgiving (of bytes after an RSA exponent, for one) and takes five
// times as long. That counts: a roster has two keys for each member, and every
// member reads all of it.
func readInfo(der []byte) (algorithm, bits []byte, ok bool) {
	in := cryptobyte.String(der)
	var info, encoded cryptobyte.String
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1Element(&encoded, asn1.SEQUENCE) ||
		!info.ReadASN1BitStringAsBytes(&bits) || !info.Empty() {
		return nil, nil, false
	}
	return encoded, bits, true
}

// marshalInfo returns what readInfo reads.
func marshalInfo(algorithm string, bits []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(algorithm))
		b.AddASN1BitString(bits)
	})
	return b.BytesOrPanic() // fails only on lengths that no key has
}

// CheckToken is Token.Validate and then a look at both keys, which have to be
// within the limits that all protocols share.
func CheckToken(t *xlreg.Token) error {
	return checkToken(t, func(der string) error {
		_, err := Parse(der)
		return err
	})
}

// CheckTokenFor is CheckToken for a token that came over p, which has to accept
// both keys.
func CheckTokenFor(t *xlreg.Token, p xlreg.Protocol) error {
	return checkToken(t, func(der string) error {
		_, err := ParseFor(der, p)
		return err
	})
}

func checkToken(t *xlreg.Token, check func(der string) error) error {
	if err := t.Validate(); err != nil {
		return err
	}
	if err := check(string(t.CommsKey)); err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "comms key: %v", err)
	}
	if err := check(string(t.SigKey)); err != nil {
		return xlreg.Errorf(xlreg.ErrIllFormedToken, "sig key: %v", err)
	}
	return nil
}
