package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// slow is a watcher that takes one change whenever the test receives one.
func slow(t *testing.T, f *store.Feed) <-chan store.Change {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan store.Change)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := f.Watch(ctx, func(c store.Change) {
			select {
			case changes <- c:
			case <-ctx.Done():
			}
		})
		if err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	synctest.Wait()
	return changes
}

// due receives all changes that are due.
func due(changes <-chan store.Change) []xlreg.ClusterID {
	var ids []xlreg.ClusterID
	for {
		synctest.Wait()
		select {
		case c := <-changes:
			ids = append(ids, c.Cluster)
		default:
			return ids
		}
	}
}

func TestFeedCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f) // and the zero Change is on its way
		f.Publish("a")
		if c := <-changes; c != (store.Change{}) {
			t.Fatalf("first change %v", c)
		}
		synctest.Wait() // a is on its way
		for range 1000 {
			f.Publish("b", "a")
			f.Publish("c")
		}
		if got := due(changes); !slices.Equal(got, []xlreg.ClusterID{"a", "b", "a", "c"}) {
			t.Errorf("got %q", got)
		}
		f.Publish("b")
		if got := due(changes); !slices.Equal(got, []xlreg.ClusterID{"b"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestFeedPublishAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f)
		<-changes
		f.Publish("a")
		synctest.Wait() // a is on its way
		f.Publish("b", "c")
		f.PublishAll()
		f.Publish("d")
		if got := due(changes); !slices.Equal(got, []xlreg.ClusterID{"a", ""}) {
			t.Errorf("got %q: a zero Change stands for all that is due", got)
		}
		f.Publish("b")
		if got := due(changes); !slices.Equal(got, []xlreg.ClusterID{"b"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestFeedTellsEveryWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		f.Publish("early")
		first, second := slow(t, f), slow(t, f)
		<-second
		f.Publish() // nothing
		f.Publish("a")
		if got := due(second); !slices.Equal(got, []xlreg.ClusterID{"a"}) {
			t.Errorf("second watcher got %q", got)
		}
		if got := due(first); !slices.Equal(got, []xlreg.ClusterID{"", "a"}) {
			t.Errorf("first watcher got %q", got)
		}
	})
}

// What is still due when a watcher's time is over is not delivered.
func TestFeedStops(t *testing.T) {
	for name, stop := range map[string]func(*store.Feed, context.CancelFunc) error{
		"context": func(_ *store.Feed, cancel context.CancelFunc) error { cancel(); return nil },
		"close":   func(f *store.Feed, _ context.CancelFunc) error { f.Close(); f.Close(); return store.ErrClosed },
	} {
		t.Run(name, func(t *testing.T) {
			f := store.NewFeed()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var want error
			calls := 0
			err := f.Watch(ctx, func(store.Change) {
				calls++
				f.Publish("a", "b")
				want = stop(f, cancel)
				f.Publish("c")
				f.PublishAll()
			})
			if !errors.Is(err, want) || calls != 1 {
				t.Errorf("Watch returned %v after %d calls, want %v after 1", err, calls, want)
			}
		})
	}
}

// A watcher may hear of many clusters, in the order of their first change.
func TestFeedKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f)
		<-changes
		f.Publish("x")
		synctest.Wait()
		want := []xlreg.ClusterID{"x"}
		for i := range 500 {
			id := xlreg.ClusterID(fmt.Sprint(i))
			f.Publish(id, "0")
			want = append(want, id)
		}
		if got := due(changes); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}
