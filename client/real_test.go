package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// running is the real registry, on a real port.
type running struct {
	server *server.Server
	cred   *xlreg.Credentials
	stop   func() error // and wait; may be called again
}

// serve runs a registry on data until it is stopped.
func serve(addr string, data store.Store) (*running, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return serveOn(l, data)
}

func serveOn(l net.Listener, data store.Store) (*running, error) { return serveAs("", l, data) }

// serveAs serves as one of the servers that share the data.
func serveAs(id records.ServerID, l net.Listener, data store.Store) (*running, error) {
	return serveWith(testKeys()[0], id, l, data)
}

// serveWith serves with these keys.
func serveWith(set *keys.Set, id records.ServerID, l net.Listener, data store.Store) (*running, error) {
	cred := testCred(xlreg.Version20)
	cred.CommsKey, cred.SigKey = set.CommsKey, set.SigKey
	cred.Endpoints = []xlreg.Endpoint{xlreg.Endpoint(l.Addr().String())}
	rules, err := registry.New(registry.Config{Store: data, Self: cred.ID, Server: id})
	if err != nil {
		return nil, err
	}
	s, err := server.New(server.Config{
		Registry: rules, Comms: set.Comms, Sig: set.Sig,
		Describe: *cred,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	return &running{server: s, cred: cred, stop: sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-served, rules.Close())
	})}, nil
}

// registryFor is a registry of a test, which ends with it.
type registryFor struct {
	*running
	t      testing.TB
	dialer client.ContextDialer // leads to it; nil: the system's
}

func start(t testing.TB, addr string, data store.Store) *registryFor {
	t.Helper()
	r, err := serve(addr, data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return &registryFor{running: r, t: t}
}

func (r *registryFor) target() *regcred.Target {
	return must[*regcred.Target](r.t)(regcred.NewTarget(r.cred))
}

// options are those to form a cluster of some size with a listener of one's own.
func (r *registryFor) options(p xlreg.Protocol, n *identity.Node, cluster string, size int) client.FormOptions {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	return client.FormOptions{
		Options: client.Options{Node: n, Protocol: p, Dialer: r.dialer},
		Cluster: xlreg.ClusterRef{Name: xlreg.Name(cluster)}, Size: size, Listeners: []net.Listener{l},
	}
}

// formAll forms a cluster of n and returns everybody's membership.
func (r *registryFor) formAll(p xlreg.Protocol, n int) []*client.Membership {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	members := make([]*client.Membership, n)
	var g errgroup.Group
	for i := range n {
		o := r.options(p, newNodeOf(r.t, keysFor(p, i), fmt.Sprintf("m%d", i)), "c", n)
		g.Go(func() (err error) {
			members[i], err = client.Form(ctx, r.target(), o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
	return members
}

func TestFormWithARealRegistry(t *testing.T) {
	for _, p := range protocols {
		sizes := []int{2, 5, 64}
		if p.Classic() {
			sizes = []int{5, 30} // thirty do not fit into one message
		}
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%v with %d", p, n), func(t *testing.T) {
				r := start(t, "127.0.0.1:0", memory.New())
				members := r.formAll(p, n)
				first := members[0].Roster()
				for i, m := range members {
					if self := m.Self(); string(self.Token.Name) != fmt.Sprintf("m%d", i) {
						t.Errorf("member %d is %q", i, self.Token.Name)
					}
					checkSameRoster(t, m.Roster(), first, n, !p.Classic())
				}
			})
		}
	}
}

// A member reads once, however many there are, unless the wait is a long one. In a bubble it
// never is for the machine's being busy.
func TestAFormationIsOneReadEach(t *testing.T) {
	for _, n := range []int{2, 5, 64} {
		synctest.Test(t, func(t *testing.T) {
			r := newNetwork(t).registry
			r.formAll(xlreg.Protocol20, n)
			if reads := r.server.Stats().Requests[wire.OpGetCluster]; reads != uint64(n) {
				t.Errorf("%d members needed %d reads", n, reads)
			}
		})
	}
}

func checkSameRoster(t *testing.T, got, want *client.Roster, n int, verified bool) {
	t.Helper()
	if len(got.Members) != n || got.Cluster != want.Cluster {
		t.Fatalf("%d members in %+v", len(got.Members), got.Cluster)
	}
	for i := range got.Members {
		a, b := &got.Members[i], &want.Members[i]
		if a.Index != i || a.Token.ID != b.Token.ID || a.Token.Endpoints[0] != b.Token.Endpoints[0] || a.Verified != verified {
			t.Fatalf("member %d is %+v, elsewhere %+v", i, a, b)
		}
	}
	if _, err := got.Members[0].Certificate(); verified && err != nil {
		t.Fatal(err)
	}
}

// Members that joined over different carriers see each other, if that was asked for.
func TestCarriersMix(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	var g errgroup.Group
	rosters := make([]*client.Roster, len(protocols))
	for i, p := range protocols {
		o := r.options(p, newNodeWith(t, 1+i, fmt.Sprintf("m%d", i), nil), "c", len(protocols)) // RSA, for all to see
		o.AllowUnverified = !p.Classic()                                                        // over a classic carrier there is nothing else
		g.Go(func() error {
			m, err := client.Form(t.Context(), r.target(), o)
			if err == nil {
				rosters[i] = m.Roster()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, p := range protocols {
		want := 2 // the two classic ones
		if p.Classic() {
			want = 3
		}
		if got := rosters[i].Unverified(); len(got) != want {
			t.Errorf("over %v: unverified are %v", p, got)
		}
	}
}

// A registry that is restarted while members wait, with its data or without.
func TestFormOutlivesTheRegistry(t *testing.T) {
	for _, kept := range []bool{true, false} {
		for _, p := range protocols {
			t.Run(fmt.Sprintf("%v, data kept: %v", p, kept), func(t *testing.T) {
				t.Parallel()
				const n = 5
				data := memory.New()
				r := start(t, "127.0.0.1:0", data)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var g errgroup.Group
				waiting := make(chan struct{}, n)
				form := func(i int, progress func(client.Progress)) {
					o := r.options(p, newNodeOf(t, keysFor(p, i), fmt.Sprintf("m%d", i)), "c", n)
					o.Progress = progress
					g.Go(func() error {
						m, err := client.Form(ctx, r.target(), o)
						if err == nil && len(m.Roster().Members) != n {
							t.Errorf("%d members", len(m.Roster().Members))
						}
						return err
					})
				}
				for i := range n - 1 {
					told := sync.OnceFunc(func() { waiting <- struct{}{} })
					form(i, func(p client.Progress) {
						if p.Roster != nil && len(p.Roster.Members) == n-1 {
							told()
						}
					})
				}
				for range n - 1 {
					<-waiting
				}
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				if !kept {
					data = memory.New()
				}
				again := start(t, string(r.cred.Endpoints[0]), data)
				back := time.Now()
				form(n-1, nil)
				if err := g.Wait(); err != nil {
					t.Fatal(err)
				}
				// Less than what any timeout would take; how short the pauses are is for a bubble to
				// tell, as in TestFormWaitsForARegistryWithoutEnd.
				if took := time.Since(back); took > 20*time.Second {
					t.Errorf("complete %v after the registry's return", took)
				}
				if n := again.server.Stats().Panics; n > 0 {
					t.Errorf("%d panics", n)
				}
			})
		}
	}
}

func TestRulesReachTheCaller(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	r.formAll(xlreg.Protocol20, 2)
	for name, tt := range map[string]struct {
		node *identity.Node
		o    func(*client.FormOptions)
		want xlreg.Kind
	}{
		"full":            {newNode(t, "another"), nil, xlreg.ErrClusterFull},
		"name of another": {newNodeWith(t, 2, "m0", nil), nil, xlreg.ErrMemberNameInUse},
		"another size":    {newNode(t, "another"), func(o *client.FormOptions) { o.Size = 3 }, xlreg.ErrClusterSize},
		"no such cluster": {newNode(t, "another"), func(o *client.FormOptions) { o.Cluster.Name, o.JoinOnly = "none", true }, xlreg.ErrNoSuchClusterName},
		"no such ID":      {newNode(t, "another"), func(o *client.FormOptions) { o.Cluster.ID = xlreg.ClusterID(id("none")) }, xlreg.ErrNoSuchClusterID},
	} {
		for _, p := range protocols {
			o := r.options(p, tt.node, "c", 2)
			if tt.o != nil {
				tt.o(&o)
			}
			if _, err := client.Form(t.Context(), r.target(), o); !errors.Is(err, tt.want) {
				t.Errorf("%s over %v: got %v", name, p, err)
			}
		}
	}
}

// A node that lost everything but its name and keys comes back to its own seat.
func TestANodeComesBackToItsSeat(t *testing.T) {
	for _, p := range protocols {
		r := start(t, "127.0.0.1:0", memory.New())
		members := r.formAll(p, 2)
		seat := members[1].Self().Index
		m, err := client.Form(t.Context(), r.target(), r.options(p, newNodeOf(t, keysFor(p, 1), "m1"), "c", 2))
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		// Over 2.0 a node is its key; over a classic carrier it comes back under a new ID.
		if m.Self().Index != seat || p.Classic() == (m.Self().Token.ID == members[1].Self().Token.ID) {
			t.Errorf("%v: came back as %+v", p, m.Self())
		}
		roster, err := members[0].Refresh(t.Context())
		if err != nil || roster.ByIndex(seat).Token.ID != m.Self().Token.ID {
			t.Errorf("%v: the other sees %v, %v", p, roster, err)
		}
		_, err = members[1].Refresh(t.Context())
		var twin *client.TwinError
		if p.Classic() && !errors.Is(err, xlreg.ErrNotMember) || !p.Classic() && !errors.As(err, &twin) {
			t.Errorf("%v: who lost the seat sees %v", p, err)
		}
		if !p.Classic() && (twin.Joined.IsZero() || !slices.Equal(twin.Endpoints, m.Self().Token.Endpoints)) {
			t.Errorf("the twin is %+v", twin)
		}
	}
}

func TestLeaveMakesRoom(t *testing.T) {
	r := start(t, "127.0.0.1:0", memory.New())
	members := r.formAll(xlreg.Protocol20, 2)
	if err := members[0].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := members[0].Leave(t.Context()); !errors.Is(err, xlreg.ErrNotMember) {
		t.Fatalf("left again: %v", err)
	}
	o := r.options(xlreg.Protocol20, newNode(t, "another"), "c", 2)
	if _, err := client.Form(t.Context(), r.target(), o); err != nil {
		t.Fatal(err)
	}
}

// The registry answers a waiting request before the client's deadline, so the
// error knows who was there. How long before is a matter of time, and so that no busy
// machine plays a part, it is a bubble's.
func TestDeadlineWithARealRegistry(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				err := newNetwork(t).cable().formOn(ctx, p, 0, 3, nil)
				var incomplete *client.IncompleteError
				if !errors.As(err, &incomplete) || incomplete.Missing() != 2 || incomplete.Roster == nil {
					t.Fatalf("got %v", err)
				}
				members := incomplete.Roster.Members
				if len(members) != 1 || members[0].Token.Name != "m0" || incomplete.Index != 0 || time.Since(start) > time.Second {
					t.Fatalf("got %v after %v", err, time.Since(start))
				}
			})
		})
	}
}
