// Package datadir knows what is in the directory of a registry: it looks one over that
// is not in use, packs one into an archive, in use or not, and puts it back from there.
package datadir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/keys"
)

// The files of a registry's directory, which is also the directory of the node that
// the registry itself is.
const (
	StoreFile  = "xlreg.db"    // nodes and clusters
	CredFile   = "regCred.dat" // what clients need
	SocketFile = "admin.sock"  // while the registry runs

	// SharedStore is what node.json says in the place of StoreFile if the data are in a
	// store that servers share.
	SharedStore = "store"

	recordFile = "node.json"
	lockFile   = "lock"
)

// ErrRunning says that a registry runs on a directory.
var ErrRunning = errors.New("a registry is running there")

// The ways out when data are lost.
const (
	restore  = "restore it from a backup with 'xlreg restore'"
	startNew = "begin without clusters with 'xlreg serve --new-data'"
)

// Advise says what to do about an error of the store in the file at path. The error
// names the file, unless the advice does.
func Advise(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("another process is using %s: stop it, or give this registry its own --data", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing, and the registry has had data: %s, or %s", path, restore, startNew)
	case errors.Is(err, store.ErrNewerSchema):
		return fmt.Errorf("%w: run the newer xlreg", err)
	case errors.Is(err, store.ErrOlderSchema):
		return fmt.Errorf("%w: run the xlreg that wrote it, or %s, which keeps the file under another name", err, startNew)
	case errors.Is(err, bolt.ErrMoved):
		return fmt.Errorf("%w: put the file back, or %s, or %s", err, restore, startNew)
	case errors.Is(err, bolt.ErrDamaged):
		return fmt.Errorf("%w: %s, or %s, which keeps the file under another name", err, restore, startNew)
	case errors.Is(err, bolt.ErrForeign):
		return fmt.Errorf("%w: move it away, and %s", err, restore)
	}
	return err
}

// HadData reports whether the registry whose node this is has had data, so that a
// start without any is not its first.
func HadData(node *identity.Node) bool {
	if name, known := node.DataFile(); known {
		return name != ""
	}
	// Made before node.json said so. If it has given itself an ID it has been open.
	sig, err := keys.Fingerprint(node.Keys().SigKey)
	if err != nil {
		return true
	}
	_, served := node.Registry(sig)
	return served
}

// InStore reports whether the registry whose node this is keeps its data in a store that
// servers share, and so not in its directory.
func InStore(node *identity.Node) bool {
	name, _ := node.DataFile()
	return name == SharedStore
}

// Orphaned is an error if a registry has left files in a directory without the node.json
// that says whose they are.
func Orphaned(dir string) error {
	for _, name := range []string{StoreFile, CredFile} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s has no node.json, which names the registry that %s belongs to: restore it from a backup, or move %s away to begin anew",
				dir, name, path)
		}
	}
	return nil
}

// Private makes sure that nobody else can change the data file at path, of which there
// may be none.
func Private(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(private.Owner(path, info), checkMode(path, info))
}

// load reads the node of the registry in dir.
func load(dir string) (*identity.Node, error) {
	node, err := identity.Load(dir)
	if errors.Is(err, identity.ErrNoNode) {
		return nil, cmp.Or(Orphaned(dir), err)
	}
	if err != nil {
		return nil, err
	}
	if !node.IsRegistry() {
		return nil, fmt.Errorf("%s: %w", dir, identity.ErrNotRegistry)
	}
	return node, nil
}

// lock takes the lock on dir, and makes no lock file where there is none. It returns
// ErrRunning if a registry has it.
func lock(dir string) (release func() error, err error) {
	path := filepath.Join(dir, lockFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	held, err := filelock.Lock(path)
	if errors.Is(err, filelock.ErrLocked) {
		return nil, ErrRunning
	}
	if err != nil {
		return nil, err
	}
	return held.Close, nil
}
