package launch

import (
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/keys"
)

// The files of a member, in its directory.
const (
	certFile   = "cert.pem"
	keyFile    = "key.pem"
	peersFile  = "peers.pem"
	rosterFile = "roster.json"
)

func tlsFiles(dir string) TLS {
	return TLS{
		Cert:  filepath.Join(dir, certFile),
		Key:   filepath.Join(dir, keyFile),
		Peers: filepath.Join(dir, peersFile),
	}
}

// DirOf returns the directory for a node's files of one cluster, inside the
// node's own.
func DirOf(node *identity.Node, cluster xlreg.Name) (string, error) {
	return filepath.Abs(filepath.Join(node.Dir(), "clusters", string(cluster)))
}

// WriteFiles writes the files that d's member has for programs: cert.pem, key.pem and
// peers.pem, for mutual TLS with anything built on OpenSSL or Go, and roster.json.
// Each is replaced atomically and only its owner may read it; the directory is made if
// it does not exist. The certificate is the one that the others have in the roster.
// If a member has no certificate, only roster.json is written and the other files are
// removed, since there is no TLS among all members then.
func WriteFiles(d *Data, node *identity.Node) error {
	if err := writeFiles(d, node); err != nil {
		return fmt.Errorf("write the files of %s: %w", node.Name(), err)
	}
	return nil
}

func writeFiles(d *Data, node *identity.Node) error {
	roster, err := EncodeRoster(d.roster)
	if err != nil {
		return err
	}
	files := map[string][]byte{rosterFile: roster}
	if d.hasTLS() {
		err = d.addTLSFiles(files, node)
	}
	if err != nil {
		return err
	}
	if err := makeDir(d.Dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := atomicfile.RemoveLeftovers(filepath.Join(d.Dir, name)); err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(d.Dir, name), files[name], 0o600); err != nil {
			return err
		}
	}
	if d.hasTLS() {
		return nil
	}
	return removeTLSFiles(d.Dir)
}

// makeDir makes a directory to which only its owner has access, or takes one that
// nobody else can write to or replace: there will be a private key in it.
func makeDir(dir string) error {
	if err := private.Place(dir); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: choose a directory that can be written to", err)
	}
	return private.Dir(dir)
}

func removeTLSFiles(dir string) error {
	files := tlsFiles(dir)
	for _, path := range []string{files.Cert, files.Key, files.Peers} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d *Data) addTLSFiles(files map[string][]byte, node *identity.Node) (err error) {
	cert, err := d.roster.ByIndex(d.Self.Index).Certificate()
	if err != nil {
		return err
	}
	files[certFile] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if files[keyFile], err = keys.EncodePrivate(node.Keys().Sig); err != nil {
		return err
	}
	files[peersFile], err = d.roster.CertificatesPEM()
	return err
}

// WriteMade writes the files in Made.
func (x *Expanded) WriteMade() error {
	for _, path := range slices.Sorted(maps.Keys(x.Made)) {
		if err := atomicfile.Write(path, []byte(x.Made[path]), 0o600); err != nil {
			return err
		}
	}
	return nil
}
