package overview_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// told is what one follower was told at once.
type told struct {
	restart bool
	changes []api.Change
}

// follow tells what a follower is told, until the test ends. The follower goes on when
// that has been received.
func (w *world) follow(since string) <-chan told {
	ctx, cancel := context.WithCancel(w.t.Context())
	all := make(chan told)
	var following sync.WaitGroup
	following.Go(func() {
		err := w.Follow(ctx, since, func(restart bool, changes []api.Change) error {
			select {
			case all <- told{restart, changes}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if !errors.Is(err, context.Canceled) {
			w.t.Errorf("following ends with %v", err)
		}
	})
	w.t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return all
}

func next(t *testing.T, all <-chan told) told {
	t.Helper()
	select {
	case one := <-all:
		return one
	case <-time.After(time.Minute):
		t.Fatal("nothing is told")
		return told{}
	}
}

// A follower goes on where another reader of the same revision stopped, and is told of
// each change once.
func TestFollowFromARevision(t *testing.T) {
	w := newWorld(t, nil)
	c := w.add(w.cluster("c", 2, start))
	w.until("c", func() bool { return w.has(c) })
	page, err := w.List(t.Context(), api.ClusterQuery{})
	if err != nil {
		t.Fatal(err)
	}
	all := w.follow(page.Revision)
	w.change(c, seat(0))
	first := next(t, all)
	if first.restart || len(first.changes) != 1 || first.changes[0].Cluster.Members != 1 || first.changes[0].Revision == page.Revision {
		t.Errorf("first told: %+v", first)
	}
	w.purge(c)
	second := next(t, all)
	if second.restart || len(second.changes) != 1 || second.changes[0].Gone != page.Items[0].ID || second.changes[0].Cluster != nil {
		t.Errorf("then told: %+v", second)
	}
	if got := w.Revision(); got != second.changes[0].Revision {
		t.Errorf("the revision is %s, and %s was told", got, second.changes[0].Revision)
	}
}

// Revisions of other runs, of the future, and what is none begin anew.
func TestFollowFromNowhere(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	boot, _, _ := strings.Cut(w.Revision(), "-")
	for _, since := range []string{"", "x", "00000000-1", boot, boot + "-", boot + "-99", boot + "-01", boot + "-0"} {
		if one := next(t, w.follow(since)); !one.restart || len(one.changes) != 0 {
			t.Errorf("from %q: %+v", since, one)
		}
		if since == "" {
			continue // waits with ETags are not begun with that
		}
		if err := w.Wait(t.Context(), since, time.Hour); err != nil {
			t.Errorf("waiting from %q: %v", since, err)
		}
	}
}

// Whoever is slow is told of the last state of each cluster, and not of those between.
func TestFollowSlowly(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	all := w.follow(w.Revision())
	c, d := w.add(w.cluster("c", 9, start)), w.cluster("d", 9, start)
	if one := next(t, all); len(one.changes) != 1 {
		t.Fatalf("%+v", one)
	}
	w.add(d)
	for i := range 9 {
		w.change(c, seat(i))
	}
	w.until("all of it", func() bool {
		now, _ := w.Cluster(string(c.ID))
		return now.Members == 9
	})
	seen := make(map[string]int)
	var last api.Change
	for last.Cluster == nil || last.Cluster.Members < 9 {
		for _, last = range next(t, all).changes {
			seen[last.Cluster.Name]++
		}
	}
	// What was told before all had happened counts, too: at once, and a batch later.
	if seen["d"] != 1 || seen["c"] > 3 {
		t.Errorf("clusters are told of as often as %v", seen)
	}
}

// Whoever is so slow that too much has happened begins anew.
func TestFollowTooSlowly(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	all := w.follow(w.Revision())
	const many = overview.RingLen + 2*overview.BatchLen
	for i := range 1 + many/50 {
		w.update(func(tx records.Writer) error {
			for k := range 50 {
				if err := tx.AddCluster(w.cluster(fmt.Sprintf("c-%d-%d", i, k), 2, start)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.settle() // the follower has been told of the first ones, and nobody has taken that
	w.settle()
	if one := next(t, all); one.restart || len(one.changes) > overview.BatchLen {
		t.Errorf("first %d changes, restart: %v", len(one.changes), one.restart)
	}
	if one := next(t, all); !one.restart {
		t.Errorf("then %d changes without a restart", len(one.changes))
	}
}

// Those who follow at the same pace share what they are told.
func TestFollowersShare(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	const followers = 5
	since := w.Revision()
	var streams []<-chan told
	for range followers {
		streams = append(streams, w.follow(since))
	}
	w.add(w.cluster("c", 2, start))
	var first *api.Change
	for _, s := range streams {
		one := next(t, s)
		if first == nil {
			first = &one.changes[0]
		}
		if &one.changes[0] != first {
			t.Error("two followers have two copies")
		}
	}
}

func TestWait(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	begun := time.Now()
	if err := w.Wait(t.Context(), w.Revision(), 20*time.Millisecond); err != nil || time.Since(begun) < 20*time.Millisecond {
		t.Errorf("a wait for nothing: %v after %v", err, time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Wait(ctx, w.Revision(), time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is given up: %v", err)
	}
	done := make(chan error, 1)
	since := w.Revision()
	go func() { done <- w.Wait(t.Context(), since, time.Hour) }()
	w.add(w.cluster("c", 2, start))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What waits is told when the registry stops.
func TestCloseEndsFollowers(t *testing.T) {
	w := newWorld(t, nil)
	w.settle()
	var ends []chan error
	since := w.Revision()
	begun := make(chan struct{}, 1)
	for _, f := range []func() error{
		func() error { return w.Wait(t.Context(), since, time.Hour) },
		func() error {
			return w.Follow(t.Context(), "", func(bool, []api.Change) error {
				begun <- struct{}{}
				return nil
			})
		},
	} {
		end := make(chan error, 1)
		ends = append(ends, end)
		go func() { end <- f() }()
	}
	<-begun
	w.Close()
	w.Close()
	for _, end := range ends {
		if err := <-end; !errors.Is(err, api.ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	}
	if err := w.Wait(t.Context(), since, time.Hour); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("a wait afterwards: %v", err)
	}
}

// A follower that fails ends, and nothing else does.
func TestFollowerFails(t *testing.T) {
	w := newWorld(t, nil)
	failure := errors.New("the peer has gone")
	if err := w.Follow(t.Context(), "", func(bool, []api.Change) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("ended with %v", err)
	}
	w.settle()
}

// held is a store that is not read until a test lets it.
type held struct {
	store.Store
	release chan struct{}
}

func (h *held) View(ctx context.Context, f func(store.Reader) error) error {
	select {
	case <-h.release:
		return h.Store.View(ctx, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A list that cannot be had yet is refused for now, and nobody waits for it longer than
// they want to.
func TestListBeforeAllIsRead(t *testing.T) {
	w := newWorld(t, nil)
	w.Close()
	h := &held{Store: w.store, release: make(chan struct{})}
	w.open(func(cfg *overview.Config) { cfg.Store = h })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.List(ctx, api.ClusterQuery{}); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("a list before there is one: %v", err)
	}
	revision := w.Revision()
	close(h.release)
	w.settle()
	if w.Revision() == revision {
		t.Error("the revision is that of nothing")
	}
}

func TestListRefuses(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 3 {
		w.add(w.cluster(fmt.Sprint("c", i), 2, start))
	}
	w.settle()
	page, err := w.List(t.Context(), api.ClusterQuery{Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatal(page, err)
	}
	for _, q := range []api.ClusterQuery{
		{Order: "oldest"}, {State: "odd"}, {Limit: -1}, {Limit: api.MaxPage + 1}, {Older: -1}, {Newer: -1},
		{Cursor: "x"}, {Cursor: "eCB5"}, {Cursor: page.Next + "!"}, {Cursor: strings.Repeat("A", 4000)},
	} {
		if _, err := w.List(t.Context(), q); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// A search that looks at more clusters than one call may returns what it has, and where to
// go on.
func TestListIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	const many = overview.MaxLooks + 10
	w.Close()
	for first := 0; first < many; first += 50 {
		w.update(func(tx records.Writer) error {
			for i := first; i < min(first+50, many); i++ {
				if err := tx.AddCluster(w.cluster(fmt.Sprintf("c%06d", i), 2, start)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.open(nil)
	w.settle()
	last := fmt.Sprintf("c%06d", many-1)
	page, err := w.List(t.Context(), api.ClusterQuery{Match: last, Order: api.OrderName})
	if err != nil || len(page.Items) != 0 || page.Next == "" || page.Total != 0 {
		t.Fatalf("first %d clusters, %q, %v", len(page.Items), page.Next, err)
	}
	page, err = w.List(t.Context(), api.ClusterQuery{Match: last, Order: api.OrderName, Cursor: page.Next})
	if err != nil || !slices.Equal(names(page.Items), []string{last}) || page.Next != "" {
		t.Errorf("then %+v, %v", page, err)
	}
}
