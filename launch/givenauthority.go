package launch

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// ParseAuthority reads an authority that there is already: a certificate that its owner has
// signed, and its private key, both in PEM. Members that are started on several machines
// have it in common. No error repeats what is in data.
func ParseAuthority(data []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(data, data) // it also sees that the two belong together
	if err != nil {
		return nil, fmt.Errorf("want its certificate and its private key in PEM: %w", err)
	}
	key, canSign := pair.PrivateKey.(crypto.Signer)
	switch {
	case !canSign:
		return nil, errors.New("the key cannot sign")
	case !pair.Leaf.IsCA:
		return nil, errors.New("the certificate is not that of an authority (CA:TRUE)")
	case pair.Leaf.CheckSignatureFrom(pair.Leaf) != nil:
		return nil, errors.New("the certificate is not signed by its own key, and OpenSSL accepts no others as the beginning of a chain")
	}
	if now := time.Now(); now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate is valid from %v to %v", pair.Leaf.NotBefore.UTC(), pair.Leaf.NotAfter.UTC())
	}
	return &Authority{cert: pair.Leaf, key: func() crypto.Signer { return key }}, nil
}

// Prepare says for how long certificates of the authority are valid, at most as long as its
// own, and which members there are. Those that have one already keep it as long as it will do.
func (a *Authority) Prepare(members []*Data, names []string, life time.Duration) {
	a.life, a.kept = life, nil
	if kept := KeptAuthority(members, names); kept != nil && kept.cert.Equal(a.cert) {
		a.kept = kept.kept
	}
}
