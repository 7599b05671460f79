package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/wire"
)

// A waiter costs no polling: a formation of 64 is 64 waiting requests and 64
// replies, counted where they arrive.
func TestFormationWithoutPolling(t *testing.T) {
	const n = 64
	data := newStore(t)
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", nil)
	began := time.Now()
	checkRosters(t, r.formAll(t, n, xlreg.Protocol20), xlreg.Protocol20)
	took := time.Since(began)

	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	stats := r.Stats()
	for _, op := range []wire.Op{wire.OpMember, wire.OpCreate, wire.OpJoin} {
		if got := stats.Requests[op]; got != n {
			t.Errorf("%d requests %v, want %d", got, op, n)
		}
	}
	waits := stats.Requests[wire.OpGetCluster]
	if most := n * waitsWithin(took); waits < n || waits > most {
		t.Errorf("%d waiting requests in %v, want %d to %d", waits, took, n, most)
	}
	if got := stats.Replies[wire.OpClusterMembers]; got != waits {
		t.Errorf("%d rosters sent, want %d", got, waits)
	}
	if got := stats.Replies[wire.OpError]; got != 0 {
		t.Errorf("%d errors sent", got)
	}
	if got := stats.Sessions[xlreg.Protocol20]; got != n {
		t.Errorf("%d sessions, want %d", got, n)
	}
	if stats.Open != 0 || stats.Panics != 0 || stats.FailedHandshakes != 0 || stats.Refused != 0 {
		t.Errorf("in the end %+v", stats)
	}
}

// waitsWithin returns how often a member may ask in so much time: once, and on a machine that
// takes longer than the first five seconds again, and every twenty.
func waitsWithin(took time.Duration) uint64 {
	if took < 5*time.Second {
		return 1
	}
	return 2 + uint64(took/(20*time.Second))
}

// Members over all carriers form one cluster, though a deployed client reads no
// more than 16 KiB at once.
func TestMixedFormation(t *testing.T) {
	for _, n := range []int{24, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			data := newStore(t)
			r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", nil)
			checkRosters(t, r.formAll(t, n, protocols...), protocols...)
			stats := r.Stats()
			if stats.Panics != 0 || stats.Replies[wire.OpError] != 0 {
				t.Errorf("in the end %+v", stats)
			}
		})
	}
}

// A registry that stops tells those that wait to come back, and does not wait for
// them, nor for those that never said a word.
func TestStopWhileMembersWait(t *testing.T) {
	const n, drain = 5, 20 * time.Second
	data := newStore(t)
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", func(cfg *host.Config) {
		cfg.Limits = guard.Limits{Drain: drain}
	})
	silent, err := net.Dial("tcp", string(r.Cred().Endpoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	idle := dial(t, r, xlreg.Protocol20, "idle")
	all := data.waiting(r, n)
	errs := make(chan error, n)
	for i := range n {
		c := dial(t, r, protocols[i%len(protocols)], memberName(i))
		go func() { errs <- joinAndWait(c, n+1) }()
	}
	<-all
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > drain/2 {
		t.Errorf("stopped after %v", took)
	}
	for range n {
		if err := <-errs; !errors.Is(err, xlreg.ErrTryLater) || xlreg.RetryAfter(err) <= 0 {
			t.Errorf("a waiting member got %v", err)
		}
	}
	if _, err := idle.Members(t.Context(), xlreg.ClusterRef{Name: "c"}); !errors.Is(err, client.ErrSessionEnded) {
		t.Errorf("an idle member got %v", err)
	}
	if open := r.Stats().Open; open != 0 {
		t.Errorf("%d connections are open", open)
	}
}

func dial(t *testing.T, r *running, p xlreg.Protocol, name string) *client.Client {
	t.Helper()
	node := member(t, name, p)
	if err := node.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:4001"}); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), r.target, client.Options{Node: node, Protocol: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func joinAndWait(c *client.Client, size int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster, err := c.Create(ctx, client.CreateOptions{Name: "c", Size: size})
	if err != nil {
		return err
	}
	if _, err := c.Join(ctx, xlreg.ClusterRef{ID: cluster.ID}); err != nil {
		return err
	}
	_, err = c.Wait(ctx, xlreg.ClusterRef{ID: cluster.ID}, 0)
	return err
}

// A registry that is started again on its files, while members wait, is the same
// registry to them: they come back and all complete, with the IDs they had.
func TestRestartWhileMembersWait(t *testing.T) {
	const n = 7
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	nodes := make([]*identity.Node, n)
	for i := range nodes {
		nodes[i] = nodeWith(t, testKeys()[1], memberName(i))
		if p := protocols[i%len(protocols)]; !p.Classic() {
			nodes[i] = nodeWith(t, mixedKeys()[i], memberName(i))
		}
	}
	var members errgroup.Group
	rosters := make([]*client.Roster, n)
	begin := func(r *running, i int) {
		members.Go(func() (err error) {
			rosters[i], err = r.form(ctx, nodes[i], protocols[i%len(protocols)], n)
			return err
		})
	}

	first := openFiles(t, dir)
	r := start(t, first.node, first.data, "127.0.0.1:0", nil)
	all := first.data.waiting(r, n-1)
	for i := range n - 1 {
		begin(r, i)
	}
	<-all
	before := registered(t, nodes[:n-1])
	if err := errors.Join(r.stop(), r.Close(), first.data.Close(), first.node.Close()); err != nil {
		t.Fatal(err)
	}

	second := openFiles(t, dir)
	again := start(t, second.node, second.data, string(r.Cred().Endpoints[0]), nil)
	if again.Cred().ID != r.Cred().ID || again.Cred().SigKey != r.Cred().SigKey {
		t.Fatal("the registry is another one")
	}
	begin(again, n-1)
	if err := members.Wait(); err != nil {
		t.Fatal(err)
	}
	checkRosters(t, rosters, protocols...)
	for i, id := range registered(t, nodes[:n-1]) {
		if id != before[i] {
			t.Errorf("%s was %v and is %v", nodes[i].Name(), before[i], id)
		}
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
}

// files are what a registry keeps on disk.
type files struct {
	node *identity.Node
	data *watched
}

// openFiles opens those in dir, and makes them the first time. Both may be closed
// before the test ends, when they are closed anyway.
func openFiles(t *testing.T, dir string) files {
	t.Helper()
	node, err := identity.OpenRegistry(dir)
	if errors.Is(err, identity.ErrNoNode) {
		node, err = identity.Init(dir, identity.Options{Name: "xlReg", Keys: testKeys()[0], Registry: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	data, err := bolt.Open(filepath.Join(dir, "xlreg.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	return files{node, &watched{Store: data}}
}

func registered(t *testing.T, nodes []*identity.Node) []xlreg.NodeID {
	t.Helper()
	ids := make([]xlreg.NodeID, len(nodes))
	for i, n := range nodes {
		known := n.Registries()
		if len(known) != 1 {
			t.Fatalf("%s knows %d registries", n.Name(), len(known))
		}
		ids[i] = known[0].ID
	}
	return ids
}

func TestOpenRefuses(t *testing.T) {
	data := newStore(t)
	node := newNode(t, "xlReg")
	taken := start(t, node, data, "127.0.0.1:0", nil)
	for name, change := range map[string]func(*host.Config){
		"no address":   func(c *host.Config) { c.Listen = nil },
		"bad address":  func(c *host.Config) { c.Listen = []string{"nonsense"} },
		"taken port":   func(c *host.Config) { c.Listen = []string{"127.0.0.1:0", string(taken.Cred().Endpoints[0])} },
		"length of ID": func(c *host.Config) { c.IDLen = 21 },
	} {
		cfg := host.Config{Node: node, Store: data, Listen: []string{"127.0.0.1:0"}}
		change(&cfg)
		if h, err := host.Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
			h.Close()
		}
	}
}

// A Host that never serves frees what it has taken.
func TestCloseWithoutServe(t *testing.T) {
	data := newStore(t)
	cfg := host.Config{Node: newNode(t, "xlReg"), Store: data, Listen: []string{"127.0.0.1:0"}, IDLen: xlreg.ShortIDLen}
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(h.Cred().ID); got != xlreg.ShortIDLen {
		t.Errorf("ID of %d bytes", got)
	}
	if err := errors.Join(h.Close(), h.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", string(h.Cred().Endpoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
