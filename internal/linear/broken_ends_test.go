package linear

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// ending is for registries that are wrong about what ends: time goes fast in it.
var ending = crowd{worlds: 1, clients: 6, requests: 50, hurry: 10}

// endingTries is how many of its histories may pass for good ones: what is wrong shows
// only where somebody comes at the right moment.
const endingTries = 40

// Each registry that does not end what has to end, or ends what has to stay, is found out.
func TestBrokenEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*registryUnderTest)
	}{
		{"a lease never ends", func(r *registryUnderTest) { r.clock.speed = 0 }},
		{"a lease ends early", func(r *registryUnderTest) { r.clock.speed = 2 }},
		{"a renewal is not heard", func(r *registryUnderTest) { r.deaf = true }},
		{"a deleted cluster comes back", func(r *registryUnderTest) { r.data = &undead{Store: memory.New()} }},
		{"a seat for a new start outlives its end", func(r *registryUnderTest) { r.data = outliving{memory.New(), &r.clock.moving} }},
		{"an epoch counts those who have died", func(r *registryUnderTest) { r.data = newHaunted(&r.clock.moving) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := firstSeed(t)
			for i := range uint64(endingTries) {
				r := &registryUnderTest{data: memory.New(), clock: newClock()}
				c.damage(r)
				rec, to, err := ending.tryRegistry(t, r, seed+i)
				if err != nil {
					t.Fatalf("seed %d: %v", seed+i, err)
				}
				if isWrong(rec, to.rules()) {
					t.Logf("found out after %d histories", i+1)
					return
				}
			}
			t.Errorf("%d histories passed for good ones", endingTries)
		})
	}
}

// undead is a store that forgets, at the next change, that a cluster was deleted.
type undead struct {
	store.Store

	mu     sync.Mutex
	before map[string][]byte // of what the last deletion changed; guarded by mu
}

func (s *undead) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var buried map[string][]byte
	err := s.Store.Update(ctx, func(w store.Writer) (err error) {
		buried = nil
		if err := putBack(w, s.before); err != nil {
			return err
		}
		written := store.NewOverlay(w)
		if err := f(written); err != nil {
			return err
		}
		if slices.ContainsFunc(written.Changes(), deletes) {
			if buried, err = valuesOf(w, written.Changes()); err != nil {
				return err
			}
		}
		return put(w, written, keepAll)
	})
	if err == nil {
		s.before = buried
	}
	return err
}

// deletes reports whether c is the end of a cluster with members to miss it.
func deletes(c store.Change) bool {
	cluster, ok, _ := records.ChangedCluster(c)
	return ok && !cluster.Deleted.IsZero()
}

func valuesOf(r store.Reader, changes []store.Change) (map[string][]byte, error) {
	values := make(map[string][]byte)
	for _, c := range changes {
		value, err := r.Get(c.Key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		values[c.Key] = slices.Clone(value)
	}
	return values, nil
}

func putBack(w store.Writer, values map[string][]byte) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == nil {
			continue
		}
		if err := w.Put(key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

// outliving is a store that keeps the seats which wait for a new start, when their time is
// up, and says that they are gone.
type outliving struct {
	store.Store
	moving *atomic.Bool // the clock: nothing but what is due is done meanwhile
}

func (s outliving) Update(ctx context.Context, f func(store.Writer) error) error {
	return s.Store.Update(ctx, func(w store.Writer) error {
		written := store.NewOverlay(w)
		if err := f(written); err != nil {
			return err
		}
		c, seats, err := freed(w, written)
		waits := func(m records.Seat) bool { return m.Fresh && m.Epoch > c.Completed }
		if err != nil || s.moving.Load() && slices.ContainsFunc(seats, waits) {
			return err
		}
		return put(w, written, keepAll)
	})
}

// freed returns the cluster that is changed, as it was, and its members that go.
func freed(before store.Reader, after *store.Overlay) (c records.Cluster, gone []records.Seat, err error) {
	for _, change := range after.Changes() {
		now, ok, err := records.ChangedCluster(change)
		if err != nil || !ok {
			continue
		}
		if c, err = records.NewReader(before).Cluster(now.ID); err != nil {
			return c, nil, ignoreMissing(err)
		}
		seats, err := records.NewReader(before).Members(&c)
		if err != nil {
			return c, nil, err
		}
		for _, m := range seats {
			if !now.Taken.Has(m.Index) {
				gone = append(gone, m)
			}
		}
	}
	return c, gone, nil
}

func ignoreMissing(err error) error {
	if records.IsNotFound(err) {
		return nil
	}
	return err
}

// haunted is a store in which an epoch is complete with those who have died in it.
type haunted struct {
	store.Store
	moving *atomic.Bool

	mu   sync.Mutex
	dead map[life]int // guarded by mu
}

// life is an epoch of a cluster.
type life struct {
	id    xlreg.ClusterID
	epoch uint64
}

func newHaunted(moving *atomic.Bool) *haunted {
	return &haunted{Store: memory.New(), moving: moving, dead: make(map[life]int)}
}

func (s *haunted) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Update(ctx, func(w store.Writer) error {
		written := store.NewOverlay(w)
		if err := f(written); err != nil {
			return err
		}
		c, gone, err := freed(w, written)
		if err != nil {
			return err
		}
		if s.moving.Load() {
			s.dead[life{c.ID, c.State.Epoch}] += len(gone)
		}
		if err := s.count(written); err != nil {
			return err
		}
		return put(w, written, keepAll)
	})
}

// count completes the epochs that have all their members, dead or alive. mu is held.
func (s *haunted) count(written *store.Overlay) error {
	for _, change := range written.Changes() {
		c, ok, err := records.ChangedCluster(change)
		if err != nil || !ok || c.Taken.Len()+s.dead[life{c.ID, c.State.Epoch}] < c.MaxSize {
			continue
		}
		c.Completed = c.State.Epoch
		if err := records.NewWriter(written).PutCluster(&c); err != nil {
			return err
		}
	}
	return nil
}

// What these registries are found out by is what is wrong with them: one with nothing
// wrong passes.
func TestEnds(t *testing.T) {
	seed, n := firstSeed(t), new(counts)
	for i := range uint64(rounds(3, 100)) {
		rec, to, err := ending.tryRegistry(t, &registryUnderTest{data: memory.New(), clock: newClock()}, seed+i)
		if err != nil {
			t.Fatalf("seed %d: %v", seed+i, err)
		}
		n.add(rec)
		n.mustFit(t, rec, to.rules(), seed+i)
	}
	n.check(t, []verb{create, join, leave, get, order, pass, hangUp})
}
