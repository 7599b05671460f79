package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/datadir"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/stores"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// openRegistryNode opens the registry's own identity, making it on the first
// start. It holds the lock on the data directory.
func openRegistryNode(ctx context.Context, cfg *serveConfig, c *cli.Console) (*identity.Node, error) {
	node, err := identity.OpenRegistry(cfg.data)
	switch {
	case errors.Is(err, identity.ErrNoNode):
		node, err = firstNode(ctx, cfg, c)
	case err != nil:
	case node.Recovered():
		cfg.log.Warn("node.json was empty, as after a power cut, and was made anew from regCred.dat", "name", node.Name())
	case node.Name() != cfg.name && cfg.nameGiven:
		cfg.log.Warn("the registry keeps the name of its first start", "name", node.Name(), "ignored", cfg.name)
	}
	if err == nil {
		if err = checkImported(cfg, node); err != nil {
			return nil, errors.Join(err, node.Close())
		}
	}
	if errors.Is(err, identity.ErrInUse) {
		return nil, fmt.Errorf("another registry is using %s: stop it, or give this one its own --data", cfg.data)
	}
	return node, err
}

// firstNode makes the identity of a registry that has none, unless there are files
// that another one left: its ID would be lost on them.
func firstNode(ctx context.Context, cfg *serveConfig, c *cli.Console) (*identity.Node, error) {
	if err := datadir.Orphaned(cfg.data); err != nil {
		return nil, err
	}
	if cfg.importDir != "" {
		return importRegistry(ctx, cfg, c)
	}
	return makeNode(ctx, c, cfg.data, identity.Options{Name: cfg.name, Bits: cfg.keyBits, Registry: true}, false)
}

// openStore opens the data, or makes them if there have been none so far. Data that
// are gone are made anew only if that was asked for.
func openStore(ctx context.Context, cfg *serveConfig, node *identity.Node) (store.Store, error) {
	if cfg.ephemeral {
		return memory.New(), nil
	}
	if cfg.store != "" {
		return openShared(ctx, cfg)
	}
	path := filepath.Join(cfg.data, datadir.StoreFile)
	if err := datadir.Private(path); err != nil {
		return nil, err
	}
	if cfg.newData {
		if err := setAside(path, cfg); err != nil {
			return nil, err
		}
	}
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if isNew && datadir.InStore(node) && !cfg.newData {
		return nil, fmt.Errorf("the registry in %s has its data in a store: say which with --store, or copy them here first with 'xlreg store copy URL %[1]s'", cfg.data)
	}
	st, err := bolt.Open(path, bolt.Options{Logger: cfg.log, MustExist: !cfg.newData && datadir.HadData(node)})
	if err != nil {
		return nil, datadir.Advise(path, err)
	}
	err = node.SetDataFile(datadir.StoreFile)
	if err != nil && isNew {
		return nil, errors.Join(err, st.Close())
	}
	if err != nil { // a full disk, perhaps: what is there can be read
		cfg.log.Warn("that there are data could not be noted in node.json", "err", err)
	}
	return st, nil
}

// openShared opens the store that other servers stand on, too. A registry that has data in
// a file would seem to have lost them.
func openShared(ctx context.Context, cfg *serveConfig) (store.Store, error) {
	path := filepath.Join(cfg.data, datadir.StoreFile)
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("%s has the data of a registry alone: copy them with 'xlreg store copy %s URL', then move the file away", path, cfg.data)
	}
	ctx, cancel := context.WithTimeout(ctx, storeOpenTime)
	defer cancel()
	st, err := stores.Open(ctx, cfg.store, &cfg.stores, cfg.log)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return st, nil
}

// noteStore keeps in mind that the data are in a store that servers share, so that a start
// without it is not taken for the first one.
func noteStore(cfg *serveConfig, node *identity.Node) {
	if cfg.store == "" {
		return
	}
	if err := node.SetDataFile(datadir.SharedStore); err != nil { // a full disk, perhaps
		cfg.log.Warn("that the data are in a store could not be noted in node.json", "err", err)
	}
}

// storeOpenTime is how long a server that starts tries to reach its store.
const storeOpenTime = 15 * time.Second

// mostAside is how many files may have been set aside before.
const mostAside = 100

// setAside moves a data file away that is of no use, so that a new one can be made. It
// refuses to do that with one in which nothing is wrong: a flag that is left in a
// service's command line must not cost the data at each start.
func setAside(path string, cfg *serveConfig) error {
	st, err := bolt.Open(path, bolt.Options{MustExist: true})
	if err == nil {
		err = st.Close()
	}
	if err == nil {
		err = bolt.Check(path, func(string, []byte) error { return nil })
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		return fmt.Errorf("%s is there, and nothing is wrong with it: leave --new-data out, or move the file", path)
	case !isUseless(err):
		return datadir.Advise(path, err)
	}
	aside, nameErr := freeName(path)
	if nameErr != nil {
		return nameErr
	}
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	cfg.log.Warn("the data file was set aside, and the registry begins without clusters", "kept_as", aside, "err", err)
	return atomicfile.SyncDir(filepath.Dir(path))
}

// isUseless reports whether an error says that there is nothing to be had from a file.
func isUseless(err error) bool {
	return errors.Is(err, bolt.ErrDamaged) || errors.Is(err, bolt.ErrForeign) ||
		errors.Is(err, store.ErrOlderSchema) || errors.Is(err, store.ErrNewerSchema)
}

func freeName(path string) (string, error) {
	for i := 1; i <= mostAside; i++ {
		name := fmt.Sprintf("%s.aside-%d", path, i)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%d files like %s.aside-1 are there: move them away", mostAside, path)
}
