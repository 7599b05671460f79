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
	update(t, s, everything)
	update(t, s, putAll(putSeat(clusterID(2), seat(63, 2)), putSeat(clusterID(2), seat(0, 3)), putNode(node(2))))
	update(t, s, deleteSeat(clusterID(2), 63))
	mustClose(t, s)

	s = open(t, dir)
	defer mustClose(t, s)
	check := func(r store.Reader) error {
		return errors.Join(
			wantNode(r, node(1)), wantNode(r, node(2)), wantCluster(r, cluster(1)),
			wantSeats(r, clusterID(1), seat(0, 1)), wantSeats(r, clusterID(2), seat(0, 3)),
		)
	}
	view(t, s, check)
	update(t, s, putNode(node(3)))
	view(t, s, func(r store.Reader) error { return errors.Join(check(r), wantNode(r, node(3))) })
}

// Whatever an Update answered before the store was closed is there afterwards.
func testReopenAfterBusyClose(t *testing.T, open OpenDir) {
	dir := t.TempDir()
	kept := closeWhileBusy(t, open(t, dir))
	s := open(t, dir)
	defer mustClose(t, s)
	view(t, s, func(r store.Reader) error {
		var errs []error
		for _, n := range kept {
			errs = append(errs, wantNode(r, n))
		}
		return errors.Join(errs...)
	})
}

func testReopenModel(t *testing.T, open OpenDir) {
	dir := t.TempDir()
	w := world{}
	rapid.Check(t, func(rt *rapid.T) {
		w.first += worldSize
		s := open(t, dir)
		m := w.run(rt, s, newModel())
		mustClose(t, s)
		s = open(t, dir)
		defer mustClose(t, s)
		if err := s.View(rt.Context(), func(r store.Reader) error { return w.same(r, m) }); err != nil {
			rt.Fatalf("reopened: %v", err)
		}
	})
}
