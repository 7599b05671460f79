package storetest

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg/internal/store"
)

// model is a store as plain as can be: a map, and a copy of it to go back to.
type model map[string]string

var _ store.Writer = model(nil)

func (m model) Get(key string) ([]byte, error) {
	value, ok := m[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return []byte(value), nil
}

func (m model) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			below := len(key) > len(prefix) && strings.HasPrefix(key, prefix)
			if below && !yield(store.Item{Key: key, Value: []byte(m[key])}, nil) {
				return
			}
		}
	}
}

func (m model) Put(key string, value []byte) error {
	m[key] = string(value)
	return nil
}

func (m model) Delete(key string) error {
	delete(m, key)
	return nil
}

// world is the few keys that one run of the simulation is about. Runs share a
// store, each with keys of its own.
type world struct {
	root string   // lies above all the keys
	keys []string // few, so that calls meet on the same ones
}

func newWorld(run int) world {
	w := world{root: fmt.Sprintf("run%d/", run)}
	for _, key := range []string{"a", "a\x00", "aa", "a\xff", "b", "b\xff", "b\xff\xff", "c"} {
		w.keys = append(w.keys, w.root+key)
	}
	return w
}

// drawCall returns one call of a Writer.
func (w world) drawCall(t *rapid.T) call {
	key := rapid.SampledFrom(w.keys).Draw(t, "key")
	if rapid.IntRange(0, 2).Draw(t, "call") == 0 {
		return remove(key)
	}
	return put(key, rapid.StringN(1, 5, -1).Draw(t, "value"))
}

// same returns an error unless r and m say the same about this world.
func (w world) same(r store.Reader, m model) error {
	var errs []error
	for _, key := range w.keys {
		if value, ok := m[key]; ok {
			errs = append(errs, wantValue(r, key, value))
			continue
		}
		errs = append(errs, wantNone(r, key))
	}
	for _, prefix := range []string{w.root, w.root + "a", w.root + "b", w.root + "b\xff"} {
		want, err := list(m, prefix)
		errs = append(errs, err, wantScan(r, prefix, want...))
	}
	return errors.Join(errs...)
}

// step makes the calls on s and m alike, with a look at everything after each.
// They end well, with an error or with a panic; then m is as it was.
func (w world) step(t *rapid.T, s store.Store, m model) model {
	calls := make([]call, rapid.IntRange(0, 6).Draw(t, "calls"))
	for i := range calls {
		calls[i] = w.drawCall(t)
	}
	end := rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "end")
	var after model
	err := guarded(func() error {
		return s.Update(t.Context(), func(tx store.Writer) error {
			after = maps.Clone(m)
			for i, c := range calls {
				if err := errors.Join(c(tx), c(after), w.same(tx, after)); err != nil {
					return fmt.Errorf("call %d: %w", i, err)
				}
			}
			return misbehave(end)(tx)
		})
	})
	if end == 0 && err == nil {
		return after
	}
	if end == 0 || err != errOnPurpose { //nolint:errorlint // nothing wrapped
		t.Fatalf("Update: %v", err)
	}
	return m
}

func (w world) run(t *rapid.T, s store.Store, m model) model {
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		m = w.step(t, s, m)
		err := s.View(t.Context(), func(r store.Reader) error { return w.same(r, m) })
		if err != nil {
			t.Fatalf("View: %v", err)
		}
	}
	return m
}

func testModel(t *testing.T, s store.Store) {
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(runs)
		runs++
		w.run(t, s, model{})
	})
}
