package identity

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/keys"
)

// The files of a registry that changes its keys, and of one that has. The next sig key is
// written last and taken over last: as long as it is there, the change is under way.
const (
	nextSigFile     = "next-sig.pem"
	nextCommsFile   = "next-comms.pem"
	formerCommsFile = "former-comms.pem"
	crossFile       = "cross.pem"
)

var successionFiles = []string{nextSigFile, nextCommsFile, nextName(crossFile), formerCommsFile, crossFile}

// Errors of NextKeys.
var (
	errCommsSize = errors.New("the next comms key has another size than the present one, and classic clients could not tell which is meant")
	errSameKey   = errors.New("the next keys are the present ones")
)

// Succession is what a registry keeps that has changed its keys.
type Succession struct {
	// Comms is the comms key before the present one, for classic clients that know no
	// other.
	Comms keys.Private
	// Cross is the word of the sig key before for the present one, a certificate in DER,
	// and Root the root of the key before.
	Cross, Root []byte
}

// Voucher has the old sig key sign a certificate for the next one, and returns that and
// the old key's root, in DER.
type Voucher func(old keys.Private, next keys.Public) (cross, root []byte, err error)

// Succession returns what the node of a registry keeps of its keys before; nil if they
// have never changed.
func (n *Node) Succession() (*Succession, error) {
	if n.dir == "" {
		return nil, nil
	}
	s, err := readSuccession(n.dir)
	if err != nil {
		return nil, fmt.Errorf("keys before: %w", err)
	}
	return s, nil
}

func readSuccession(dir string) (*Succession, error) {
	path := filepath.Join(dir, crossFile)
	data, err := readFile(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := new(Succession)
	first, rest := pem.Decode(data)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return nil, fmt.Errorf("%s holds no two certificates: put it there from a backup, or remove it if no client needs the key before", path)
	}
	s.Cross, s.Root = first.Bytes, second.Bytes
	s.Comms, err = ReadPrivateKey(filepath.Join(dir, formerCommsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // whoever wants no classic client to know it has removed it
	}
	return s, err
}

// NextKeys gives the registry in dir its next keys, for which its present sig key vouches.
// The registry must be stopped; from its next start on it has them. Its ID and its name
// stay. What a crash leaves undone is done when the registry is opened.
func NextKeys(dir string, next *keys.Set, vouch Voucher) error {
	n, err := OpenRegistry(dir)
	if err != nil {
		return err
	}
	err = n.prepareNext(next, vouch)
	if err == nil {
		err = takeOver(dir)
	}
	if err = errors.Join(err, n.Close()); err != nil {
		return fmt.Errorf("change the registry's keys: %w", err)
	}
	return nil
}

// prepareNext writes what the change needs, the next sig key last.
func (n *Node) prepareNext(next *keys.Set, vouch Voucher) error {
	if err := n.checkNext(next); err != nil {
		return err
	}
	cross, root, err := vouch(n.keys.Sig, next.Sig.Public())
	if err != nil {
		return err
	}
	if err := n.alsoKnownBy(next.SigKey); err != nil {
		return err
	}
	if err := writeKey(n.dir, nextCommsFile, next.Comms); err != nil {
		return err
	}
	var file bytes.Buffer
	for _, der := range [][]byte{cross, root} {
		file.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	if err := atomicfile.Write(filepath.Join(n.dir, nextName(crossFile)), file.Bytes(), filePerm); err != nil {
		return err
	}
	return writeKey(n.dir, nextSigFile, next.Sig)
}

func nextName(file string) string { return "next-" + file }

// checkNext reports keys that cannot follow the present ones.
func (n *Node) checkNext(next *keys.Set) error {
	for _, key := range []keys.Private{next.Comms, next.Sig} {
		if key.Public().Kind() != keys.RSA {
			return errRegistryKind
		}
	}
	switch {
	case next.Comms.Public().Bits() != n.keys.Comms.Public().Bits():
		return errCommsSize
	case next.SigKey == n.keys.SigKey || next.CommsKey == n.keys.CommsKey:
		return errSameKey
	}
	return nil
}

// alsoKnownBy keeps the registry's ID under its next sig key, too.
func (n *Node) alsoKnownBy(next xlreg.SigKey) error {
	old, err := keys.Fingerprint(n.keys.SigKey)
	if err != nil {
		return err
	}
	known, ok := n.Registry(old)
	if !ok {
		return nil // it has never served, and has no ID yet
	}
	if known.Sig, err = keys.Fingerprint(next); err != nil {
		return err
	}
	return n.SetRegistry(known)
}

// takeOver puts the next keys of a registry in the place of the present ones, if there are
// any. It can be begun again wherever it was cut short: each step is done when its file
// has gone. The caller has the lock.
func takeOver(dir string) error {
	at := func(file string) string { return filepath.Join(dir, file) }
	_, err := os.Lstat(at(nextSigFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := keepFormerComms(dir); err != nil {
		return err
	}
	for _, file := range []string{commsFile, crossFile} {
		if err := renameIfThere(at(nextName(file)), at(file)); err != nil {
			return err
		}
	}
	if err := os.Remove(at(certificateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return renameIfThere(at(nextSigFile), at(sigFile))
}

// keepFormerComms copies the comms key, unless the next one is in its place already.
func keepFormerComms(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, nextCommsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := readKey(filepath.Join(dir, commsFile))
	if err != nil {
		return err
	}
	return writeKey(dir, formerCommsFile, old)
}

// renameIfThere returns when the new name is on disk, so that no later step is done
// before this one.
func renameIfThere(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, atomicfile.SyncDir(filepath.Dir(to)))
}
