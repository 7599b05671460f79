package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

var errOnPurpose = errors.New("on purpose")

// everything puts one record of each kind.
var everything = putAll(putNode(node(1)), putCluster(cluster(1)), putSeat(clusterID(1), seat(0, 1)))

func testErrorUndoes(t *testing.T, s store.Store) {
	err := s.Update(t.Context(), func(w store.Writer) error {
		return errors.Join(everything(w), errOnPurpose)
	})
	if !errors.Is(err, errOnPurpose) {
		t.Fatalf("Update returned %v", err)
	}
	testNotFound(t, s)

	if err := s.Update(t.Context(), func(store.Writer) error { return errOnPurpose }); err != errOnPurpose { //nolint:errorlint // as it is
		t.Errorf("Update returned %v, want the closure's error as it is", err)
	}
	if err := s.View(t.Context(), func(store.Reader) error { return errOnPurpose }); err != errOnPurpose { //nolint:errorlint // as it is
		t.Errorf("View returned %v, want the closure's error as it is", err)
	}
}

func testPanicUndoes(t *testing.T, s store.Store) {
	func() {
		defer func() {
			if got := recover(); got != any(errOnPurpose) {
				t.Errorf("recovered %v", got)
			}
		}()
		err := s.Update(t.Context(), func(w store.Writer) error {
			if err := everything(w); err != nil {
				return err
			}
			panic(errOnPurpose)
		})
		t.Errorf("Update returned %v", err)
	}()
	testNotFound(t, s)
	update(t, s, everything)
}

// A goroutine that ends in a closure, as a failing test does, holds up nobody.
func testGoexitUndoes(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(t.Context(), func(w store.Writer) error {
			defer runtime.Goexit()
			return everything(w)
		})
	})
	wg.Wait()
	testNotFound(t, s)
	update(t, s, everything)
}

func testNothingPut(t *testing.T, s store.Store) {
	update(t, s, everything)
	for range 3 {
		update(t, s, func(w store.Writer) error { return wantNode(w, node(1)) })
	}
	view(t, s, func(r store.Reader) error { return wantNode(r, node(1)) })
}

func testEndedContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOnPurpose)
	if err := s.Update(ctx, everything); !errors.Is(err, context.Canceled) {
		t.Errorf("Update returned %v", err)
	}
	err := s.View(ctx, func(store.Reader) error { return errOnPurpose })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("View returned %v", err)
	}
	testNotFound(t, s)
}

// takeLowest is a small Join: it takes the lowest free seat for node n.
func takeLowest(id xlreg.ClusterID, n int, index *int) func(store.Writer) error {
	return func(w store.Writer) error {
		c, err := w.Cluster(id)
		if err != nil {
			return err
		}
		*index = c.Taken.LowestFree()
		if *index >= c.MaxSize {
			return errOnPurpose
		}
		c.Taken = c.Taken.With(*index)
		c.Revision++
		return errors.Join(w.PutSeat(id, seat(*index, n)), w.PutCluster(c))
	}
}

func testLowestFreeSeat(t *testing.T, s store.Store) {
	const late = 6 // as many as find the cluster full
	c := cluster(0)
	update(t, s, putCluster(c))
	indexes := make([]int, c.MaxSize+late)
	errs := make([]error, len(indexes))
	var wg sync.WaitGroup
	for n := range indexes {
		wg.Go(func() { errs[n] = s.Update(t.Context(), takeLowest(c.ID, n, &indexes[n])) })
	}
	wg.Wait()

	want := make([]xlreg.Member, c.MaxSize)
	refused := 0
	for n, err := range errs {
		switch {
		case err == nil:
			want[indexes[n]] = seat(indexes[n], n)
		case errors.Is(err, errOnPurpose):
			refused++
		default:
			t.Fatalf("Update: %v", err)
		}
	}
	if refused != late {
		t.Fatalf("%d refused, want %d", refused, late)
	}
	c.Taken, c.Revision = xlreg.AllSeats, uint64(c.MaxSize)
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantCluster(r, c), wantSeats(r, c.ID, want...))
	})
}

// The record of a cluster and its seats change together or not at all.
func testViewsAreConsistent(t *testing.T, s store.Store) {
	const rounds = 60
	c := cluster(1)
	update(t, s, putCluster(c))
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- toggle(t.Context(), s, c, rounds) })
	for range 2 {
		wg.Go(func() {
			for last := uint64(0); last < c.Revision+rounds; {
				err := s.View(t.Context(), func(r store.Reader) (err error) {
					last, err = agree(r, c.ID, last)
					return err
				})
				if err != nil {
					t.Errorf("View: %v", err)
					return
				}
			}
		})
	}
	if err := receive(t, done, "end of the updates"); err != nil {
		t.Errorf("Update: %v", err)
	}
	wg.Wait()
}

// toggle takes and frees seats, one in each Update.
func toggle(ctx context.Context, s store.Store, c store.Cluster, rounds int) error {
	for i := range rounds {
		index := i * 7 % 64
		c.Revision++
		change := putSeat(c.ID, seat(index, i))
		c.Taken ^= 1 << index
		if !c.Taken.Has(index) {
			change = deleteSeat(c.ID, index)
		}
		if err := s.Update(ctx, putAll(change, putCluster(c))); err != nil {
			return err
		}
	}
	return nil
}

func agree(r store.Reader, id xlreg.ClusterID, last uint64) (uint64, error) {
	c, err := r.Cluster(id)
	if err != nil {
		return last, err
	}
	seats, err := r.Seats(id)
	if err != nil {
		return last, err
	}
	var taken xlreg.Seats
	for _, m := range seats {
		taken = taken.With(m.Index)
	}
	if taken != c.Taken || bits.OnesCount64(uint64(taken)) != len(seats) {
		return last, fmt.Errorf("revision %d: seats %x, the cluster says %x", c.Revision, taken, c.Taken)
	}
	if c.Revision < last {
		return last, fmt.Errorf("revision %d after %d", c.Revision, last)
	}
	return c.Revision, nil
}

func testReadYourWrites(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 {
				n := node(g)
				n.Attrs = xlreg.NodeAttrs(i)
				err := s.Update(t.Context(), putNode(n))
				if err == nil {
					err = s.View(t.Context(), func(r store.Reader) error { return wantNode(r, n) })
				}
				if err != nil {
					t.Errorf("round %d of %d: %v", i, g, err)
				}
			}
		})
	}
	wg.Wait()
}

// Of Updates that run at one time, those that fail or panic leave the others be.
func testFailuresAmongOthers(t *testing.T, s store.Store) {
	const each = 20
	var wg sync.WaitGroup
	for n := range 3 * each {
		wg.Go(func() {
			defer func() {
				if got := recover(); (got != nil) != (n%3 == 2) {
					t.Errorf("%d recovered %v", n, got)
				}
			}()
			err := s.Update(t.Context(), func(w store.Writer) error {
				return errors.Join(putNode(node(n))(w), putSeat(clusterID(n), seat(n, n))(w), misbehave(n%3))
			})
			if errors.Is(err, errOnPurpose) != (n%3 == 1) {
				t.Errorf("%d returned %v", n, err)
			}
		})
	}
	wg.Wait()
	view(t, s, func(r store.Reader) error {
		var errs []error
		for n := range 3 * each {
			if n%3 == 0 {
				errs = append(errs, wantNode(r, node(n)), wantSeats(r, clusterID(n), seat(n, n)))
				continue
			}
			errs = append(errs, wantNoNode(r, nodeID(n)), wantSeats(r, clusterID(n)))
		}
		return errors.Join(errs...)
	})
}

func misbehave(how int) error {
	switch how {
	case 1:
		return errOnPurpose
	case 2:
		panic(errOnPurpose)
	}
	return nil
}
