package xlregtest

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/testkeys"
	"github.com/xlattice/xlreg/regcred"
)

// Registry is a registry in this process, on a port of its own on 127.0.0.1. It
// keeps what it knows in memory. Its methods may be called from any goroutine.
type Registry struct {
	cred     *xlreg.Credentials
	target   *regcred.Target
	url      string
	protocol xlreg.Protocol // what clusters speak with it
	clusters atomic.Int64   // names given so far
}

// Start starts a registry, which is stopped when the test ends.
func Start(t testing.TB, opts ...Option) *Registry {
	t.Helper()
	o := collect(opts)
	if o.ofCluster {
		t.Fatal("xlregtest: start registry: an option is for Cluster only")
	}
	return start(t, o)
}

func start(t testing.TB, o *options) *Registry {
	t.Helper()
	node := newNodes(t, "registry")[0]
	running, err := host.Start(host.Config{Node: node, Store: memory.New(), Protocols: o.protocols, Logger: o.logger})
	if err != nil {
		t.Fatalf("xlregtest: start registry: %v", err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Errorf("xlregtest: stop registry: %v", err)
		}
	})
	r, err := newRegistry(running.Cred(), o)
	if err != nil {
		t.Fatalf("xlregtest: start registry: %v", err)
	}
	return r
}

func newRegistry(cred *xlreg.Credentials, o *options) (*Registry, error) {
	target, err := regcred.NewTarget(cred)
	if err != nil {
		return nil, err
	}
	url, err := regcred.URL(cred)
	if err != nil {
		return nil, err
	}
	return &Registry{cred: cred, target: target, url: url, protocol: o.protocol()}, nil
}

// Target returns what client.Dial and client.Form find the registry by.
func (r *Registry) Target() *regcred.Target { return r.target }

// URL returns the registry's xlreg:// line, which says in one word where it is and
// how to know it; it is what XLREG_REGISTRY holds.
func (r *Registry) URL() string { return r.url }

// Cred returns the registry's credentials.
func (r *Registry) Cred() *xlreg.Credentials { return r.cred }

// CredFile writes the registry's credentials to a file that goes with the test,
// and returns its path.
func (r *Registry) CredFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "regCred.dat")
	if err := regcred.Write(path, r.cred); err != nil {
		t.Fatalf("xlregtest: %v", err)
	}
	return path
}

// clusterName returns one that it has not returned before.
func (r *Registry) clusterName() xlreg.Name {
	return xlreg.Name(fmt.Sprintf("cluster%d", r.clusters.Add(1)))
}

// Node returns a new node, in memory, with test keys: for a test that does itself
// what Cluster does. It has no endpoints yet; client.Form sets them.
func Node(t testing.TB, name xlreg.Name) *identity.Node {
	t.Helper()
	return newNodes(t, name)[0]
}

// newNodes makes nodes whose keys no other node has until the test ends.
func newNodes(t testing.TB, names ...xlreg.Name) []*identity.Node {
	t.Helper()
	pool := testkeys.Shared()
	keys, err := pool.Take(len(names))
	if err != nil {
		t.Fatalf("xlregtest: %v", err)
	}
	t.Cleanup(func() { pool.Give(keys...) })
	if err := pool.Uncached(); err != nil {
		t.Logf("xlregtest: test keys are not kept for the next time, which will be slow too: %v", err)
	}
	nodes := make([]*identity.Node, len(names))
	for i, name := range names {
		nodes[i], err = identity.NewNode(identity.Options{Name: name, Keys: keys[i]})
		if err != nil {
			t.Fatalf("xlregtest: node %q: %v", name, err)
		}
	}
	return nodes
}
