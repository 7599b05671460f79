package launch

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/keys"
)

// The files of a member, in its directory.
const (
	certFile       = "cert.pem"
	keyFile        = "key.pem"
	peersFile      = "peers.pem"
	keyCertFile    = "keycert.pem"
	keyStoreFile   = "member.p12"
	trustStoreFile = "peers.p12"
	rosterFile     = "roster.json"
)

// keyStorePassword is what Java's own stores have. A password in the same directory as the
// files would protect nothing.
const keyStorePassword = "changeit"

// ownFiles returns the names of all files that are written here.
func ownFiles() []string { return append(ownTLSFiles(), rosterFile) }

func ownTLSFiles() []string {
	return []string{certFile, keyFile, peersFile, keyCertFile, keyStoreFile, trustStoreFile}
}

func tlsFiles(dir string) TLS {
	return TLS{
		Cert:       filepath.Join(dir, certFile),
		Key:        filepath.Join(dir, keyFile),
		Peers:      filepath.Join(dir, peersFile),
		KeyCert:    filepath.Join(dir, keyCertFile),
		KeyStore:   filepath.Join(dir, keyStoreFile),
		TrustStore: filepath.Join(dir, trustStoreFile),
		Password:   keyStorePassword,
	}
}

// DirOf returns the directory for a node's files of one cluster, inside the
// node's own.
func DirOf(node *identity.Node, cluster xlreg.Name) (string, error) {
	return filepath.Abs(filepath.Join(node.Dir(), "clusters", string(cluster)))
}

// FileOptions says which files a member is to have. The zero value is for members whose
// certificates are those that the others have in the roster.
type FileOptions struct {
	Authority *Authority // it certifies the member; nil: the member does so itself
	Names     []string   // host names and addresses that an authority certifies besides the member's own
	KeyStores bool       // write TLS.KeyStore and TLS.TrustStore, too
	Temporary bool       // the directory does not outlive the run: the disk is not waited for
}

func (o *FileOptions) writeFile(path string, data []byte) error {
	if o.Temporary {
		return atomicfile.WriteUnsynced(path, data, 0o600)
	}
	if err := atomicfile.RemoveLeftovers(path); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600)
}

// WriteFiles is FileOptions{}.Write.
func WriteFiles(d *Data, node *identity.Node) error { return FileOptions{}.Write(d, node) }

// Write writes the files that d's member has for programs: cert.pem, key.pem, keycert.pem and
// peers.pem, for mutual TLS with anything built on OpenSSL or Go, and roster.json. Each is
// replaced atomically and only its owner may read it; the directory is made if it does not
// exist. If a member has no certificate, or d.NoTLS is set, there is no TLS among all members:
// only roster.json is written then, and the other files are removed. It is an error if d is a
// reader's, or node is not d's member.
func (o FileOptions) Write(d *Data, node *identity.Node) error {
	if err := o.write(d, node); err != nil {
		return fmt.Errorf("write the files of %s: %w", node.Name(), err)
	}
	return nil
}

func (o *FileOptions) write(d *Data, node *identity.Node) error {
	if err := d.checkNode(node); err != nil {
		return err
	}
	for _, name := range o.Names {
		if err := CheckSAN(name); err != nil {
			return err
		}
	}
	roster, err := d.text()
	if err != nil {
		return err
	}
	files := map[string][]byte{rosterFile: roster}
	if d.hasTLS() {
		err = o.addTLSFiles(files, d, node)
	}
	if err != nil {
		return err
	}
	if err := o.makeDir(d.Dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := o.writeFile(filepath.Join(d.Dir, name), files[name]); err != nil {
			return err
		}
	}
	return removeOthers(d.Dir, files)
}

// checkNode reports whether d is what node sees as a member: cert.pem would be of another key
// than key.pem if it were not.
func (d *Data) checkNode(node *identity.Node) error {
	if d.Self == nil {
		return ErrNoSelf
	}
	if d.roster == nil {
		return errNoRoster
	}
	if self := d.roster.ByIndex(d.Self.Index); string(self.Token.SigKey) != string(node.Keys().Sig.Public().DER()) {
		return fmt.Errorf("the member %s has another key than this node", d.Self.Name)
	}
	return nil
}

// makeDir makes a directory to which only its owner has access, or takes one that
// nobody else can write to or replace: there will be a private key in it.
func (o *FileOptions) makeDir(dir string) error {
	mkdirAll := atomicfile.MkdirAll
	if o.Temporary {
		mkdirAll = os.MkdirAll
	}
	if err := private.Place(dir); err != nil {
		return err
	}
	if err := mkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: choose a directory that can be written to", err)
	}
	return private.Dir(dir)
}

// removeOthers removes those of our TLS files that were written at another time, and are not
// among files: they would contradict these.
func removeOthers(dir string, files map[string][]byte) error {
	for _, name := range ownTLSFiles() {
		if files[name] != nil {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (o *FileOptions) addTLSFiles(files map[string][]byte, d *Data, node *identity.Node) error {
	cert, peers, err := o.certificates(d, node)
	if err != nil {
		return err
	}
	files[certFile] = encodeCertificate(cert)
	if files[keyFile], err = keys.EncodePrivate(node.Keys().Sig); err != nil {
		return err
	}
	files[keyCertFile] = slices.Concat(files[certFile], files[keyFile])
	for _, peer := range peers {
		files[peersFile] = append(files[peersFile], encodeCertificate(peer.cert)...)
	}
	if !o.KeyStores {
		return nil
	}
	return addKeyStores(files, cert, node, peers)
}

// peer is somebody whom a member trusts.
type peer struct {
	name string
	cert *x509.Certificate
}

// certificates returns the certificate that d's member shows, and those that it trusts.
func (o *FileOptions) certificates(d *Data, node *identity.Node) (own *x509.Certificate, peers []peer, err error) {
	if o.Authority != nil {
		own, err = o.Authority.issue(d, node.Keys().Sig.Public(), o.Names)
		return own, []peer{{"authority", o.Authority.cert}}, err
	}
	for i := range d.roster.Members {
		m := &d.roster.Members[i]
		cert, err := m.Certificate()
		if err != nil {
			return nil, nil, err
		}
		peers = append(peers, peer{string(m.Token.Name), cert})
		if m.Index == d.Self.Index {
			own = cert
		}
	}
	return own, peers, nil
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// scriptStart is how a file begins that is a program.
const scriptStart = "#!"

// WriteMade writes the files in Made, and makes the directories that they are in. A script
// can be executed.
func (x *Expanded) WriteMade() error {
	for _, path := range slices.Sorted(maps.Keys(x.Made)) {
		if err := x.writeMade(path); err != nil {
			return err
		}
	}
	return nil
}

func (x *Expanded) writeMade(path string) error {
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if strings.HasPrefix(x.Made[path], scriptStart) {
		mode = 0o700
	}
	return atomicfile.Write(path, []byte(x.Made[path]), mode)
}

// RewriteMade writes the files whose content has changed since before. A file that somebody else
// has changed or removed meanwhile is left alone: some programs write to their configuration.
func (x *Expanded) RewriteMade(before *Expanded) error {
	for _, path := range slices.Sorted(maps.Keys(x.Made)) {
		was, made := before.Made[path]
		if made && was == x.Made[path] {
			continue
		}
		if made && !holds(path, was) {
			continue
		}
		if err := x.writeMade(path); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether a file has this content.
func holds(path, text string) bool {
	now, err := os.ReadFile(path)
	return err == nil && string(now) == text
}
