package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
)

func openOn(t *testing.T, db *mirrortest.Database, f mirrortest.Faults) (*mirror.Store, *mirrortest.Server) {
	t.Helper()
	server := db.Connect(f)
	s := mirror.Open(server, mirror.Options{Limits: limits})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, server
}

func put(pairs ...string) func(store.Writer) error {
	return func(w store.Writer) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := w.Put(pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func update(t *testing.T, s store.Store, f func(store.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// listed returns the keys of a scan in a View, or in an Update that also writes.
func listed(t *testing.T, s store.Store, inUpdate bool) (keys []string) {
	t.Helper()
	look := func(r store.Reader) error {
		keys = nil
		for item, err := range r.Scan("p") {
			if err != nil {
				return err
			}
			keys = append(keys, item.Key)
		}
		return nil
	}
	err := s.View(t.Context(), look)
	if inUpdate {
		err = s.Update(t.Context(), func(w store.Writer) error { return errors.Join(look(w), w.Put("q", []byte("v"))) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// gate lets through what it is told to.
type gate struct {
	shut atomic.Bool
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) pass(ctx context.Context) {
	if !g.shut.Load() {
		return
	}
	select {
	case <-g.open:
	case <-ctx.Done():
	}
}

// An answer that was read before a change, and comes after the news of it, does not
// make a range that lacks what the news brought.
func TestLateAnswer(t *testing.T) {
	for _, inUpdate := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			db := mirrortest.New()
			g := newGate()
			there, _ := openOn(t, db, mirrortest.Faults{})
			update(t, there, put("p", "1", "p1", "v"))
			here, _ := openOn(t, db, mirrortest.Faults{Answer: func(ctx context.Context, _ *mirror.Txn, _ *mirror.Answer) error {
				g.pass(ctx)
				return nil
			}})
			g.shut.Store(true)
			var wg sync.WaitGroup
			wg.Go(func() { listed(t, here, false) })
			synctest.Wait() // it has been answered, and the answer is on its way
			update(t, there, put("p", "2", "p2", "v"))
			synctest.Wait() // the news is here
			g.shut.Store(false)
			close(g.open)
			wg.Wait()
			if got := listed(t, here, inUpdate); len(got) != 2 {
				t.Errorf("in Update %v: %q", inUpdate, got)
			}
		})
	}
}

// A feed that says nothing is begun anew, and whoever watches is told.
func TestSilentFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mirrortest.New()
		var silent atomic.Bool
		s, _ := openOn(t, db, mirrortest.Faults{News: func(ctx context.Context, n *mirror.News) error {
			if silent.Load() {
				<-ctx.Done()
			}
			return ctx.Err()
		}})
		other, _ := openOn(t, db, mirrortest.Faults{})
		zeros := make(chan store.Change, 100)
		var wg sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		wg.Go(func() {
			_ = s.Watch(ctx, "", func(c store.Change) error { zeros <- c; return nil })
		})
		defer wg.Wait()
		defer stop()
		if c := <-zeros; !c.IsZero() {
			t.Fatalf("first news %q", c)
		}
		silent.Store(true)
		update(t, other, put("k", "missed"))
		began := time.Now()
		_, turned := s.Connected()
		<-turned
		if took := time.Since(began); took > 4*mirror.Heartbeat {
			t.Errorf("silence was noticed after %v", took)
		}
		if now, _ := s.Connected(); now {
			t.Error("connected, in silence")
		}
		silent.Store(false)
		if c := <-zeros; !c.IsZero() {
			t.Fatalf("news after the silence %q", c)
		}
		if err := s.View(t.Context(), wants("k", "missed")); err != nil {
			t.Error(err)
		}
		if now, _ := s.Connected(); !now {
			t.Error("not connected again")
		}
	})
}

func wants(key, want string) func(store.Reader) error {
	return func(r store.Reader) error {
		if got, err := r.Get(key); err != nil || string(got) != want {
			return fmt.Errorf("key %q: %q, %w, want %q", key, got, err, want)
		}
		return nil
	}
}

// A feed that lives, but does not tell of what this server has done itself, is begun
// anew as well.
func TestFeedThatLosesNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var losing atomic.Bool
		s, _ := openOn(t, mirrortest.New(), mirrortest.Faults{News: func(_ context.Context, n *mirror.News) error {
			if losing.Load() && len(n.Events) > 0 {
				*n = mirror.News{}
			}
			return nil
		}})
		update(t, s, put("k", "1"))
		synctest.Wait()
		losing.Store(true)
		update(t, s, put("k", "2"))
		synctest.Wait() // its news is lost
		losing.Store(false)
		if err := s.View(t.Context(), wants("k", "2")); !errors.Is(err, mirror.ErrUnreachable) {
			t.Errorf("View: %v", err)
		}
		if err := s.View(t.Context(), wants("k", "2")); err != nil {
			t.Errorf("View with a new feed: %v", err)
		}
	})
}

// A database that is back at an earlier revision is read anew.
func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mirrortest.New()
		s, _ := openOn(t, db, mirrortest.Faults{})
		for i := range 10 {
			update(t, s, put("k", strconv.Itoa(i)))
		}
		synctest.Wait()
		_, turned := s.Connected()
		db.Rollback(3)
		update(t, s, put("k", "after"))
		<-turned
		if err := s.View(t.Context(), wants("k", "after")); err != nil {
			t.Error(err)
		}
	})
}

// After an unknown outcome nothing runs again, neither here nor in the caller's.
func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lose atomic.Bool
		sent := 0
		s, _ := openOn(t, mirrortest.New(), mirrortest.Faults{Answer: func(_ context.Context, txn *mirror.Txn, a *mirror.Answer) error {
			if len(txn.Changes) > 0 && a.Held {
				sent++
			}
			if lose.Swap(false) {
				return fmt.Errorf("%w: lost", store.ErrUnknown)
			}
			return nil
		}})
		runs := 0
		count := func(w store.Writer) error {
			runs++
			n, err := w.Get("n")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return w.Put("n", append(n, 'x'))
		}
		update(t, s, count)
		lose.Store(true)
		if err := s.Update(t.Context(), count); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("Update: %v, want %v", err, store.ErrUnknown)
		}
		if runs != 2 || sent != 2 {
			t.Errorf("%d runs, %d sent, want 2 and 2", runs, sent)
		}
		if err := s.View(t.Context(), wants("n", "xx")); err != nil { // it was kept after all
			t.Error(err)
		}
	})
}

// What certainly was not done is tried again, for as long as the timeout lets it.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Int64
		s, _ := openOn(t, mirrortest.New(), mirrortest.Faults{Request: func(context.Context, *mirror.Txn) error {
			if down.Add(-1) >= 0 {
				return mirror.ErrUnreachable
			}
			return nil
		}})
		update(t, s, put("k", "1"))
		down.Store(5)
		update(t, s, put("k", "2"))
		down.Store(5)
		if err := s.View(t.Context(), wants("k", "2")); err != nil {
			t.Error(err)
		}
		down.Store(1 << 40)
		began := time.Now()
		if err := s.Update(t.Context(), put("k", "3")); !errors.Is(err, mirror.ErrUnreachable) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("Update: %v", err)
		}
		if err := s.View(t.Context(), wants("k", "2")); !errors.Is(err, mirror.ErrUnreachable) {
			t.Errorf("View: %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("both took %v", took)
		}
	})
}

// Without a feed nobody waits longer than the timeout, or after Close at all.
func TestNoFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mirrortest.New()
		s := mirror.Open(db.Connect(mirrortest.Faults{News: func(context.Context, *mirror.News) error {
			return mirrortest.ErrCut
		}}), mirror.Options{})
		began := time.Now()
		if err := s.View(t.Context(), wants("k", "v")); !errors.Is(err, mirror.ErrUnreachable) {
			t.Errorf("View: %v", err)
		}
		if err := s.Update(t.Context(), put("k", "v")); !errors.Is(err, mirror.ErrUnreachable) {
			t.Errorf("Update: %v", err)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("both took %v, want 3 s each", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.View(ctx, wants("k", "v")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mirror.ErrUnreachable) {
			t.Errorf("View with an end of its own: %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.View(t.Context(), wants("k", "v")); !errors.Is(err, store.ErrClosed) {
				t.Errorf("View while closing: %v", err)
			}
		})
		wg.Go(func() {
			if err := s.Update(t.Context(), put("k", "v")); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Update while closing: %v", err)
			}
		})
		wg.Go(func() {
			if err := s.Watch(t.Context(), "", func(store.Change) error { return nil }); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Watch while closing: %v", err)
			}
		})
		synctest.Wait()
		began = time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
	})
}

// A database that hangs holds Close up for no longer than the commit that is under way.
func TestCloseWhileHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Bool
		db := mirrortest.New()
		s := mirror.Open(db.Connect(mirrortest.Faults{Request: func(ctx context.Context, _ *mirror.Txn) error {
			if hung.Load() {
				<-ctx.Done()
				return fmt.Errorf("%w: %w", mirror.ErrUnreachable, ctx.Err())
			}
			return nil
		}}), mirror.Options{})
		update(t, s, put("k", "v"))
		hung.Store(true)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = s.Update(t.Context(), put("k", "w")) })
			wg.Go(func() {
				if err := s.View(t.Context(), wants("k", "v")); !errors.Is(err, store.ErrClosed) {
					t.Errorf("View: %v", err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// Many servers that change one key lose no change to each other, and none waits for ever.
func TestConflictStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const servers, updates = 5, 40
		db := mirrortest.New()
		pause := func(context.Context, *mirror.Txn) error { <-time.After(time.Millisecond); return nil }
		var stores []*mirror.Store
		var wg sync.WaitGroup
		for range servers {
			s, _ := openOn(t, db, mirrortest.Faults{Request: pause})
			stores = append(stores, s)
			for range updates {
				wg.Go(func() {
					err := s.Update(t.Context(), func(w store.Writer) error {
						n, err := w.Get("n")
						if err != nil && !errors.Is(err, store.ErrNotFound) {
							return err
						}
						return w.Put("n", append(n[:len(n):len(n)], 'x'))
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		err := stores[0].View(t.Context(), func(r store.Reader) error {
			if n, err := r.Get("n"); err != nil || len(n) != servers*updates {
				return fmt.Errorf("%d changes, %w, want %d", len(n), err, servers*updates)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Those who view at one time share a comparison.
func TestViewsShareRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const views = 200
		s, _ := openOn(t, mirrortest.New(), mirrortest.Faults{Request: func(context.Context, *mirror.Txn) error {
			<-time.After(time.Millisecond)
			return nil
		}})
		update(t, s, put("k", "v", "l", "w"))
		if err := errors.Join(s.View(t.Context(), wants("k", "v")), s.View(t.Context(), wants("l", "w"))); err != nil {
			t.Fatal(err)
		}
		before := s.Counts()
		var wg sync.WaitGroup
		for i := range views {
			wg.Go(func() {
				look := wants("k", "v")
				if i%2 == 0 {
					look = wants("l", "w")
				}
				if err := s.View(t.Context(), look); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if after := s.Counts(); after.Looks-before.Looks > 3 || after.Writes != before.Writes {
			t.Errorf("%d Views: %+v before, %+v after", views, before, after)
		}
	})
}

// No transaction is larger than the database takes, however many Updates come at one
// time and however large some are.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mirrortest.New()
		s, _ := openOn(t, db, mirrortest.Faults{Request: func(_ context.Context, txn *mirror.Txn) error {
			<-time.After(time.Millisecond)
			if n := len(txn.Keys) + len(txn.Ranges); n > limits.Compares || len(txn.Changes) > limits.Changes {
				t.Errorf("%d comparisons and %d changes", n, len(txn.Changes))
			}
			return nil
		}})
		var wg sync.WaitGroup
		for n := range 100 {
			wg.Go(func() { update(t, s, readAndWrite(n, 5+n%90)) })
			wg.Go(func() {
				if err := s.View(t.Context(), readMany(n, 5+n%90)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		err := s.Update(t.Context(), func(w store.Writer) error {
			for i := range 70 { // each is two comparisons
				for _, err := range w.Scan(fmt.Sprintf("range%d", i)) {
					return err
				}
			}
			return w.Put("k", []byte("v"))
		})
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Update that scans too much: %v", err)
		}
		for n := range 100 {
			if err := s.View(t.Context(), wants(fmt.Sprintf("k%d-0", n), "v")); err != nil {
				t.Error(err)
			}
		}
	})
}

func readMany(n, keys int) func(store.Reader) error {
	return func(r store.Reader) error {
		for i := range keys {
			if _, err := r.Get(fmt.Sprintf("k%d-%d", n, i)); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	}
}

func readAndWrite(n, keys int) func(store.Writer) error {
	return func(w store.Writer) error {
		if err := readMany(n, keys)(w); err != nil {
			return err
		}
		for i := range keys {
			if err := w.Put(fmt.Sprintf("k%d-%d", n, i), []byte("v")); err != nil {
				return err
			}
		}
		return nil
	}
}

// What a server announces is there as long as it lives, and others are told.
func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mirrortest.New()
		here, _ := openOn(t, db, mirrortest.Faults{})
		there, _ := openOn(t, db, mirrortest.Faults{})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := here.Announce(ctx, "servers/1", []byte("v")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := there.View(t.Context(), wants("servers/1", "v")); err != nil {
			t.Error(err)
		}
		stop()
		wg.Wait()
		if err := there.View(t.Context(), wants("servers/1", "v")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the end: %v", err)
		}
	})
}
