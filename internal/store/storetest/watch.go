package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// watching is a Watch in a goroutine of its own.
type watching struct {
	changes chan store.Change // what it is called with; unbuffered
	ended   chan error        // what it returns
	stop    context.CancelFunc
}

// watch begins a Watch that waits for somebody to receive each change, and
// leaves nothing behind when the test ends.
func watch(t *testing.T, s store.Store) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{changes: make(chan store.Change), ended: make(chan error, 1), stop: cancel}
	var wg sync.WaitGroup
	wg.Go(func() {
		w.ended <- s.Watch(ctx, func(c store.Change) {
			select {
			case w.changes <- c:
			case <-ctx.Done():
			}
		})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return w
}

func testWatchBegins(t *testing.T, s store.Store) {
	update(t, s, everything)
	for range 2 {
		w := watch(t, s)
		if c := receive(t, w.changes, "first change"); c != (store.Change{}) {
			t.Errorf("first change is %v, want a zero one", c)
		}
	}
}

// testWatchSeesAll looks at the seats on each change, as a server does, and
// must come to see them all.
func testWatchSeesAll(t *testing.T, s store.Store) {
	const clusters, seats = 5, 8
	w := watch(t, s)
	receive(t, w.changes, "first change")
	var wg sync.WaitGroup
	for n := range clusters {
		wg.Go(func() {
			for i := range seats {
				if err := s.Update(t.Context(), putSeat(clusterID(n), seat(i, i))); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	seen := make(map[xlreg.ClusterID]int)
	for sum := 0; sum < clusters*seats; sum = total(seen) {
		look(t, s, receive(t, w.changes, "change"), seen, clusters)
	}
	wg.Wait()
}

func look(t *testing.T, s store.Store, c store.Change, seen map[xlreg.ClusterID]int, clusters int) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		for n := range clusters {
			id := clusterID(n)
			if c.Cluster != "" && c.Cluster != id {
				continue
			}
			seats, err := r.Seats(id)
			if err != nil {
				return err
			}
			seen[id] = len(seats)
		}
		return nil
	})
}

func total(seen map[xlreg.ClusterID]int) int {
	sum := 0
	for _, n := range seen {
		sum += n
	}
	return sum
}

// A watcher that does not come back holds up nobody, and learns of the last
// change when it does.
func testWatchSlow(t *testing.T, s store.Store) {
	const clusters, seats = 3, 64
	slow := watch(t, s)
	update(t, s, everything)
	for n := range clusters {
		for i := range seats {
			update(t, s, putSeat(clusterID(n), seat(i, i)))
		}
	}
	seen := make(map[xlreg.ClusterID]int)
	for total(seen) < clusters*seats {
		look(t, s, receive(t, slow.changes, "change"), seen, clusters)
	}
}

func testWatchEnds(t *testing.T, s store.Store) {
	w := watch(t, s)
	receive(t, w.changes, "first change")
	w.stop()
	if err := receive(t, w.ended, "end of Watch"); err != nil {
		t.Errorf("Watch returned %v, want nil", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Watch(ctx, func(store.Change) {}); err != nil {
		t.Errorf("Watch with an ended context returned %v, want nil", err)
	}
	update(t, s, everything)
}

func testWatchClosed(t *testing.T, s store.Store) {
	w := watch(t, s)
	receive(t, w.changes, "first change")
	mustClose(t, s)
	if err := receive(t, w.ended, "end of Watch"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Watch returned %v, want %v", err, store.ErrClosed)
	}
	err := s.Watch(t.Context(), func(store.Change) { t.Error("a change after Close") })
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("Watch after Close returned %v, want %v", err, store.ErrClosed)
	}
}

func testClosed(t *testing.T, s store.Store) {
	update(t, s, everything)
	mustClose(t, s)
	mustClose(t, s)
	if err := s.Update(t.Context(), func(store.Writer) error { return errOnPurpose }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update returned %v, want %v", err, store.ErrClosed)
	}
	if err := s.View(t.Context(), func(store.Reader) error { return errOnPurpose }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View returned %v, want %v", err, store.ErrClosed)
	}
}

// Close may come at any time: everything under way ends, well or with ErrClosed.
func testCloseWhileBusy(t *testing.T, s store.Store) {
	closeWhileBusy(t, s)
}

// closeWhileBusy returns the nodes that were put before s was closed.
func closeWhileBusy(t *testing.T, s store.Store) []xlreg.Token {
	var mu sync.Mutex
	var kept []xlreg.Token
	busy := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				n := node(8*i + g)
				err := s.Update(t.Context(), putNode(n))
				if err == nil {
					err = s.View(t.Context(), func(r store.Reader) error { return wantNode(r, n) })
					mu.Lock()
					kept = append(kept, n)
					mu.Unlock()
				}
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						t.Errorf("while closing: %v", err)
					}
					return
				}
				signal(busy)
			}
		})
	}
	for range 5 {
		receive(t, busy, "update")
	}
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() { mustClose(t, s) })
	}
	closers.Wait()
	wg.Wait()
	return kept
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
