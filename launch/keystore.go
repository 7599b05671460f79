package launch

import (
	"crypto/x509"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/xlattice/xlreg/identity"
)

// addKeyStores adds the member's certificate and key, and the certificates of its peers, in
// the form that Java reads. It takes milliseconds, because a key is derived from the
// password for each part.
func addKeyStores(files map[string][]byte, cert *x509.Certificate, node *identity.Node, peers []peer) (err error) {
	files[keyStoreFile], err = pkcs12.Modern2023.Encode(node.Keys().Sig.Signer(), cert, nil, keyStorePassword)
	if err != nil {
		return err
	}
	var entries []pkcs12.TrustStoreEntry
	for _, p := range peers {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: p.cert, FriendlyName: p.name})
	}
	files[trustStoreFile], err = pkcs12.Modern2023.EncodeTrustStoreEntries(entries, keyStorePassword)
	return err
}
