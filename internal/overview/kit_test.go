package overview_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the first cluster of a test is made.
var start = time.UnixMilli(1_700_000_000_000).UTC()

// gappy is a store whose watch a test makes lose changes. It says so when they come back,
// as the contract asks for.
type gappy struct {
	store.Store

	mu   sync.Mutex
	lose func() bool // guarded by mu; nil: nothing is lost
	lost bool        // guarded by mu; some have been
}

func (g *gappy) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return g.Store.Watch(ctx, prefix, func(c store.Change) error {
		g.mu.Lock()
		swallow := g.lose != nil && !c.IsZero() && g.lose()
		gap := !swallow && g.lost
		g.lost = swallow
		g.mu.Unlock()
		switch {
		case swallow:
			return nil
		case gap:
			return f(store.Change{})
		}
		return f(c)
	})
}

// losing sets what gets lost, and returns what has until now.
func (g *gappy) losing(lose func() bool) func() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.lose
	g.lose = lose
	return before
}

// world is an overview of a store in memory.
type world struct {
	*overview.Overview
	t     *testing.T
	store *gappy
	made  int
}

func newWorld(t *testing.T, change func(*overview.Config)) *world {
	t.Helper()
	w := &world{t: t, store: &gappy{Store: memory.New()}}
	t.Cleanup(func() { _ = w.store.Close() })
	w.open(change)
	return w
}

func (w *world) open(change func(*overview.Config)) {
	cfg := overview.Config{Store: w.store, Now: func() time.Time { return start.Add(time.Hour) }}
	if change != nil {
		change(&cfg)
	}
	w.Overview = overview.New(cfg)
	w.t.Cleanup(w.Close)
}

// cluster returns a new cluster, which is not kept yet.
func (w *world) cluster(name string, size int, created time.Time) *records.Cluster {
	w.made++
	id := fmt.Sprintf("%032d", rand.Uint64())
	revision := uint64(created.UnixMilli())
	return &records.Cluster{
		Cluster: xlreg.Cluster{ID: xlreg.ClusterID(id), Name: xlreg.Name(name), MaxSize: size, EndpointCount: 1},
		State:   xlreg.ClusterState{Epoch: 1, Revision: revision}, Created: created,
	}
}

func (w *world) update(f func(records.Writer) error) {
	w.t.Helper()
	err := w.store.Update(w.t.Context(), func(tx store.Writer) error { return f(records.NewWriter(tx)) })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(c *records.Cluster) *records.Cluster {
	w.t.Helper()
	w.update(func(tx records.Writer) error { return tx.AddCluster(c) })
	return c
}

// change raises the revision of a cluster and keeps it.
func (w *world) change(c *records.Cluster, f func(c *records.Cluster)) {
	w.t.Helper()
	f(c)
	c.State.Revision++
	w.update(func(tx records.Writer) error { return tx.PutCluster(c) })
}

// purge takes away the whole of a cluster.
func (w *world) purge(c *records.Cluster) {
	w.t.Helper()
	w.update(func(tx records.Writer) error { return tx.Purge(c.ID, nil, true) })
}

func seat(indexes ...int) func(*records.Cluster) {
	return func(c *records.Cluster) {
		for _, i := range indexes {
			c.Taken = c.Taken.With(i)
		}
		if c.Taken.Len() == c.MaxSize {
			c.Completed = c.State.Epoch
		}
	}
}

func vacate(indexes ...int) func(*records.Cluster) {
	return func(c *records.Cluster) {
		for _, i := range indexes {
			c.Taken = c.Taken.Without(i)
		}
	}
}

// until waits until what f says is true, which it looks at after each change.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		revision := w.Revision()
		if f() {
			return
		}
		if err := w.Wait(ctx, revision, time.Minute); err != nil {
			w.t.Fatalf("%s: %v", what, err)
		}
	}
}

// settle waits until all that has been done is known, for which nothing gets lost.
func (w *world) settle() {
	w.t.Helper()
	before := w.store.losing(nil)
	defer func() { w.store.losing(before) }()
	last := w.add(w.cluster(fmt.Sprintf("settle-%d", w.made), 2, start))
	w.until("settle", func() bool { return w.has(last) })
	w.purge(last)
	w.until("settle", func() bool { return !w.has(last) })
}

func (w *world) has(c *records.Cluster) bool {
	_, ok := w.Cluster(string(c.ID))
	return ok
}

// list returns all clusters that a query finds, page by page.
func (w *world) list(q api.ClusterQuery) (all []api.Cluster) {
	w.t.Helper()
	for {
		page, err := w.List(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.Items) > q.Limit && q.Limit > 0 {
			w.t.Fatalf("a page of %d has %d clusters", q.Limit, len(page.Items))
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; page.Next == "" {
			return all
		}
	}
}

func names(all []api.Cluster) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = all[i].Name
	}
	return list
}
