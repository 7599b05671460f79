package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// xlregSystems are ours. A formation ends when the last roster has arrived, or
// where the name says so when the last member has verified all signatures in it.
func xlregSystems(progress io.Writer) []system {
	ring := &keyring{progress: progress, kind: keys.RSA, bits: 2048}
	quick := &keyring{progress: progress, kind: keys.P256, bits: 256}
	const mutual, classic = "mutual TLS 1.3", "classic, registry's key"
	return []system{
		{"xlreg 2.0", "memory", mutual, serveMemory, ring.former(xlreg.Protocol20, receive)},
		{"xlreg 2.0", "bbolt", mutual, serveBolt, ring.former(xlreg.Protocol20, receive)},
		{"xlreg 2.0, verified", "memory", mutual, serveMemory, ring.former(xlreg.Protocol20, verify)},
		{"xlreg 2.0, P-256", "memory", mutual, serveMemory, quick.former(xlreg.Protocol20, receive)},
		{"xlreg 2.0, P-256, verified", "memory", mutual, serveMemory, quick.former(xlreg.Protocol20, verify)},
		{"xlreg 1.9", "memory", classic, serveMemory, ring.former(xlreg.Protocol19, receive)},
		{"xlreg 1.9", "bbolt", classic, serveBolt, ring.former(xlreg.Protocol19, receive)},
	}
}

func receive(ctx context.Context, f *bench.Formation) error {
	_, err := f.Receive(ctx)
	return err
}

func verify(ctx context.Context, f *bench.Formation) error {
	_, err := f.Verify(ctx)
	return err
}

// keyring has the members' keys, which are made once. Formations take turns.
type keyring struct {
	progress io.Writer
	kind     keys.Kind
	bits     int
	keys     []*keys.Set
}

// former makes new nodes of the keys each time, with everything signed, so that
// no registry knows them.
func (r *keyring) former(p xlreg.Protocol, form func(context.Context, *bench.Formation) error) former {
	return func(ctx context.Context, where, cluster string, n int) (cost, error) {
		target, err := parseTarget(where)
		if err != nil {
			return cost{}, err
		}
		nodes, err := r.nodes(ctx, n)
		if err != nil {
			return cost{}, err
		}
		f := &bench.Formation{
			Registry: &bench.Registry{Target: target},
			Nodes:    nodes, Protocol: p, Cluster: xlreg.Name(cluster),
		}
		return measure(func() error { return form(ctx, f) })
	}
}

func (r *keyring) nodes(ctx context.Context, n int) ([]*identity.Node, error) {
	made := len(r.keys)
	for len(r.keys) < n {
		set, err := keys.Generate(r.kind, r.bits)
		if err != nil {
			return nil, fmt.Errorf("make keys: %w", err)
		}
		r.keys = append(r.keys, set)
	}
	if made < n {
		fmt.Fprintf(r.progress, "made the %s keys of %d members\n", r.kind, n)
	}
	return bench.NewNodesOf(ctx, r.keys[:n])
}

func parseTarget(where string) (*regcred.Target, error) {
	cred, err := regcred.Parse([]byte(where))
	if err != nil {
		return nil, err
	}
	return regcred.NewTarget(cred)
}

func serveMemory(context.Context, string) (server, error) {
	return serveStore(memory.New())
}

func serveBolt(_ context.Context, dir string) (server, error) {
	st, err := bolt.Open(filepath.Join(dir, "xlreg.db"), bolt.Options{})
	if err != nil {
		return server{}, err
	}
	return serveStore(st)
}

func serveStore(st store.Store) (server, error) {
	node, err := identity.NewNode(identity.Options{Name: "peers"})
	if err != nil {
		return server{}, errors.Join(err, st.Close())
	}
	r, err := host.Start(host.Config{Node: node, Store: st})
	if err != nil {
		return server{}, err
	}
	where, err := regcred.Marshal(r.Cred())
	if err != nil {
		return server{}, errors.Join(err, r.Close())
	}
	return server{where: string(where), close: r.Close}, nil
}
