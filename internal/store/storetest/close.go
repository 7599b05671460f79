package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func closeCases() []testCase {
	return []testCase{
		{"Closed", testClosed},
		{"CloseWhileBusy", testCloseWhileBusy},
	}
}

func testClosed(t *testing.T, s store.Store) {
	update(t, s, before)
	mustClose(t, s)
	mustClose(t, s)
	if err := s.Update(t.Context(), give(errOnPurpose)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update returned %v, want %v", err, store.ErrClosed)
	}
	err := s.View(t.Context(), func(store.Reader) error { return errOnPurpose })
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("View returned %v, want %v", err, store.ErrClosed)
	}
}

// Close may come at any time: everything under way ends, well or with ErrClosed.
func testCloseWhileBusy(t *testing.T, s store.Store) {
	closeWhileBusy(t, s)
}

// closeWhileBusy returns the keys that were put before s was closed.
func closeWhileBusy(t *testing.T, s store.Store) []string {
	var mu sync.Mutex
	var kept []string
	busy := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("busy%d-%d", g, i)
				err := s.Update(t.Context(), put(key, "v"))
				if err == nil {
					mu.Lock()
					kept = append(kept, key)
					mu.Unlock()
					err = s.View(t.Context(), func(r store.Reader) error { return wantValue(r, key, "v") })
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
