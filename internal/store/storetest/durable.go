package storetest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg/internal/store"
)

func testReopen(t *testing.T, open OpenDir) {
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, before)
	update(t, s, something)
	err := s.Update(t.Context(), all(put("p9", "failed"), give(errOnPurpose)))
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("Update: %v", err)
	}
	mustClose(t, s)

	s = open(t, dir)
	defer mustClose(t, s)
	view(t, s, wantAfter)
	update(t, s, put("q", "later"))
	view(t, s, func(r store.Reader) error { return errors.Join(wantAfter(r), wantValue(r, "q", "later")) })
}

// Whatever an Update answered before the store was closed is there afterwards.
func testReopenAfterBusyClose(t *testing.T, open OpenDir) {
	dir := t.TempDir()
	kept := closeWhileBusy(t, open(t, dir))
	s := open(t, dir)
	defer mustClose(t, s)
	for _, key := range kept {
		view(t, s, func(r store.Reader) error { return wantValue(r, key, "v") })
	}
}

func testReopenModel(t *testing.T, open OpenDir) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(runs)
		runs++
		s := open(t, dir)
		m := w.run(rt, s, model{})
		mustClose(t, s)
		s = open(t, dir)
		defer mustClose(t, s)
		if err := s.View(rt.Context(), func(r store.Reader) error { return w.same(r, m) }); err != nil {
			rt.Fatalf("reopened: %v", err)
		}
	})
}
