package launch

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"slices"
	"time"

	"github.com/xlattice/xlreg/keys"
)

// KeptAuthority returns the authority that has certified all of these members before, with
// the certificates that are in their directories: they will do again, so that whoever has
// loaded them need not load others. It is nil if they will not: some member has none, or one
// for other names or another key, or a third or less of their life is left. Then all members
// need new ones, from a new authority.
func KeptAuthority(members []*Data, names []string) *Authority {
	return keptAuthority(members, names, time.Now())
}

func keptAuthority(members []*Data, names []string, now time.Time) *Authority {
	a := new(Authority)
	for _, d := range members {
		if !d.hasTLS() {
			return nil
		}
		if err := a.keep(d, names, now); err != nil {
			return nil
		}
	}
	if a.cert == nil {
		return nil
	}
	return a
}

// errNotKept says that a certificate will not do again.
var errNotKept = errors.New("not certified as it is now")

// keep reads what d's member has.
func (a *Authority) keep(d *Data, names []string, now time.Time) error {
	files := tlsFiles(d.Dir)
	root, err := readCertificate(files.Peers)
	if err != nil {
		return err
	}
	leaf, err := readCertificate(files.Cert)
	if err != nil {
		return err
	}
	if a.cert == nil {
		a.cert = root
	}
	key, err := keys.Parse(d.roster.ByIndex(d.Self.Index).Token.SigKey)
	if err != nil {
		return err
	}
	if !root.IsCA || !root.Equal(a.cert) || !sameLeaf(leaf, d.leaf(key, names), key) || leaf.CheckSignatureFrom(root) != nil {
		return errNotKept
	}
	if !lasts(leaf, now) || !lasts(root, now) {
		return errNotKept
	}
	a.kept = append(a.kept, leaf)
	return nil
}

// lasts reports whether more than a third of a certificate's life is left.
func lasts(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(dueForRenewal(c))
}

// dueForRenewal returns when a third of a certificate's life is left.
func dueForRenewal(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}

// sameLeaf reports whether a certificate says what was wanted, of whoever has the key.
func sameLeaf(c, want *x509.Certificate, key keys.Public) bool {
	return bytes.Equal(c.RawSubjectPublicKeyInfo, key.DER()) &&
		c.Subject.CommonName == want.Subject.CommonName && c.KeyUsage == want.KeyUsage && !c.IsCA &&
		slices.Equal(c.DNSNames, want.DNSNames) &&
		slices.EqualFunc(c.IPAddresses, want.IPAddresses, net.IP.Equal)
}

// readCertificate returns the one certificate that is in a file.
func readCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errNotKept
	}
	return x509.ParseCertificate(block.Bytes)
}
