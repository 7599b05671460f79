package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/store"
	"github.com/xlattice/xlreg/store/bolt"
	"github.com/xlattice/xlreg/store/memory"
)

// The files of a data directory, which is also the directory of the node that
// the registry itself is.
const (
	storeFile = "xlreg.db"
	credFile  = "regCred.dat"
)

// openRegistryNode opens the registry's own identity, making it on the first
// start. It holds the lock on the data directory.
func openRegistryNode(cfg *serveConfig) (*identity.Node, error) {
	_, err := os.Stat(filepath.Join(cfg.data, "node.json"))
	var node *identity.Node
	if errors.Is(err, os.ErrNotExist) {
		node, err = identity.Init(cfg.data, identity.Options{Name: cfg.name, Bits: cfg.keyBits})
	} else {
		node, err = identity.Open(cfg.data)
	}
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("another registry is using %s: stop it, or give this one its own --data", cfg.data)
	}
	return node, err
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
		return nil, fmt.Errorf("open %s: %w: run a newer xlreg", path, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return st, nil
}

// announce writes regCred.dat and says where the registry is.
func announce(cred *regcred.Cred, cfg *serveConfig, c *console) error {
	path := filepath.Join(cfg.data, credFile)
	if err := cred.Write(path); err != nil {
		return err
	}
	sig, err := cred.Fingerprint()
	if err != nil {
		return err
	}
	cfg.log.Info("registry is open", "name", cred.Name, "id", cred.ID, "endpoints", cred.Endpoints,
		"sig", sig, "regCred", path, "ephemeral", cfg.ephemeral)
	if !cfg.dev {
		return nil
	}
	return printBanner(c, cred)
}

// printBanner tells a newcomer what to paste next.
func printBanner(c *console, cred *regcred.Cred) error {
	url, err := cred.URL()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, `
A registry for trying out is open on %s; everything is gone when it ends.
In another terminal:

  export XLREG_REGISTRY='%s'
  xlreg create demo --size 2
  xlreg join demo --node /tmp/xlreg-a --endpoint 127.0.0.1:7001 --wait 60s &
  xlreg join demo --node /tmp/xlreg-b --endpoint 127.0.0.1:7002 --wait 60s

`, firstOf(cred.Endpoints), url)
	return err
}

func firstOf(list []xlreg.Endpoint) xlreg.Endpoint {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
