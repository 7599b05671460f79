package xlregtest

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
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
	set, err := registryKeys.take(t)
	if err != nil {
		t.Fatalf("xlregtest: start registry: %v", err)
	}
	return start(t, o, set)
}

func start(t testing.TB, o *options, set *keys.Set) *Registry {
	t.Helper()
	r, end, err := open(o, set)
	if err != nil {
		t.Fatalf("xlregtest: start registry: %v", err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("xlregtest: stop registry: %v", err)
		}
	})
	return r
}

// open starts a registry, which end stops.
func open(o *options, set *keys.Set) (r *Registry, end func() error, err error) {
	node, err := identity.NewNode(identity.Options{Name: "registry", Keys: set})
	if err != nil {
		return nil, nil, err
	}
	running, err := host.Start(host.Config{Node: node, Store: memory.New(), Protocols: o.protocols, Logger: o.logger})
	if err != nil {
		return nil, nil, err
	}
	if r, err = newRegistry(running.Cred(), o); err != nil {
		return nil, nil, errors.Join(err, running.Close())
	}
	return r, running.Close, nil
}

// common is the registry of the clusters for which no option asks for another. It runs
// while there are tests that use it. None of them sees it, or another's cluster: to begin a
// registry for each would cost as much as three members.
var common commonRegistry

type commonRegistry struct {
	mu       sync.Mutex
	users    int // guarded by mu, as is all below
	registry *Registry
	end      func() error
}

// use returns the registry, which runs until the test ends at least.
func (c *commonRegistry) use(t testing.TB) (*Registry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		set, err := registryKeys.share()
		if err != nil {
			return nil, err
		}
		if c.registry, c.end, err = open(collect(nil), set); err != nil {
			return nil, err
		}
	}
	c.users++
	t.Cleanup(func() {
		if err := c.leave(); err != nil {
			t.Errorf("xlregtest: stop registry: %v", err)
		}
	})
	return c.registry, nil
}

// leave stops the registry if nobody else uses it.
func (c *commonRegistry) leave() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users > 0 {
		return nil
	}
	return c.end()
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

// Node returns a new node, in memory, with new keys: for a test that does itself what
// Cluster does. It has no endpoints yet; client.Form sets them. Of the options it heeds
// those about keys and protocols.
func Node(t testing.TB, name xlreg.Name, opts ...Option) *identity.Node {
	t.Helper()
	o := collect(opts)
	node, err := newNode(name, o.kind(o.protocol()))
	if err != nil {
		t.Fatalf("xlregtest: node %q: %v", name, err)
	}
	return node
}

func newNode(name xlreg.Name, kind keys.Kind) (*identity.Node, error) {
	return identity.NewNode(identity.Options{Name: name, Kind: kind})
}

// registryKeys are the keys of the registries of this process.
var registryKeys = new(keyring)

// keyring keeps keys of registries, since they are RSA and take long to make: those of a
// registry that has ended serve the next one. No two registries that a test can name have
// the same keys at a time. Those of Cluster, which no test sees, have theirs in common.
type keyring struct {
	mu     sync.Mutex
	free   []*keys.Set // guarded by mu, as is shared
	shared *keys.Set
}

// take returns keys that nobody else has until the test ends.
func (k *keyring) take(t testing.TB) (*keys.Set, error) {
	set, err := k.next()
	if err == nil {
		t.Cleanup(func() { k.give(set) })
	}
	return set, err
}

func (k *keyring) next() (*keys.Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if last := len(k.free) - 1; last >= 0 {
		set := k.free[last]
		k.free = k.free[:last]
		return set, nil
	}
	return keys.Generate(keys.RSA, keys.DefaultBits)
}

func (k *keyring) give(set *keys.Set) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.free = append(k.free, set)
}

// share returns the keys that the registries of Cluster have in common.
func (k *keyring) share() (_ *keys.Set, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.shared == nil {
		k.shared, err = keys.Generate(keys.RSA, keys.DefaultBits)
	}
	return k.shared, err
}
