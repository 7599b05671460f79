package host_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// testKeys are the registry's, and those that all classic members share, who are told
// apart by their names.
var testKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, 2)
	for i := range all {
		set, err := keys.Generate(keys.RSA, keys.DefaultBits)
		if err != nil {
			panic(err)
		}
		all[i] = set
	}
	return all
})

// mixedKeys are RSA keys of members over 2.0 whom those over classic carriers are to see,
// who know no other kind. What takes long is a key, so all have one comms key.
var mixedKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, 22)
	for i := range all {
		made, err := keys.Generate(keys.RSA, keys.DefaultBits)
		if err != nil {
			panic(err)
		}
		if all[i], err = keys.NewSet(testKeys()[1].Comms, made.Sig); err != nil {
			panic(err)
		}
	}
	return all
})

var protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}

// running is a registry that serves until it is stopped.
type running struct {
	*host.Host
	target *regcred.Target
	stop   func() error // and wait for Serve; may be called again
}

// start runs a registry on a store, which stays the test's to close.
func start(t *testing.T, node *identity.Node, data store.Store, listen string, change func(*host.Config)) *running {
	t.Helper()
	cfg := host.Config{Node: node, Store: data, Listen: []string{listen}}
	if change != nil {
		change(&cfg)
	}
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	target, err := regcred.NewTarget(h.Cred())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	r := &running{Host: h, target: target, stop: sync.OnceValue(func() error {
		cancel()
		return <-served
	})}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// newNode makes the node of a registry in memory.
func newNode(t *testing.T, name string) *identity.Node {
	t.Helper()
	return nodeWith(t, testKeys()[0], name)
}

// member makes a node in memory that is to speak p.
func member(t *testing.T, name string, p xlreg.Protocol) *identity.Node {
	t.Helper()
	if p.Classic() {
		return nodeWith(t, testKeys()[1], name)
	}
	set, err := keys.Generate(keys.P256, 256)
	if err != nil {
		t.Fatal(err)
	}
	return nodeWith(t, set, name)
}

func nodeWith(t *testing.T, set *keys.Set, name string) *identity.Node {
	t.Helper()
	n, err := identity.NewNode(identity.Options{Name: xlreg.Name(name), Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func memberName(i int) string { return fmt.Sprintf("m%d", i) }

// form forms the cluster "c" of n as member i, who speaks p.
func (r *running) form(ctx context.Context, node *identity.Node, p xlreg.Protocol, n int) (*client.Roster, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	m, err := client.Form(ctx, r.target, client.FormOptions{
		Options:   client.Options{Node: node, Protocol: p},
		Cluster:   xlreg.ClusterRef{Name: "c"},
		Size:      n,
		Listeners: []net.Listener{l}, AllowUnverified: true, // carriers are mixed
	})
	if err != nil {
		return nil, fmt.Errorf("%s over %v: %w", node.Name(), p, err)
	}
	return m.Roster(), nil
}

// formAll has n members form a cluster, the i-th over speaks[i mod len].
func (r *running) formAll(t *testing.T, n int, speaks ...xlreg.Protocol) []*client.Roster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rosters := make([]*client.Roster, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range n {
		p := speaks[i%len(speaks)]
		node := member(t, memberName(i), p)
		if !p.Classic() && len(speaks) > 1 {
			node = nodeWith(t, mixedKeys()[i/len(speaks)], memberName(i))
		}
		group.Go(func() (err error) {
			rosters[i], err = r.form(ctx, node, p, n)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return rosters
}

// checkRosters makes sure that all members know the same of each other, and who
// of them is proved to be who it says: who registered over 2.0, to who reads over it.
func checkRosters(t *testing.T, rosters []*client.Roster, speaks ...xlreg.Protocol) {
	t.Helper()
	n := len(rosters)
	for i, r := range rosters {
		if len(r.Members) != n || r.Cluster != rosters[0].Cluster {
			t.Fatalf("%s sees %d members of %+v", memberName(i), len(r.Members), r.Cluster)
		}
		for k := range n {
			name := memberName(k)
			m, first := r.ByName(xlreg.Name(name)), rosters[0].ByName(xlreg.Name(name))
			if m == nil || m.Index != first.Index || m.Token.ID != first.Token.ID ||
				m.Token.SigKey != first.Token.SigKey || m.Token.Endpoints[0] != first.Token.Endpoints[0] {
				t.Fatalf("%s sees %s as %+v, the first as %+v", memberName(i), name, m, first)
			}
			verified := !speaks[i%len(speaks)].Classic() && !speaks[k%len(speaks)].Classic()
			if m.Verified != verified {
				t.Fatalf("%s sees %s verified: %v", memberName(i), name, m.Verified)
			}
		}
	}
}

// watched is a store that tells of each View, once it is told whom.
type watched struct {
	store.Store

	mu   sync.Mutex
	tell func() // guarded by mu; nil until it is known
}

func (w *watched) View(ctx context.Context, f func(store.Reader) error) error {
	w.mu.Lock()
	tell := w.tell
	w.mu.Unlock()
	if tell != nil {
		tell()
	}
	return w.Store.View(ctx, f)
}

// newStore makes one in memory, which outlives what is started on it.
func newStore(t *testing.T) *watched {
	t.Helper()
	data := memory.New()
	t.Cleanup(func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	})
	return &watched{Store: data}
}

// waiting returns a channel that is closed when n requests for the roster are
// being answered: each of them looks into the store after it is counted.
func (w *watched) waiting(r *running, n uint64) <-chan struct{} {
	all := make(chan struct{})
	once := sync.OnceFunc(func() { close(all) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell = func() {
		if r.Stats().Requests[wire.OpGetCluster] >= n {
			once()
		}
	}
	return all
}
