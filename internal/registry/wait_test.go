package registry_test

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// await is Await where the store does not fail.
func (w *world) await(ctx context.Context, c *xlreg.Cluster, size int, limit time.Duration) (ready context.Context, release context.CancelFunc) {
	w.t.Helper()
	ready, release, err := w.Await(ctx, c, registry.Wait{Size: cmp.Or(size, c.MaxSize), Limit: limit})
	if err != nil {
		w.t.Fatalf("await: %v", err)
	}
	return ready, release
}

func pending(ctx context.Context) bool { return ctx.Err() == nil }

func TestAwaitSize(t *testing.T) {
	for _, tc := range []struct{ size, ends int }{{0, 4}, {1, 1}, {3, 3}, {4, 4}, {99, 4}} {
		t.Run(fmt.Sprint(tc.size), func(t *testing.T) {
			w := newWorld(t)
			c := w.create("c", 4)
			ready, release := w.await(t.Context(), &c, tc.size, time.Minute)
			defer release()
			for i := range tc.ends {
				if !pending(ready) {
					t.Fatalf("ended at %d members, want %d", i, tc.ends)
				}
				w.join(w.node(fmt.Sprint("n", i), testKeys()[0], end), c)
			}
			<-ready.Done()
		})
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t)
	c, d := w.create("c", 4), w.create("d", 4)
	var releases []context.CancelFunc
	for i, cluster := range []xlreg.Cluster{c, c, d} {
		_, release := w.await(t.Context(), &cluster, 0, time.Minute)
		releases = append(releases, release)
		if n := w.Waiting(); n != i+1 {
			t.Errorf("%d wait, want %d", n, i+1)
		}
	}
	for i, release := range releases {
		release()
		if n := w.Waiting(); n != 2-i {
			t.Errorf("%d wait, want %d", n, 2-i)
		}
	}
}

func TestAwaitIsOverAtOnceWhenThereIsNothingToWaitFor(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	w.join(w.node("a", testKeys()[0], end), c)
	ready, release := w.await(t.Context(), &c, 1, time.Minute)
	defer release()
	if pending(ready) {
		t.Error("still waiting for one member of one")
	}
}

// Who has gone before the store was looked at has found out nothing for those who come next.
func TestAwaitAfterOneWhoHasGone(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	w.join(w.node("a", testKeys()[0], end), c)
	gone, goes := context.WithCancel(t.Context())
	goes()
	ended, releaseEnded := w.await(gone, &c, 2, time.Minute)
	defer releaseEnded()
	if pending(ended) {
		t.Error("still waiting for one who has gone")
	}
	if known, ok := w.Awaited(c.ID, xlreg.Protocol20); ok && known.ID != c.ID {
		t.Errorf("the cluster is %+v", known)
	}
	ready, release := w.await(t.Context(), &c, 1, time.Minute)
	defer release()
	if pending(ready) {
		t.Error("still waiting for one member of one")
	}
}

func TestAwaitEndsOnlyAtItsSize(t *testing.T) {
	s := memory.New()
	w := newWorldOn(t, s)
	c := w.create("c", 3)
	all, releaseAll := w.await(t.Context(), &c, 0, time.Minute)
	defer releaseAll()
	one, releaseOne := w.await(t.Context(), &c, 1, time.Minute)
	defer releaseOne()
	w.join(w.node("a", testKeys()[0], end), c)
	<-one.Done() // so the join has been announced
	if !pending(all) {
		t.Error("the wait for three ended at one")
	}
	w.join(w.node("b", testKeys()[0], end), c)
	w.join(w.node("d", testKeys()[0], end), c)
	<-all.Done()
}

func TestAwaitLimit(t *testing.T) {
	for _, tc := range []struct {
		name        string
		asked, ends time.Duration
	}{
		{"as asked", time.Second, time.Second},
		{"no limit asked for", 0, xlreg.DefaultMaxWait},
		{"too long", 10 * xlreg.DefaultMaxWait, xlreg.DefaultMaxWait},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.create("c", 2)
			ready, release := w.await(t.Context(), &c, 0, tc.asked)
			defer release()
			w.clock.advance(tc.ends - 1)
			if !pending(ready) {
				t.Fatalf("ended before %v", tc.ends)
			}
			w.clock.advance(1)
			if pending(ready) {
				t.Errorf("still waiting after %v", tc.ends)
			}
		})
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	ctx, cancel := context.WithCancel(t.Context())
	for w.clock.pending() < 2 { // what goes on in any registry sets the clock too
		runtime.Gosched()
	}
	before := w.clock.pending()
	ready, release := w.await(ctx, &c, 0, time.Minute)
	cancel()
	if pending(ready) {
		t.Error("outlived its context")
	}
	release()
	release() // may be called again
	if n := w.clock.pending(); n != before {
		t.Errorf("%d timers left after release, %d before", n, before)
	}
}

// A change made by another server reaches those who wait on this one.
func TestAwaitHearsOfOtherServers(t *testing.T) {
	shared := memory.New()
	here := newWorldOn(t, shared)
	there, err := registry.New(registry.Config{Store: shared, Self: self})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	c := here.create("c", 2)
	a, b := here.node("a", testKeys()[0], end), here.node("b", testKeys()[0], end)
	ready, release := here.await(t.Context(), &c, 0, time.Minute)
	defer release()
	for _, id := range []xlreg.NodeID{a, b} {
		if _, _, err := there.Join(t.Context(), here.sessions[id], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll); err != nil {
			t.Fatal(err)
		}
	}
	<-ready.Done()
}

// A store whose news are lost now and then says so, and nobody waits in vain.
func TestAwaitSurvivesAWatchThatFails(t *testing.T) {
	s := &forgetful{Store: memory.New(), again: make(chan struct{})}
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	ready, release := w.await(t.Context(), &c, 1, time.Minute)
	defer release()
	w.join(w.node("a", testKeys()[0], end), c)
	close(s.again)
	<-ready.Done()
}

// forgetful fails its first watch, and misses all that happens before again.
type forgetful struct {
	store.Store
	again   chan struct{}
	failed  bool
	failing atomic.Int64 // so many Views fail
}

func (s *forgetful) View(ctx context.Context, f func(store.Reader) error) error {
	if s.failing.Add(-1) >= 0 {
		return errDisk
	}
	return s.Store.View(ctx, f)
}

func (s *forgetful) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	if !s.failed {
		s.failed = true
		return errDisk
	}
	select {
	case <-s.again:
	case <-ctx.Done():
		return nil
	}
	return s.Store.Watch(ctx, prefix, f)
}

// A look that fails is looked again, so one failing read costs nobody a wake-up: not
// when news were missed, and not when the wait begins.
func TestAwaitSurvivesAReadThatFails(t *testing.T) {
	s := &forgetful{Store: memory.New(), again: make(chan struct{})}
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	ready, release := w.await(t.Context(), &c, 1, time.Minute)
	defer release()
	w.join(w.node("a", testKeys()[0], end), c)
	s.failing.Store(1)
	close(s.again)
	<-ready.Done()
}

func TestAwaitSaysThatItCannotRead(t *testing.T) {
	s := &forgetful{Store: memory.New(), again: make(chan struct{})}
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	w.StockTaken() // or the failure would be that of a look at the seats
	s.failing.Store(1)
	_, _, err := w.Await(t.Context(), &c, registry.Wait{Size: 1, Limit: time.Minute})
	wantKind(t, err, xlreg.ErrTryLater)
	if n := w.Waiting(); n != 0 {
		t.Errorf("%d wait after a refusal", n)
	}
}

// The change has the count with it: waking somebody reads nothing.
func TestWakingReadsNothing(t *testing.T) {
	s := &forgetful{Store: memory.New(), failed: true, again: make(chan struct{})}
	close(s.again)
	w := newWorldOn(t, s)
	c := w.create("c", 2)
	a := w.node("a", testKeys()[0], end)
	first, releaseFirst := w.await(t.Context(), &c, 1, time.Minute)
	defer releaseFirst()
	w.join(a, c)
	<-first.Done() // so the watch has begun
	all, releaseAll := w.await(t.Context(), &c, 2, time.Minute)
	defer releaseAll()
	b := w.node("b", testKeys()[0], end)
	s.failing.Store(1 << 30)
	w.join(b, c)
	<-all.Done()
}
