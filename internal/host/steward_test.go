package host_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/keys"
)

// steward is a Host as package admin sees it.
type steward struct{ *host.Host }

var _ admin.Steward = steward{}

// By is for admin.Steward.
func (s steward) By(name, from string) admin.Changer { return s.Host.By(name, from) }

// stewards are two servers of one registry or, on a store that cannot be shared, one.
type stewards struct {
	r     *running // whom members talk to
	acts  steward  // what acts
	looks steward  // what looks
}

// onEachStore runs a test on a registry in memory, on a file, and on two servers.
func onEachStore(t *testing.T, test func(*testing.T, *stewards)) {
	t.Helper()
	alone := func(t *testing.T, s store.Store) {
		t.Cleanup(func() { _ = s.Close() })
		r := start(t, newNode(t, "xlReg"), s, "127.0.0.1:0", nil)
		test(t, &stewards{r: r, acts: steward{r.Host}, looks: steward{r.Host}})
	}
	t.Run("memory", func(t *testing.T) { alone(t, memory.New()) })
	t.Run("bolt", func(t *testing.T) {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "xlreg.db"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		alone(t, s)
	})
	t.Run("two servers", func(t *testing.T) {
		db := mirrortest.New()
		servers := make([]*running, 2)
		for i := range servers {
			s := mirror.Open(db.Connect(mirrortest.Faults{}), mirror.Options{Limits: mirror.Limits{Compares: 128, Changes: 128}, Timeout: time.Minute})
			t.Cleanup(func() { _ = s.Close() })
			servers[i] = start(t, newNode(t, "xlReg"), s, "127.0.0.1:0", nil)
		}
		test(t, &stewards{r: servers[0], acts: steward{servers[0].Host}, looks: steward{servers[1].Host}})
	})
}

// until waits until the other server shows what is wanted.
func (s *stewards) until(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		revision := s.looks.Registry().Revision
		if f() {
			return
		}
		if err := s.looks.Wait(ctx, revision, time.Minute); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func (s *stewards) clusters(t *testing.T, q api.ClusterQuery) []api.Cluster {
	t.Helper()
	page, err := s.looks.Clusters(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func (s *stewards) detail(t *testing.T, id string) api.ClusterDetail {
	t.Helper()
	d, err := s.looks.Cluster(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStewardSees(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *stewards) {
		if got := s.clusters(t, api.ClusterQuery{}); len(got) != 0 {
			t.Fatalf("there is %+v", got)
		}
		s.r.formAll(t, 3, xlreg.Protocol20)
		var c api.Cluster
		s.until(t, "a full cluster", func() bool {
			full := s.clusters(t, api.ClusterQuery{State: api.StateFull})
			if len(full) == 1 {
				c = full[0]
			}
			return len(full) == 1
		})
		if c.Name != "c" || c.Size != 3 || !slices.Equal(c.Taken, []int{0, 1, 2}) || c.Created == nil || c.Formed == nil || c.Changed == nil || c.Owner != "" {
			t.Errorf("the cluster is shown as %+v", c)
		}
		d := s.detail(t, c.ID)
		if d.Name != "c" || d.Revision != c.Revision || len(d.Seats) != 3 || d.Formed == nil {
			t.Errorf("in detail it is %+v", d)
		}
		checkSeats(t, s, &d)

		about := s.looks.Registry()
		if about.Name != "xlReg" || !about.Ready || about.Draining || about.Clusters != 1 || about.Members != 3 || about.Fingerprint == "" {
			t.Errorf("the registry is shown as %+v", about)
		}
		if f := s.acts.Registry().Formations[1]; f.Sizes != "3-5" || f.Count != 1 || f.Seconds <= 0 {
			t.Errorf("formations are counted as %+v", f)
		}
		if about.LogLevel == "" || len(about.Protocols) != 3 {
			t.Errorf("%+v", about)
		}
	})
}

// checkSeats holds the members against the nodes.
func checkSeats(t *testing.T, s *stewards, d *api.ClusterDetail) {
	t.Helper()
	nodes, err := s.looks.Nodes(t.Context(), "", 2)
	if err != nil || len(nodes.Items) != 2 || nodes.Next == "" {
		t.Fatalf("%+v, %v", nodes, err)
	}
	rest, err := s.looks.Nodes(t.Context(), nodes.Next, 2)
	if err != nil || len(rest.Items) != 1 || rest.Next != "" {
		t.Fatalf("%+v, %v", rest, err)
	}
	all := slices.Concat(nodes.Items, rest.Items)
	for i, m := range d.Seats {
		n, err := s.looks.Node(t.Context(), m.Node)
		if err != nil || n.Key != m.Key || m.KeyKind != "P-256" || m.Index != i || m.Joined == nil || m.LeaseMS != 0 {
			t.Errorf("member %+v, node %+v, %v", m, n, err)
		}
		if !slices.ContainsFunc(all, func(listed api.Node) bool { return listed.ID == n.ID }) {
			t.Errorf("no list has %+v", n)
		}
	}
}

func TestStewardChanges(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *stewards) {
		s.r.formAll(t, 3, xlreg.Protocol20)
		id := s.idOf(t, "c")
		d := s.detail(t, id)
		by := s.acts.By("somebody", "here")
		ctx := t.Context()

		stale := d.Revision - 1
		for what, c := range map[string]struct {
			got, want error
		}{
			"an old revision":   {second(by.Evict(ctx, id, api.Eviction{Member: "m0", Revision: &stale})), api.ErrChanged},
			"nobody":            {second(by.Evict(ctx, id, api.Eviction{})), api.ErrInvalid},
			"a stranger":        {second(by.Evict(ctx, id, api.Eviction{Member: "m9"})), api.ErrNotFound},
			"a strange key":     {second(by.Evict(ctx, id, api.Eviction{Key: s.acts.Registry().Fingerprint})), api.ErrNotFound},
			"what is no key":    {second(by.Evict(ctx, id, api.Eviction{Key: "m0"})), api.ErrInvalid},
			"no cluster":        {second(by.Delete(ctx, d.Seats[0].Node, nil)), api.ErrNotFound},
			"what is no ID":     {second(by.Reopen(ctx, "c", nil)), api.ErrNotFound},
			"a node with seats": {by.Forget(ctx, d.Seats[0].Node), api.ErrInvalid},
			"no node":           {by.Forget(ctx, id), api.ErrNotFound},
			"no level":          {by.SetLogLevel(ctx, "loud"), api.ErrInvalid},
			"a level":           {by.SetLogLevel(ctx, "debug"), api.ErrUnsupported},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
		}

		member := d.Seats[slices.IndexFunc(d.Seats, func(m api.Member) bool { return m.Name == "m1" })]
		waited := make(chan error, 1)
		go func() { waited <- s.looks.WaitCluster(ctx, id, d.Revision, time.Minute) }()
		done, err := by.Evict(ctx, id, api.Eviction{Key: member.Key, Ban: true, Revision: &d.Revision})
		if err != nil || !slices.Equal(done.Evicted, []string{"m1"}) || done.Cluster.Members != 2 || done.Cluster.State != api.StateReduced {
			t.Fatalf("%+v, %v", done, err)
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
		s.until(t, "a member less", func() bool {
			all := s.clusters(t, api.ClusterQuery{})
			return all[0].Members == 2 && all[0].State == api.StateReduced
		})
		if err := by.Forget(ctx, member.Node); err != nil {
			t.Error(err)
		}
		if _, err := s.looks.Node(ctx, member.Node); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("a node that was forgotten: %v", err)
		}
		done, err = by.Reopen(ctx, id, nil)
		if err != nil || done.Cluster.Epoch <= d.Epoch {
			t.Errorf("reopened: %+v, %v", done, err)
		}
		done, err = by.Delete(ctx, id, nil)
		if err != nil || done.Cluster != nil {
			t.Errorf("deleted: %+v, %v", done, err)
		}
		if _, err := s.looks.Cluster(ctx, id); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("a cluster that was deleted: %v", err)
		}
		s.until(t, "no cluster", func() bool { return len(s.clusters(t, api.ClusterQuery{})) == 0 })
	})
}

func second[T any](_ T, err error) error { return err }

func (s *stewards) idOf(t *testing.T, name string) (id string) {
	t.Helper()
	s.until(t, "a cluster "+name, func() bool {
		found := s.clusters(t, api.ClusterQuery{Match: name, Order: api.OrderName, Limit: 1})
		if len(found) == 1 {
			id = found[0].ID
		}
		return len(found) == 1
	})
	return id
}

// Only its owner changes a cluster that has one.
func TestStewardLeavesOwnersAlone(t *testing.T) {
	data := newStore(t)
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", nil)
	c := records.Cluster{
		Cluster: xlreg.Cluster{ID: "01234567890123456789012345678901", Name: "theirs", Key: xlreg.ClusterKey(make([]byte, xlreg.ClusterKeyLen)), MaxSize: 2, EndpointCount: 1},
		State:   xlreg.ClusterState{Epoch: 1, Revision: 7},
	}
	err := data.Update(t.Context(), func(tx store.Writer) error { return records.NewWriter(tx).AddCluster(&c) })
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Cluster(t.Context(), c.ID.String())
	if _, wrong := keys.ParseFingerprint(d.Owner); err != nil || wrong != nil || d.State != api.StateEmpty || d.Created != nil {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := r.By("somebody", "here").Delete(t.Context(), d.ID, nil); !errors.Is(err, api.ErrOwned) {
		t.Errorf("deleted by an admin: %v", err)
	}
}

func TestStewardSetsTheLogLevel(t *testing.T) {
	level := new(slog.LevelVar)
	r := start(t, newNode(t, "xlReg"), newStore(t), "127.0.0.1:0", func(cfg *host.Config) {
		cfg.Level, cfg.Logger = level, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	})
	for _, want := range []string{"debug", "error", "warn", "info"} {
		if err := r.By("somebody", "here").SetLogLevel(t.Context(), want); err != nil {
			t.Error(err)
		}
		if got := r.Registry().LogLevel; got != want {
			t.Errorf("the level is %s, want %s", got, want)
		}
	}
}

// waiter is a client that waits for a cluster which is never full.
func (r *running) waiter(t *testing.T, ctx context.Context, name string) (c *client.Client, cluster xlreg.Cluster, ended <-chan error) { //nolint:revive // t comes first here
	t.Helper()
	node := member(t, name, xlreg.Protocol20)
	if err := node.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(ctx, r.target, client.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Register(ctx); err != nil {
		t.Fatal(err)
	}
	if cluster, err = c.Create(ctx, client.CreateOptions{Name: xlreg.Name("of-" + name), Size: 2}); err != nil {
		t.Fatal(err)
	}
	if cluster, err = c.Join(ctx, xlreg.ClusterRef{ID: cluster.ID}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Wait(ctx, xlreg.ClusterRef{ID: cluster.ID}, 2)
		done <- err
	}()
	return c, cluster, done
}

// waits returns the session that waits for something, when there is one.
func waits(t *testing.T, s admin.Steward) (waiting api.Session) {
	t.Helper()
	eventually(t, "a session that waits", func() bool {
		page, err := s.Sessions("", 0)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(page.Items, func(one api.Session) bool { return one.Waits != "" })
		if i >= 0 {
			waiting = page.Items[i]
		}
		return i >= 0
	})
	return waiting
}

// A server that is drained takes nobody, sends away those who wait, and goes on with the
// sessions that there are.
func TestDrain(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *stewards) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, cluster, ended := s.r.waiter(t, ctx, "first")
		shown := waits(t, s.acts)
		if shown.Waits != cluster.ID.String() || shown.Protocol != "2.0" || shown.Node == "" || shown.Requests < 4 || shown.From == "" {
			t.Errorf("the session is shown as %+v", shown)
		}
		by := s.acts.By("somebody", "here")
		if err := by.Drain(ctx, true); err != nil {
			t.Fatal(err)
		}
		if about := s.acts.Registry(); about.Ready || !about.Draining {
			t.Errorf("a drained server says of itself %+v", about)
		}
		if _, err := net.Dial("tcp", s.r.Bound()[0]); err == nil {
			t.Error("a drained server takes a connection")
		}
		if err := <-ended; !errors.Is(err, xlreg.ErrTryLater) {
			t.Errorf("the wait ends with %v", err)
		}
		if roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster.ID}); err != nil || len(roster.Members) != 1 {
			t.Errorf("a session that is open does not go on: %v", err)
		}
		if err := by.Drain(ctx, true); err != nil {
			t.Errorf("once more: %v", err)
		}
		if err := by.Drain(ctx, false); err != nil {
			t.Fatal(err)
		}
		if !s.acts.Registry().Ready || s.acts.Registry().Draining {
			t.Error("the server is not back")
		}
		late, cancel := context.WithCancel(ctx)
		_, _, again := s.r.waiter(t, late, "second")
		waits(t, s.acts)
		cancel()
		if err := <-again; !errors.Is(err, context.Canceled) {
			t.Errorf("a wait after the drain ends with %v", err)
		}
	})
}

// A server that is drained stops like any other.
func TestStopWhileDrained(t *testing.T) {
	r := start(t, newNode(t, "xlReg"), newStore(t), "127.0.0.1:0", nil)
	if err := r.By("somebody", "here").Drain(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestStewardCountsLimits(t *testing.T) {
	r := start(t, newNode(t, "xlReg"), newStore(t), "127.0.0.1:0", func(cfg *host.Config) { cfg.Limits.ConnectionsLoopback = 2 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		c, err := client.Dial(ctx, r.target, client.Options{Node: member(t, "m", xlreg.Protocol20)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := client.Dial(ctx, r.target, client.Options{Node: member(t, "m", xlreg.Protocol20)})
	if err == nil {
		_, err = c.Register(ctx)
		defer c.Close()
	}
	if err == nil {
		t.Fatal("one connection too many")
	}
	l := r.Limits()[0]
	if l.Name != "max-connections-loopback" || l.Value != 2 || *l.Used != 2 || l.By != "127.0.0.1" || l.Refused != 1 {
		t.Errorf("the limit is shown as %+v", l)
	}
}

// One key that cannot be read does not keep a list from being shown.
func TestStewardShowsWhatItCan(t *testing.T) {
	data := newStore(t)
	r := start(t, newNode(t, "xlReg"), data, "127.0.0.1:0", nil)
	n := records.Node{Token: xlreg.Token{ID: "01234567890123456789012345678901", Name: "odd", SigKey: "no key"}}
	err := data.Update(t.Context(), func(tx store.Writer) error { return records.NewWriter(tx).PutNode(&n) })
	if err != nil {
		t.Fatal(err)
	}
	page, err := r.Nodes(t.Context(), "", 0)
	if err != nil || len(page.Items) != 1 || page.Items[0].Name != "odd" || page.Items[0].KeyKind != "unknown" || page.Items[0].Key != "" {
		t.Errorf("%+v, %v", page, err)
	}
}
