package torture

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// A store that fails now and then costs nobody anything that was answered: clients
// are told to come back later, nothing is left half done, and the registry goes on.
func TestFailingStore(t *testing.T) {
	alongside(t)
	for _, c := range []struct {
		name   string
		faults faults
	}{
		{"before", faults{before: 3}},
		{"half way", faults{halfWay: 4}},
		{"after", faults{after: 3}},
		{"reading", faults{reading: 2}},
	} {
		t.Run(c.name+" on memory", func(t *testing.T) {
			alongside(t)
			tortureStore(t, memory.New(), c.faults)
		})
		t.Run(c.name+" on bbolt", func(t *testing.T) {
			alongside(t)
			data, err := bolt.Open(filepath.Join(t.TempDir(), "data"), bolt.Options{})
			must(t, err)
			tortureStore(t, data, c.faults)
		})
	}
}

func tortureStore(t *testing.T, data store.Store, f faults) {
	t.Helper()
	t.Cleanup(func() { must(t, data.Close()) })
	seed := newSeed(t)
	w := newWorld()
	workers := newWorkers(t, w, either(9, 36), seed)
	failing := &failingStore{Store: data, faults: f}
	r := serve(t, func(cfg *host.Config) { cfg.Store = failing })
	for range either(1, 4) {
		failing.active.Store(true)
		in := starving()
		in.target, in.unsure = r.target, f.after > 0
		before := w.refusals(xlreg.ErrTryLater)
		workInBackground(t, in, workers, func() bool {
			return w.refusals(xlreg.ErrTryLater) > before+either(10, 50)
		})
		failing.active.Store(false)
		w.compare(t, r.target)
		workFor(t, r.target, workers, 200*time.Millisecond)
		w.compare(t, r.target)
	}
	w.auditStore(t, data)
	if n := r.Stats().Panics; n != 0 {
		t.Errorf("%d sessions panicked", n)
	}
	t.Log(w)
}

// faults are how often a store fails, in one of so many calls; 0 is never.
type faults struct {
	before  int // an Update, with nothing done
	halfWay int // a Put, so within an Update
	after   int // an Update, with all done
	reading int // a View
}

var errBroken = errors.New("the disk is broken")

// failingStore fails while it is active.
type failingStore struct {
	store.Store
	faults faults
	active atomic.Bool
	calls  struct{ update, put, after, view atomic.Int64 }
}

// due counts a call, and reports whether it is to fail.
func (s *failingStore) due(calls *atomic.Int64, every int) bool {
	return every > 0 && s.active.Load() && calls.Add(1)%int64(every) == 0
}

func (s *failingStore) View(ctx context.Context, f func(store.Reader) error) error {
	if s.due(&s.calls.view, s.faults.reading) {
		return errBroken
	}
	return s.Store.View(ctx, f)
}

func (s *failingStore) Update(ctx context.Context, f func(store.Writer) error) error {
	if s.due(&s.calls.update, s.faults.before) {
		return errBroken
	}
	err := s.Store.Update(ctx, func(tx store.Writer) error { return f(failingWriter{tx, s}) })
	if err == nil && s.due(&s.calls.after, s.faults.after) {
		return errBroken
	}
	return err
}

// failingWriter fails in the middle of a change.
type failingWriter struct {
	store.Writer
	store *failingStore
}

func (w failingWriter) due() error {
	if w.store.due(&w.store.calls.put, w.store.faults.halfWay) {
		return errBroken
	}
	return nil
}

func (w failingWriter) Put(key string, value []byte) error {
	return errors.Join(w.Writer.Put(key, value), w.due())
}

func (w failingWriter) Delete(key string) error {
	return errors.Join(w.Writer.Delete(key), w.due())
}

// registryKeys are those of all registries in this process.
var registryKeys = sync.OnceValues(func() (*keys.Set, error) {
	return keys.Generate(keys.RSA, keys.DefaultBits)
})

// inside is a registry in this process.
type inside struct {
	*host.Host
	target *regcred.Target
}

// serve runs a registry until the test ends.
func serve(t *testing.T, change func(*host.Config)) *inside {
	t.Helper()
	set, err := registryKeys()
	must(t, err)
	node, err := identity.NewNode(identity.Options{Name: "xlReg", Keys: set})
	must(t, err)
	cfg := host.Config{Node: node, Listen: []string{"127.0.0.1:0"}}
	change(&cfg)
	h, err := host.Open(cfg)
	must(t, err)
	target, err := regcred.NewTarget(h.Cred())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, h.Close()); err != nil {
			t.Error(fmt.Errorf("serve: %w", err))
		}
	})
	return &inside{h, target}
}
