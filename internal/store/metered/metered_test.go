package metered

import (
	"errors"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

// It is a store like any other.
func TestSuite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return New(memory.New(), func(Transaction) {})
	})
}

func TestWhatIsTold(t *testing.T) {
	var mu sync.Mutex
	var told []Transaction
	backend := optimistic.NewBackend()
	other := group.New(backend.Driver())
	defer other.Close()
	s := New(group.New(backend.Driver()), func(tx Transaction) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, tx)
	})
	defer s.Close()
	put := func(value string) func(store.Writer) error {
		return func(w store.Writer) error { return w.Put("k", []byte(value)) }
	}
	failure := errors.New("on purpose")
	conflict := true
	for _, err := range []error{
		s.Update(t.Context(), put("1")),
		s.View(t.Context(), func(r store.Reader) error { _, err := r.Get("k"); return err }),
		s.View(t.Context(), func(store.Reader) error { return failure }),
		s.Update(t.Context(), func(w store.Writer) error {
			if _, err := w.Get("k"); err != nil {
				return err
			}
			if conflict { // somebody else is faster
				conflict = false
				if err := other.Update(t.Context(), put("2")); err != nil {
					return err
				}
			}
			return w.Put("k", []byte("3"))
		}),
	} {
		if err != nil && !errors.Is(err, failure) {
			t.Fatal(err)
		}
	}
	want := []Transaction{
		{Update: true, Runs: 1}, {Runs: 1}, {Runs: 1, Err: failure, Refused: true}, {Update: true, Runs: 2},
	}
	if len(told) != len(want) {
		t.Fatalf("told %+v, want %+v", told, want)
	}
	for i, tx := range told {
		if tx.Took <= 0 {
			t.Errorf("%d took %v", i, tx.Took)
		}
		tx.Took = 0
		if tx != want[i] {
			t.Errorf("%d: %+v, want %+v", i, tx, want[i])
		}
	}
}
