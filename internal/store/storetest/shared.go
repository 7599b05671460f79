package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

type sharedCase struct {
	name string
	run  func(*testing.T, Shared)
}

func sharedCases() []sharedCase {
	return []sharedCase{
		{"SharedSeen", testSharedSeen},
		{"SharedGone", testSharedGone},
		{"SharedLater", testSharedLater},
		{"SharedNews", testSharedNews},
		{"SharedUnique", testSharedUnique},
		{"SharedRosters", testSharedRosters},
		{"SharedClosed", testSharedClosed},
	}
}

// What one has done, all others see, at once.
func testSharedSeen(t *testing.T, open Shared) {
	stores := []store.Store{open(t), open(t), open(t)}
	for i := range 60 {
		n := strconv.Itoa(i)
		update(t, stores[i%3], put("team/", n), put("team/"+n, n), put("value", n))
		look := func(r store.Reader) error {
			found, err := list(r, "team/")
			if len(found) != i+1 {
				err = errors.Join(err, fmt.Errorf("%d below the guard, want %d", len(found), i+1))
			}
			return errors.Join(err, wantValue(r, "value", n), wantValue(r, "team/"+n, n))
		}
		view(t, stores[(i+1)%3], look)
		update(t, stores[(i+2)%3], func(w store.Writer) error { return look(w) })
	}
}

// What one has removed is gone for all others, with its guard, and in a View without.
func testSharedGone(t *testing.T, open Shared) {
	here, there := open(t), open(t)
	for range 20 {
		update(t, here, put("p", "guard"), put("p1", "v"), put("p2", "v"))
		view(t, there, func(r store.Reader) error { return wantScan(r, "p", "p1=v", "p2=v") })
		update(t, here, remove("p1"))
		view(t, there, func(r store.Reader) error { return wantScan(r, "p", "p2=v") })
		update(t, here, remove("p2"), put("p", "changed"))
		update(t, there, func(w store.Writer) error { return errors.Join(wantScan(w, "p"), wantNone(w, "p2")) })
		update(t, here, remove("p"))
		update(t, there, func(w store.Writer) error { return errors.Join(wantScan(w, "p"), wantNone(w, "p")) })
	}
}

// A store that is opened later finds what is there.
func testSharedLater(t *testing.T, open Shared) {
	update(t, open(t), before)
	view(t, open(t), wantBefore)
	update(t, open(t), func(w store.Writer) error { return wantBefore(w) }, something)
	update(t, open(t), func(w store.Writer) error { return wantAfter(w) })
	view(t, open(t), wantAfter)
}

// Whoever watches one hears what another has done, after View shows it.
func testSharedNews(t *testing.T, open Shared) {
	here, there := open(t), open(t)
	w := watch(t, here, "n")
	w.begin(t)
	last := 0
	for i := 1; i <= 50; i++ {
		update(t, there, put("n", strconv.Itoa(i)), put("other", "v"))
		var err error
		if last, err = follows(t.Context(), here, receive(t, w.changes, "change"), last); err != nil || last != i {
			t.Fatalf("news of %d, want %d: %v", last, i, err)
		}
	}
	update(t, there, remove("n"))
	w.expect(t, "n", "")
}

// However many take seats through different stores, each seat is taken once.
func testSharedUnique(t *testing.T, open Shared) {
	const seats, each = 48, 16
	stores := []store.Store{open(t), open(t), open(t)}
	indexes := make([]int, seats)
	var wg sync.WaitGroup
	for n := range seats {
		wg.Go(func() {
			if err := stores[n/each].Update(t.Context(), takeLowest(seats, n, &indexes[n])); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	wg.Wait()
	taken := make(map[int]int)
	for n, index := range indexes {
		if other, ok := taken[index]; ok {
			t.Errorf("%d and %d have both taken %d", other, n, index)
		}
		taken[index] = n
	}
	for _, s := range stores {
		view(t, s, func(r store.Reader) error { return wantRoster(r, seats) })
	}
}

// wantRoster returns an error unless the guard's number is that of the seats below it,
// and at least so much.
func wantRoster(r store.Reader, least int) error {
	n, err := number(r, "team/")
	if err != nil {
		return err
	}
	seats, err := list(r, "team/")
	if err != nil || len(seats) != n || n < least {
		return errors.Join(err, fmt.Errorf("%d seats, and the guard says %d; at least %d were taken", len(seats), n, least))
	}
	return nil
}

// Everybody who looks sees as many seats as the guard says, whatever others do
// meanwhile: in a View, and in an Update that rests on the guard alone.
func testSharedRosters(t *testing.T, open Shared) {
	const rounds = 150
	stores := []store.Store{open(t), open(t), open(t)}
	ctx, stop := context.WithCancel(t.Context())
	var looking, writing sync.WaitGroup
	for n, s := range stores {
		writing.Go(func() {
			for i := range rounds {
				if err := s.Update(t.Context(), seatOrNot(n, i)); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
		looking.Go(func() { lookAtRosters(ctx, t, s) })
	}
	writing.Wait()
	stop()
	looking.Wait()
}

// seatOrNot takes seats of one's own and frees them again.
func seatOrNot(n, i int) call {
	key := seatKey(10*n + i%5)
	return func(w store.Writer) error {
		_, taken, err := find(w, key)
		if err != nil {
			return err
		}
		now, err := number(w, "team/")
		if err != nil {
			return err
		}
		if taken {
			return all(remove(key), put("team/", strconv.Itoa(now-1)))(w)
		}
		return all(put(key, "v"), put("team/", strconv.Itoa(now+1)))(w)
	}
}

func lookAtRosters(ctx context.Context, t *testing.T, s store.Store) {
	var seen error
	look := func(r store.Reader) { seen = wantRoster(r, 0) } // what the last run has seen is what counts
	for ctx.Err() == nil {
		err := s.View(ctx, func(r store.Reader) error {
			look(r)
			return nil
		})
		if err == nil {
			if seen != nil {
				t.Errorf("View: %v", seen)
			}
			err = s.Update(ctx, func(w store.Writer) error {
				look(w)
				return w.Put("looked", []byte("v"))
			})
		}
		if err == nil && seen != nil {
			t.Errorf("Update: %v", seen)
		}
		if err != nil && ctx.Err() == nil {
			t.Errorf("look: %v", err)
		}
	}
}

// One that is closed leaves the others be.
func testSharedClosed(t *testing.T, open Shared) {
	here, there := open(t), open(t)
	update(t, here, before)
	w := watch(t, there, "p")
	w.begin(t)
	mustClose(t, here)
	if err := here.Update(t.Context(), something); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}
	view(t, there, wantBefore)
	update(t, there, put("p1", "later"))
	for c := (store.Change{}); c.Key != "p1" || string(c.Value) != "later"; { // news of before may come late
		c = receive(t, w.changes, "change")
	}
}
