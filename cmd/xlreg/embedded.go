package main

import (
	"context"
	"errors"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// embedded is a registry in this process, on loopback and a free port, that keeps
// nothing.
type embedded struct {
	*host.Host
	store  store.Store
	end    context.CancelFunc
	served chan error
}

// openEmbedded starts a registry that is node and admits the keys that admit does;
// nil is all.
func openEmbedded(node *identity.Node, admit func(xlreg.SigKey) bool) (*embedded, error) {
	e := &embedded{store: memory.New(), served: make(chan error, 1)}
	h, err := host.Open(host.Config{Node: node, Store: e.store, Listen: []string{"127.0.0.1:0"}, Admit: admit})
	if err != nil {
		return nil, errors.Join(err, e.store.Close())
	}
	e.Host = h
	var ctx context.Context
	ctx, e.end = context.WithCancel(context.Background())
	go func() { e.served <- h.Serve(ctx) }()
	return e, nil
}

// close ends the registry.
func (e *embedded) close() error {
	e.end()
	return errors.Join(<-e.served, e.Close(), e.store.Close())
}
