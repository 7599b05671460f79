package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
	"github.com/xlattice/xlreg/regcred"
)

const (
	servers = 3
	// afterglow is how long what was on its way may take, when all go on again.
	afterglow = 2 * time.Second
)

// fleet is the real program on several machines, so to say, on one store.
type fleet struct {
	servers [servers]*process
	target  *regcred.Target // of all
}

// newFleet starts servers with copies of one identity on the store that a URL names.
func newFleet(t *testing.T, url string) *fleet {
	t.Helper()
	f, dir := new(fleet), t.TempDir()
	for i := range f.servers {
		own := filepath.Join(dir, fmt.Sprint(i))
		must(t, os.Mkdir(own, 0o700))
		if i > 0 {
			must(t, copyDir(f.servers[0].cfg.Data, filepath.Join(own, "data")))
		}
		f.servers[i] = newProcess(t, own, func(cfg *child.Config) {
			cfg.Args = []string{"--store", url, "--store-timeout", "1s"}
		})
	}
	f.target = f.servers[0].target(t)
	for _, p := range f.servers[1:] {
		f.target.Endpoints = append(f.target.Endpoints, xlreg.Endpoint(p.Listen()))
	}
	return f
}

// restart starts a server again, as soon as its store lets it.
func (f *fleet) restart(t *testing.T, i int) {
	t.Helper()
	var err error
	until(t, "a server starts again", func() bool {
		var r *child.Registry
		if r, err = child.Start(f.servers[i].cfg); err == nil {
			f.servers[i].Registry = r
		}
		return err == nil
	})
}

// only returns one server as the registry.
func (f *fleet) only(t *testing.T, i int) *regcred.Target {
	t.Helper()
	target := f.servers[i].target(t)
	target.Endpoints = []xlreg.Endpoint{xlreg.Endpoint(f.servers[i].Listen())}
	return target
}

// strike is what happens to one process. It returns how to make it good.
type strike func(t *testing.T, rnd *rand.Rand) (mend func())

func (f *fleet) strikes() []strike {
	return []strike{
		func(t *testing.T, rnd *rand.Rand) func() {
			i := rnd.IntN(servers)
			must(t, f.servers[i].Kill())
			return func() { f.restart(t, i) }
		},
		func(t *testing.T, rnd *rand.Rand) func() {
			p := f.servers[rnd.IntN(servers)]
			must(t, syscall.Kill(p.PID(), syscall.SIGSTOP))
			return func() { must(t, syscall.Kill(p.PID(), syscall.SIGCONT)) }
		},
		func(*testing.T, *rand.Rand) func() { return func() {} },
	}
}

func etcdStrikes(e *etcdtest.Cluster) []strike {
	member := func(rnd *rand.Rand) *etcdtest.Member { return e.Member(rnd.IntN(e.Members())) }
	return []strike{
		func(_ *testing.T, rnd *rand.Rand) func() {
			m := member(rnd)
			m.Kill()
			return m.Restart
		},
		func(_ *testing.T, rnd *rand.Rand) func() {
			m := member(rnd)
			m.Pause()
			return m.Resume
		},
		func(_ *testing.T, rnd *rand.Rand) func() {
			a, b := e.Member(0), e.Member(1+rnd.IntN(2))
			a.Kill()
			b.Kill()
			return func() {
				a.Restart()
				b.Restart()
			}
		},
		func(*testing.T, *rand.Rand) func() {
			e.WaitReady()
			e.MoveLeader()
			e.Compact()
			return func() {}
		},
	}
}

func postgresStrikes(s *postgrestest.Server) []strike {
	return []strike{
		func(t *testing.T, _ *rand.Rand) func() {
			s.Kill(t)
			return func() { s.Start(t) }
		},
		func(t *testing.T, _ *rand.Rand) func() {
			s.Pause(t)
			return func() { s.Resume(t) }
		},
		func(*testing.T, *rand.Rand) func() { return func() {} },
	}
}

// Nothing answered is lost by three servers on three members of etcd, however they and
// these are killed and stopped: afterwards each server knows all of it.
func TestServersOnEtcdDie(t *testing.T) {
	alongside(t)
	e := etcdtest.Start(t, etcdtest.Options{Members: 3, Fsync: true})
	url := e.URL("torture")
	w := fleetDies(t, url, func() { e.WaitReady() }, etcdStrikes(e))
	data, err := etcd.Open(t.Context(), url, etcd.Options{})
	must(t, err)
	w.auditStore(t, data)
	must(t, data.Close())
}

// The same on PostgreSQL, of which there is one.
func TestServersOnPostgresDie(t *testing.T) {
	alongside(t)
	s := postgrestest.Start(t, postgrestest.Options{Durable: true})
	url := s.URL("torture")
	w := fleetDies(t, url, func() {}, postgresStrikes(s))
	data, err := postgres.Open(t.Context(), url, postgres.Options{})
	must(t, err)
	w.auditStore(t, data)
	must(t, data.Close())
}

// fleetDies has clients use servers while these and their store die, and returns what was
// answered. The servers have ended then.
func fleetDies(t *testing.T, url string, storeReady func(), ofStore []strike) *world {
	t.Helper()
	f, seed, w := newFleet(t, url), newSeed(t), newWorld()
	w.lingers = true
	workers := newWorkers(t, w, either(12, 36), seed)
	rnd := rand.New(rand.NewPCG(seed, 1<<33))
	for range either(1, 10) {
		in := starving()
		in.target, in.unsure, in.goes = f.target, true, true
		workThrough(t, in, workers, func() {
			for range either(4, 10) {
				f.suffer(t, rnd, ofStore)
			}
			storeReady()
		})
		<-time.After(afterglow)
		w.rest()
		for i := range servers {
			w.compare(t, f.only(t, i))
		}
		t.Log(w)
	}
	for _, p := range f.servers {
		must(t, p.Stop())
	}
	return w
}

// suffer has something happen to a server and to the store, and makes it good in a while.
func (f *fleet) suffer(t *testing.T, rnd *rand.Rand, ofStore []strike) {
	t.Helper()
	own := f.strikes()
	one := own[rnd.IntN(len(own))](t, rnd)
	<-time.After(time.Duration(rnd.IntN(300)) * time.Millisecond)
	other := ofStore[rnd.IntN(len(ofStore))](t, rnd)
	<-time.After(time.Duration(rnd.IntN(either(800, 4000))) * time.Millisecond)
	other()
	one()
	<-time.After(time.Duration(rnd.IntN(1000)) * time.Millisecond) // for clients to get on
}

// workThrough has the workers work while something happens, and returns when they have
// stopped.
func workThrough(t *testing.T, in *round, workers []*worker, happen func()) {
	t.Helper()
	var working sync.WaitGroup
	working.Go(func() { work(t.Context(), in, workers) })
	defer working.Wait()
	defer in.stopped.Store(true)
	before := workers[0].world.answers()
	happen()
	until(t, "clients are served again", func() bool {
		return workers[0].world.answers() > before+either(100, 300) || workers[0].world.failed()
	})
}
