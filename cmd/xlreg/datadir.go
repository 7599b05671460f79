package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// The files of a data directory, which is also the directory of the node that
// the registry itself is.
const (
	storeFile = "xlreg.db"
	credFile  = "regCred.dat"
)

// openRegistryNode opens the registry's own identity, making it on the first
// start. It holds the lock on the data directory.
func openRegistryNode(ctx context.Context, cfg *serveConfig, c *cli.Console) (*identity.Node, error) {
	node, err := identity.Open(cfg.data)
	if errors.Is(err, identity.ErrNoNode) {
		node, err = firstNode(ctx, cfg, c)
	} else if err == nil && node.Name() != cfg.name && cfg.nameGiven {
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

// firstNode makes the identity of a registry that has none, unless there are
// data that another one left: its ID would be lost on them.
func firstNode(ctx context.Context, cfg *serveConfig, c *cli.Console) (*identity.Node, error) {
	path := filepath.Join(cfg.data, storeFile)
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("%s has no node.json, which names the registry that %s belongs to: restore it from a backup, or move %s away to begin anew",
			cfg.data, storeFile, path)
	}
	if cfg.importDir != "" {
		return importRegistry(ctx, cfg, c)
	}
	return makeNode(ctx, c, cfg.data, identity.Options{Name: cfg.name, Bits: cfg.keyBits}, false)
}

func openStore(cfg *serveConfig) (store.Store, error) {
	if cfg.ephemeral {
		return memory.New(), nil
	}
	path := filepath.Join(cfg.data, storeFile)
	st, err := bolt.Open(path, bolt.Options{Logger: cfg.log})
	switch {
	case errors.Is(err, store.ErrInUse):
		return nil, fmt.Errorf("another process is using %s: stop it, or give this registry its own --data", path)
	case errors.Is(err, store.ErrNewerSchema):
		return nil, fmt.Errorf("%w: run the newer xlreg", err)
	case err != nil:
		return nil, fmt.Errorf("%w: if the file is damaged, restore it from a backup, or move it away to begin without clusters", err)
	}
	return st, nil
}
