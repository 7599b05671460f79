package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/xlattice/xlreg/internal/store"
)

// slow is a watcher that takes one change whenever the test receives one.
func slow(t *testing.T, f *store.Feed, prefix string) <-chan store.Change {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan store.Change)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := f.Watch(ctx, prefix, func(c store.Change) error {
			select {
			case changes <- c:
			case <-ctx.Done():
			}
			return nil
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

// due receives all changes that are due, each as key=value; a zero one is "=".
func due(changes <-chan store.Change) []string {
	var found []string
	for {
		synctest.Wait()
		select {
		case c := <-changes:
			found = append(found, c.Key+"="+string(c.Value))
		default:
			return found
		}
	}
}

func change(key, value string) store.Change { return store.Change{Key: key, Value: []byte(value)} }

func wantDue(t *testing.T, changes <-chan store.Change, want ...string) {
	t.Helper()
	if got := due(changes); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFeedCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f, "") // and the zero Change is on its way
		f.Publish(change("a", "0"))
		if c := <-changes; !c.IsZero() {
			t.Fatalf("first change %q", c)
		}
		synctest.Wait() // a is on its way
		for i := range 1000 {
			f.Publish(change("b", fmt.Sprint(i)), change("a", fmt.Sprint(i)))
			f.Publish(change("c", "x"))
		}
		f.Publish(store.Change{Key: "c"})
		wantDue(t, changes, "a=0", "b=999", "a=999", "c=")
		f.Publish(change("b", "later"))
		wantDue(t, changes, "b=later")
	})
}

func TestFeedPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f, "b/")
		f.Publish(change("b", "x"), change("b/1", "1"))
		wantDue(t, changes, "=", "b/1=1")
		f.Publish(change("a", "x"), change("b/", "2"), change("b0", "x"), change("c/b/", "x"))
		wantDue(t, changes, "b/=2")
	})
}

func TestFeedPublishAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f, "")
		<-changes
		f.Publish(change("a", "1"))
		synctest.Wait() // a is on its way
		f.Publish(change("b", "1"), change("c", "1"))
		f.PublishAll()
		f.Publish(change("d", "1"))
		wantDue(t, changes, "a=1", "=") // which stands for all that is due
		f.Publish(change("b", "2"))
		wantDue(t, changes, "b=2")
	})
}

// What waits for a watcher is bounded, and it is told when it missed something.
func TestFeedIsBounded(t *testing.T) {
	const most = 1 << 16
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes, other := slow(t, f, "k"), slow(t, f, "other")
		<-changes
		<-other
		f.Publish(change("k", "on its way"))
		synctest.Wait()
		flood := make([]store.Change, most)
		for i := range flood {
			flood[i] = change(fmt.Sprintf("k%d", i), "v")
		}
		f.Publish(flood...)
		if got := due(changes); len(got) != most+1 || got[most] != flood[most-1].Key+"=v" {
			t.Fatalf("got %d changes, want %d", len(got), most+1)
		}
		f.Publish(change("k", "on its way"))
		synctest.Wait()
		f.Publish(flood...)
		f.Publish(flood...)                    // no more keys
		f.Publish(change("one more", "x"))     // of no interest
		f.Publish(change("k one more", "x"))   // one too many
		f.Publish(change("k and another", "")) // included
		wantDue(t, changes, "k=on its way", "=")
		wantDue(t, other)
	})
}

func TestFeedTellsEveryWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		f.Publish(change("early", "x"))
		first, second := slow(t, f, ""), slow(t, f, "a")
		<-second
		f.Publish() // nothing
		f.Publish(change("a", "1"))
		wantDue(t, second, "a=1")
		wantDue(t, first, "=", "a=1")
	})
}

// What is still due when a watcher's time is over is not delivered.
func TestFeedStops(t *testing.T) {
	errOnPurpose := errors.New("on purpose")
	for name, stop := range map[string]func(*store.Feed, context.CancelFunc) (returned, want error){
		"context": func(_ *store.Feed, cancel context.CancelFunc) (error, error) { cancel(); return nil, nil },
		"close": func(f *store.Feed, _ context.CancelFunc) (error, error) {
			f.Close()
			f.Close()
			return nil, store.ErrClosed
		},
		"error": func(*store.Feed, context.CancelFunc) (error, error) { return errOnPurpose, errOnPurpose },
	} {
		t.Run(name, func(t *testing.T) {
			f := store.NewFeed()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var want error
			calls := 0
			err := f.Watch(ctx, "", func(store.Change) error {
				calls++
				f.Publish(change("a", "1"), change("b", "1"))
				var returned error
				returned, want = stop(f, cancel)
				f.Publish(change("c", "1"))
				f.PublishAll()
				return returned
			})
			if err != want || calls != 1 { //nolint:errorlint // as it is
				t.Errorf("Watch returned %v after %d calls, want %v after 1", err, calls, want)
			}
		})
	}
}

// A watcher may hear of many keys, in the order of their first change.
func TestFeedKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := store.NewFeed()
		changes := slow(t, f, "")
		<-changes
		f.Publish(change("x", "v"))
		synctest.Wait()
		want := []string{"x=v"}
		for i := range 500 {
			key := fmt.Sprint(i)
			f.Publish(change(key, "v"), change("0", "v"))
			want = append(want, key+"=v")
		}
		wantDue(t, changes, want...)
	})
}
