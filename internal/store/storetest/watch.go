package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func watchCases() []testCase {
	return []testCase{
		{"WatchBegins", testWatchBegins},
		{"WatchBringsValues", testWatchBringsValues},
		{"WatchPrefix", testWatchPrefix},
		{"WatchAfterView", testWatchAfterView},
		{"WatchWhatIsKept", testWatchWhatIsKept},
		{"WatchSeesAll", testWatchSeesAll},
		{"WatchSlow", testWatchSlow},
		{"WatchOverwhelmed", testWatchOverwhelmed},
		{"WatchOneAtATime", testWatchOneAtATime},
		{"WatchEnds", testWatchEnds},
		{"WatchFails", testWatchFails},
		{"WatchClosed", testWatchClosed},
	}
}

// watching is a Watch in a goroutine of its own.
type watching struct {
	changes chan store.Change // what it is called with; unbuffered
	ended   chan error        // what it returns
	stop    context.CancelFunc
}

// watch begins a Watch that waits for somebody to receive each change, and
// leaves nothing behind when the test ends.
func watch(t *testing.T, s store.Store, prefix string) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{changes: make(chan store.Change), ended: make(chan error, 1), stop: cancel}
	var wg sync.WaitGroup
	wg.Go(func() {
		w.ended <- s.Watch(ctx, prefix, func(c store.Change) error {
			select {
			case w.changes <- c:
			case <-ctx.Done():
			}
			return nil
		})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return w
}

// begin receives the zero Change that every Watch begins with.
func (w *watching) begin(t *testing.T) {
	t.Helper()
	if c := receive(t, w.changes, "first change"); !c.IsZero() || c.Value != nil {
		t.Fatalf("the first change is %q, want a zero one", c)
	}
}

// expect receives the change of one key, which has no value if want is empty.
func (w *watching) expect(t *testing.T, key, want string) {
	t.Helper()
	c := receive(t, w.changes, "change")
	if c.Key != key || string(c.Value) != want || (c.Value == nil) != (want == "") {
		t.Fatalf("change of %q to %q, want of %q to %q", c.Key, c.Value, key, want)
	}
}

func testWatchBegins(t *testing.T, s store.Store) {
	update(t, s, before)
	for range 2 {
		watch(t, s, "p").begin(t)
	}
	watch(t, s, "nothing").begin(t)
}

// Somebody who keeps up is brought each change, and what the value is now.
func testWatchBringsValues(t *testing.T, s store.Store) {
	w := watch(t, s, "p")
	w.begin(t)
	update(t, s, put("p", "guard"), put("q", "1"))
	w.expect(t, "p", "guard")
	for i := range 5 {
		update(t, s, put("p1", strconv.Itoa(i)))
		w.expect(t, "p1", strconv.Itoa(i))
	}
	update(t, s, put("p1", "first"), put("p1", "last"))
	w.expect(t, "p1", "last")
	update(t, s, remove("p1"))
	w.expect(t, "p1", "")

	update(t, s, put("p2", "a"), put("p3", "b"), remove("p"))
	got := make(map[string]string)
	for range 3 {
		c := receive(t, w.changes, "change")
		got[c.Key] = string(c.Value)
	}
	if want := map[string]string{"p2": "a", "p3": "b", "p": ""}; !maps.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
}

// A watcher hears of what lies at or below its prefix. The empty one is above all.
func testWatchPrefix(t *testing.T, s store.Store) {
	all, some := watch(t, s, ""), watch(t, s, "b/")
	all.begin(t)
	some.begin(t)
	for _, key := range []string{"a", "b", "b.", "b/", "b/1", "b/\xff", "b0", "c", "b/2"} {
		update(t, s, put(key, "v"))
		all.expect(t, key, "v")
	}
	for _, key := range []string{"b/", "b/1", "b/\xff", "b/2"} {
		some.expect(t, key, "v")
	}
}

// What a watcher is told of, View shows; and one key's news is in order.
func testWatchAfterView(t *testing.T, s store.Store) {
	const updates = 100
	reached := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 1)
	last := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		reached <- s.Watch(ctx, "n", func(c store.Change) (err error) {
			signal(begun)
			if c.IsZero() {
				return nil
			}
			if last, err = follows(ctx, s, c, last); err == nil && last == updates {
				cancel()
			}
			return err
		})
	})
	defer wg.Wait()
	defer cancel()
	receive(t, begun, "first change")
	for range updates {
		update(t, s, count("n"))
	}
	if err := receive(t, reached, "last change"); err != nil {
		t.Error(err)
	}
}

// follows checks a change of a number that only rises, and returns the number.
func follows(ctx context.Context, s store.Store, c store.Change, last int) (int, error) {
	now, err := strconv.Atoi(string(c.Value))
	if err != nil || now <= last {
		return 0, errors.Join(err, fmt.Errorf("change to %q after %d", c.Value, last))
	}
	shown := 0
	err = s.View(ctx, func(r store.Reader) (err error) {
		shown, err = number(r, c.Key)
		return err
	})
	if err != nil || shown < now {
		return 0, errors.Join(err, fmt.Errorf("told of %d, View shows %d", now, shown))
	}
	return now, nil
}

// There is no news of what was not kept.
func testWatchWhatIsKept(t *testing.T, s store.Store) {
	w := watch(t, s, "p")
	w.begin(t)
	for how := 1; how <= 2; how++ {
		err := guarded(func() error { return s.Update(t.Context(), all(put("p1", "bad"), misbehave(how))) })
		if !errors.Is(err, errOnPurpose) {
			t.Fatalf("Update: %v", err)
		}
	}
	update(t, s, func(w store.Writer) error { return wantNone(w, "p1") })
	update(t, s, put("p2", "good"))
	w.expect(t, "p2", "good")
}

// follower knows what lies below a prefix from news alone, and looks only when it
// is told that it may have missed some.
type follower struct {
	prefix string
	values map[string]string
}

func (f *follower) hear(t *testing.T, s store.Store, c store.Change) {
	t.Helper()
	switch {
	case c.IsZero():
		f.look(t, s)
	case c.Value == nil:
		delete(f.values, c.Key)
	default:
		f.values[c.Key] = string(c.Value)
	}
}

func (f *follower) look(t *testing.T, s store.Store) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		f.values = make(map[string]string)
		for item, err := range r.Scan(f.prefix) {
			if err != nil {
				return err
			}
			f.values[item.Key] = string(item.Value)
		}
		return nil
	})
}

// complete reports whether there are so many values, all of them want.
func (f *follower) complete(number int, want string) bool {
	if len(f.values) != number {
		return false
	}
	for _, value := range f.values {
		if value != want {
			return false
		}
	}
	return true
}

// However many change things at a time, news alone leads to what is there in the end.
func testWatchSeesAll(t *testing.T, s store.Store) {
	const writers, keys, last = 5, 4, 12
	w := watch(t, s, "p")
	w.begin(t)
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			for i := range keys * last {
				key := fmt.Sprintf("p%d-%d", g, i%keys)
				if err := s.Update(t.Context(), all(count(key), put("p", "guard"))); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
			gone := fmt.Sprintf("p%d-x", g)
			for _, change := range []call{put(gone, "v"), remove(gone)} {
				if err := s.Update(t.Context(), all(change, put("p", "guard"))); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	f := &follower{prefix: "p", values: make(map[string]string)}
	for !f.complete(writers*keys, strconv.Itoa(last)) {
		f.hear(t, s, receive(t, w.changes, "change"))
		delete(f.values, "p") // the guard
	}
	wg.Wait()
}

// A watcher that does not come back holds up nobody, and learns of the newest
// values when it does.
func testWatchSlow(t *testing.T, s store.Store) {
	w := watch(t, s, "p")
	w.begin(t)
	update(t, s, put("p1", "v")) // on its way, from now on
	for i := range 300 {
		update(t, s, put(fmt.Sprintf("p%d", i%3), strconv.Itoa(i)), put("q", "x"), put("p9", strconv.Itoa(i)))
	}
	update(t, s, put("p0", "end"), put("p1", "end"), put("p2", "end"), remove("p9"))
	f := &follower{prefix: "p", values: make(map[string]string)}
	for !f.complete(3, "end") {
		f.hear(t, s, receive(t, w.changes, "change"))
	}
}

// A watcher that has missed more than a driver may want to keep for it is told so.
func testWatchOverwhelmed(t *testing.T, s store.Store) {
	const writers, updates, each = 16, 42, store.MaxWrites
	w := watch(t, s, "many/")
	w.begin(t)
	update(t, s, put("many/first", "v")) // on its way, from now on
	var wg sync.WaitGroup
	for g := range writers {
		wg.Go(func() {
			for i := range updates {
				calls := make([]call, each)
				for n := range calls {
					calls[n] = put(fmt.Sprintf("many/%d/%d/%d", g, i, n), "v")
				}
				if err := s.Update(t.Context(), all(calls...)); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	f := &follower{prefix: "many/", values: make(map[string]string)}
	for !f.complete(1+writers*updates*each, "v") {
		f.hear(t, s, receive(t, w.changes, "change"))
	}
}

// One Watch is called by one goroutine at a time, and another's being slow does not
// concern it.
func testWatchOneAtATime(t *testing.T, s store.Store) {
	const updates = 50
	watch(t, s, "n").begin(t) // and takes no more
	var inside atomic.Int32
	begun, reached := make(chan struct{}, 1), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Watch(ctx, "n", func(c store.Change) error {
			if inside.Add(1) != 1 {
				t.Error("called twice at a time")
			}
			defer inside.Add(-1)
			for range 10 {
				runtime.Gosched()
			}
			signal(begun)
			if string(c.Value) == strconv.Itoa(updates) {
				signal(reached)
			}
			return nil
		})
		if err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	defer wg.Wait()
	defer cancel()
	receive(t, begun, "first change")
	var writers sync.WaitGroup
	for range updates {
		writers.Go(func() {
			if err := s.Update(t.Context(), count("n")); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	writers.Wait()
	receive(t, reached, "last change")
}

func testWatchEnds(t *testing.T, s store.Store) {
	w := watch(t, s, "p")
	w.begin(t)
	w.stop()
	if err := receive(t, w.ended, "end of Watch"); err != nil {
		t.Errorf("Watch returned %v, want nil", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Watch(ctx, "p", func(store.Change) error { return nil }); err != nil {
		t.Errorf("Watch with an ended context returned %v, want nil", err)
	}
	update(t, s, before)
}

// A watcher that gives up ends its own Watch and no other.
func testWatchFails(t *testing.T, s store.Store) {
	other := watch(t, s, "p")
	other.begin(t)
	err := s.Watch(t.Context(), "p", func(store.Change) error { return errOnPurpose })
	if err != errOnPurpose { //nolint:errorlint // as it is
		t.Errorf("Watch returned %v, want the error of its function as it is", err)
	}
	update(t, s, put("p1", "v"))
	other.expect(t, "p1", "v")
}

func testWatchClosed(t *testing.T, s store.Store) {
	w := watch(t, s, "p")
	w.begin(t)
	mustClose(t, s)
	if err := receive(t, w.ended, "end of Watch"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Watch returned %v, want %v", err, store.ErrClosed)
	}
	err := s.Watch(t.Context(), "p", func(store.Change) error {
		t.Error("a change after Close")
		return nil
	})
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("Watch after Close returned %v, want %v", err, store.ErrClosed)
	}
}
