package keys

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// DefaultBits is the size of new RSA keys when nothing else is asked for.
const DefaultBits = 2048

var errNoKey = errors.New("no key given")

// Set is the two keys of a node or a registry, and the form in which their public
// halves travel. A Set is never changed once made.
type Set struct {
	Comms    Private // others encrypt to it
	Sig      Private // it signs; it is what a node is known by
	CommsKey xlreg.CommsKey
	SigKey   xlreg.SigKey
}

// Generate makes two new keys of a kind. RSA keys have 2048, 3072 or 4096 bits, and
// P-256 keys 256, which may be left out as 0.
func Generate(name Kind, bits int) (*Set, error) {
	comms, err := GenerateKey(name, bits)
	if err != nil {
		return nil, fmt.Errorf("generate comms key: %w", err)
	}
	sig, err := GenerateKey(name, bits)
	if err != nil {
		return nil, fmt.Errorf("generate sig key: %w", err)
	}
	return NewSet(comms, sig)
}

// GenerateKey makes one new key, for a Set that somebody else puts together. The arguments
// are those of Generate.
func GenerateKey(name Kind, bits int) (Private, error) {
	k := kindNamed(name)
	if k == nil {
		return nil, fmt.Errorf("kind %q: want %s", name, kindNames())
	}
	if err := k.checkSize(bits); err != nil {
		return nil, err
	}
	return k.generate(bits)
}

// choices are the keys that people can ask for, by one word.
var choices = []struct {
	word string
	kind Kind
	bits int
}{{"p256", P256, p256Bits}, {"rsa2048", RSA, 2048}, {"rsa3072", RSA, 3072}, {"rsa4096", RSA, 4096}}

// ParseChoice returns the kind and size of the new keys that somebody asks for: p256,
// rsa2048, rsa3072 or rsa4096.
func ParseChoice(word string) (Kind, int, error) {
	words := make([]string, len(choices))
	for i, c := range choices {
		if c.word == word {
			return c.kind, c.bits, nil
		}
		words[i] = c.word
	}
	return "", 0, fmt.Errorf("key %q: want one of %s", word, strings.Join(words, ", "))
}

// NewSet takes keys that exist already. Both may be the same key.
func NewSet(comms, sig Private) (*Set, error) {
	if comms == nil {
		return nil, fmt.Errorf("comms key: %w", errNoKey)
	}
	if sig == nil {
		return nil, fmt.Errorf("sig key: %w", errNoKey)
	}
	return &Set{
		Comms:    comms,
		Sig:      sig,
		CommsKey: xlreg.CommsKey(comms.Public().DER()),
		SigKey:   xlreg.SigKey(sig.Public().DER()),
	}, nil
}
