package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

const (
	servers      = 3
	storeTimeout = time.Second // of a transaction, so that a store that hangs does not take long
)

// several is the crowd for three servers on one store.
var several = crowd{worlds: 2, clients: 6, requests: 30}

// opener opens the store of one of the servers.
type opener = func(ctx context.Context, server int) (store.Store, error)

// fleet is one registry of several servers in this process.
type fleet struct {
	t       *testing.T
	open    opener
	nodes   *nodes
	servers [servers]*server
}

// server is one of them. It keeps its address when it is started anew.
type server struct {
	listen string
	data   store.Store
	host   *host.Host
	stop   func() error // and wait; nil: it does not run
}

// newFleet starts servers that run until the test ends.
func newFleet(t *testing.T, open opener) *fleet {
	t.Helper()
	f := &fleet{t: t, open: open, nodes: mustNodes(t)}
	t.Cleanup(func() {
		for i := range f.servers {
			f.end(i)
		}
	})
	for i := range f.servers {
		f.servers[i] = &server{listen: ownAddress()}
		f.start(i)
	}
	return f
}

// ownAddress is one that the connections of clients do not come from, since those could
// take the port while its server is away.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1:0" // the one loopback address there is
	}
	return fmt.Sprintf("127.78.%d.%d:0", rand.IntN(256), 1+rand.IntN(254))
}

// start starts a server, as soon as its database lets it.
func (f *fleet) start(i int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for {
		err := f.tryStart(ctx, i)
		if err == nil {
			return
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			f.t.Fatalf("start server %d: %v", i, err)
		}
	}
}

func (f *fleet) tryStart(ctx context.Context, i int) error {
	n, err := identity.NewNode(identity.Options{Name: "registry", Keys: f.nodes.keys[keysPerWorld*mostWorlds]})
	if err != nil {
		return err
	}
	data, err := f.open(ctx, i)
	if err != nil {
		return err
	}
	s := f.servers[i]
	h, err := host.Open(host.Config{Node: n, Store: data, Listen: []string{s.listen}})
	if err != nil {
		return errors.Join(err, data.Close())
	}
	serving, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(serving) }()
	s.listen, s.data, s.host = h.Bound()[0], data, h
	s.stop = func() error {
		cancel()
		return errors.Join(<-served, h.Close(), data.Close())
	}
	return nil
}

// end ends a server in order, if it runs.
func (f *fleet) end(i int) {
	f.t.Helper()
	s := f.servers[i]
	if s == nil || s.stop == nil {
		return
	}
	if err := s.stop(); err != nil {
		f.t.Errorf("server %d: %v", i, err)
	}
	s.stop = nil
}

// kill takes the store away from under a server, so that what it is asked just then is
// not answered any more, and ends it.
func (f *fleet) kill(i int) {
	f.t.Helper()
	if err := f.servers[i].data.Close(); err != nil {
		f.t.Error(err)
	}
	f.end(i)
}

// target is the servers as one registry.
func (f *fleet) target() *target {
	cred := *f.servers[0].host.Cred()
	cred.Endpoints = nil
	for _, s := range f.servers {
		cred.Endpoints = append(cred.Endpoints, xlreg.Endpoint(s.listen))
	}
	return &target{cred: &cred, nodes: f.nodes}
}

// awaitReady returns when all servers serve.
func (f *fleet) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, s := range f.servers {
		for !s.host.Ready() {
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
				return fmt.Errorf("server %d does not come back", i)
			}
		}
	}
	return nil
}

// mustRecord records a history of a fleet that nothing happens to.
func (f *fleet) mustRecord(k crowd, seed uint64) (*recorder, *target) {
	f.t.Helper()
	rec, to := newRecorder(), f.target()
	if err := f.awaitReady(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if err := k.run(f.t.Context(), to, rec, seed); err != nil {
		f.t.Fatalf("seed %d: %v", seed, err)
	}
	return rec, to
}

// inMemory opens stores on a database in memory, whose answers and news come late.
func inMemory(db *mirrortest.Database, seed uint64, most time.Duration, wrap func(mirror.Database) mirror.Database) opener {
	return func(_ context.Context, i int) (store.Store, error) {
		s := db.Connect(late(newDice(seed+uint64(i)), most))
		return mirror.Open(wrap(s), mirror.Options{
			Limits: mirror.Limits{Compares: 128, Changes: 128}, Timeout: patience,
		}), nil
	}
}

func whole(db mirror.Database) mirror.Database { return db }

// late holds up requests, answers and news for a while that chance decides, so that they
// overtake each other.
func late(d *dice, most time.Duration) mirrortest.Faults {
	pause := func(context.Context) error {
		<-time.After(d.within(most))
		return nil
	}
	return mirrortest.Faults{
		Request: func(ctx context.Context, _ *mirror.Txn) error { return pause(ctx) },
		Answer:  func(ctx context.Context, _ *mirror.Txn, _ *mirror.Answer) error { return pause(ctx) },
		News:    func(ctx context.Context, _ *mirror.News) error { return pause(ctx) },
	}
}

func (d *dice) within(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rnd.Int64N(int64(most)))
}

// spaces gives each history a space of keys of its own in a database.
var spaces atomic.Int64

func space() string { return fmt.Sprintf("history%d", spaces.Add(1)) }

// TestServers checks histories of clients that go through any of three servers.
func TestServers(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(t *testing.T) func(seed uint64) opener
	}{
		{"memory", func(*testing.T) func(uint64) opener {
			return func(seed uint64) opener {
				return inMemory(mirrortest.New(), seed, 2*time.Millisecond, whole)
			}
		}},
		{"etcd", func(t *testing.T) func(uint64) opener {
			cluster := etcdtest.Start(t, etcdtest.Options{Members: 3})
			return func(uint64) opener { return onEtcd(cluster.URL(space())) }
		}},
		{"postgres", func(t *testing.T) func(uint64) opener {
			s := postgrestest.Start(t, postgrestest.Options{})
			return func(uint64) opener { return onPostgres(s.URL(space())) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			open, seed, n := c.start(t), firstSeed(t), new(counts)
			for i := range uint64(rounds(2, 30)) {
				t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
					rec, to := newFleet(t, open(seed+i)).mustRecord(several, seed+i)
					n.add(rec)
					n.mustFit(t, rec, to.rules(), seed+i)
				})
			}
			n.check(t, []verb{register, logIn, create, join, get}, xlreg.ErrBadSignature)
		})
	}
}

func onEtcd(url string) opener {
	return func(ctx context.Context, _ int) (store.Store, error) {
		return etcd.Open(ctx, url, etcd.Options{Timeout: storeTimeout})
	}
}

func onPostgres(url string) opener {
	return func(ctx context.Context, _ int) (store.Store, error) {
		return postgres.Open(ctx, url, postgres.Options{Timeout: storeTimeout})
	}
}
