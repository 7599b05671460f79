package optimistic_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneServer(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return group.New(optimistic.NewBackend().Driver()) })
}

func TestShared(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.Shared {
		b := optimistic.NewBackend()
		return func(*testing.T) store.Store { return group.New(b.Driver()) }
	})
}

// servers returns a backend and two stores on it, which are closed when the test ends.
func servers(t *testing.T) (b *optimistic.Backend, here, there store.Store) {
	t.Helper()
	b = optimistic.NewBackend()
	here, there = group.New(b.Driver()), group.New(b.Driver())
	t.Cleanup(func() {
		if err := errors.Join(here.Close(), there.Close()); err != nil {
			t.Error(err)
		}
	})
	return b, here, there
}

func put(key, value string) func(store.Writer) error {
	return func(w store.Writer) error { return w.Put(key, []byte(value)) }
}

func update(t *testing.T, s store.Store, f func(store.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// looks are what a closure may rest upon, and what another server may do to it.
var looks = map[string]struct {
	look     func(store.Reader) error
	meddle   func(store.Writer) error
	conflict bool
}{
	"value replaced":       {get("p/1"), put("p/1", "new"), true},
	"value removed":        {get("p/1"), func(w store.Writer) error { return w.Delete("p/1") }, true},
	"value made":           {get("p/2"), put("p/2", "new"), true},
	"another's value":      {get("p/1"), put("p/2", "new"), false},
	"scanned key gone":     {scan, func(w store.Writer) error { return errors.Join(w.Delete("p/1"), w.Put("p/", []byte("g"))) }, true},
	"key below added":      {scan, func(w store.Writer) error { return errors.Join(w.Put("p/2", []byte("v")), w.Put("p/", []byte("g"))) }, true},
	"value replaced below": {scan, put("p/1", "new"), true},
	"elsewhere":            {scan, put("q", "new"), false},
}

func get(key string) func(store.Reader) error {
	return func(r store.Reader) error {
		_, err := r.Get(key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
}

func scan(r store.Reader) error {
	for _, err := range r.Scan("p/") {
		if err != nil {
			return err
		}
	}
	return nil
}

// A closure whose ground is changed by another server before it commits runs again.
func TestConflicts(t *testing.T) {
	for name, c := range looks {
		t.Run(name, func(t *testing.T) {
			b, here, there := servers(t)
			update(t, here, func(w store.Writer) error {
				return errors.Join(w.Put("p/", []byte("g")), w.Put("p/1", []byte("v")))
			})
			runs := 0
			update(t, here, func(w store.Writer) error {
				runs++
				if err := c.look(w); err != nil {
					return err
				}
				if runs == 1 {
					update(t, there, c.meddle) // which a closure may not do, but for a test
				}
				return w.Put("outcome", strconv.AppendInt(nil, int64(runs), 10))
			})
			if conflict := runs > 1; conflict != c.conflict || b.Conflicts() != runs-1 {
				t.Errorf("%d runs, %d conflicts, want a conflict: %v", runs, b.Conflicts(), c.conflict)
			}
		})
	}
}

// A closure that has only looked, or failed, saw one state, and the one that counts.
func TestReadersConflict(t *testing.T) {
	errOnPurpose := errors.New("on purpose")
	for _, want := range []error{nil, errOnPurpose} {
		b, here, there := servers(t)
		runs, seen := 0, ""
		err := here.Update(t.Context(), func(w store.Writer) error {
			runs++
			value, err := w.Get("k")
			if runs == 1 {
				update(t, there, put("k", "new"))
			}
			if err == nil {
				seen = string(value)
			}
			return want
		})
		if !errors.Is(err, want) || seen != "new" || b.Conflicts() != 1 {
			t.Errorf("Update: %v, saw %q, %d conflicts", err, seen, b.Conflicts())
		}
	}
}

// One server hears of what another has done, and goes on when the other has closed.
func TestNewsOfAnotherServer(t *testing.T) {
	_, here, there := servers(t)
	ctx, cancel := context.WithCancel(t.Context())
	news := make(chan store.Change)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := here.Watch(ctx, "k", func(c store.Change) error {
			news <- c
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if c := <-news; !c.IsZero() {
		t.Errorf("first news %q", c)
	}
	update(t, there, put("k", "v"))
	if c := <-news; c.Key != "k" || string(c.Value) != "v" {
		t.Errorf("news %q", c)
	}
	cancel()
	wg.Wait()
	if err := there.Close(); err != nil {
		t.Error(err)
	}
	update(t, here, put("k", "later"))
	if err := there.Update(t.Context(), put("k", "x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update of a closed server: %v", err)
	}
}
