package storetest_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

// TestMain is also the program in which a broken driver meets a case of the suite.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// witness is a test whose failures are looked at.
type witness struct {
	testing.TB

	mu       sync.Mutex
	failures []string // guarded by mu
}

func (w *witness) Helper() {}

func (w *witness) Error(args ...any) { w.Errorf("%s", fmt.Sprint(args...)) }

func (w *witness) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

func (w *witness) expect(t *testing.T, part string) {
	t.Helper()
	if part == "" && len(w.failures) > 0 {
		t.Errorf("failed with %q", w.failures)
	}
	if part != "" && !strings.Contains(strings.Join(w.failures, "\n"), part) {
		t.Errorf("failures %q do not mention %q", w.failures, part)
	}
	w.failures = nil
}

type call = func(store.Writer) error

func put(keys ...string) call {
	return func(w store.Writer) error {
		for _, key := range keys {
			if err := w.Put(key, []byte("value of "+key)); err != nil {
				return err
			}
		}
		return nil
	}
}

func remove(keys ...string) call {
	return func(w store.Writer) error {
		for _, key := range keys {
			if err := w.Delete(key); err != nil {
				return err
			}
		}
		return nil
	}
}

func scan(prefix string) call {
	return func(w store.Writer) error { return scanReader(w, prefix) }
}

func scanReader(r store.Reader, prefix string) error {
	for _, err := range r.Scan(prefix) {
		if err != nil {
			return err
		}
	}
	return nil
}

func both(calls ...call) call {
	return func(w store.Writer) error {
		for _, c := range calls {
			if err := c(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func strictly(t *testing.T) (*witness, store.Store) {
	t.Helper()
	w := &witness{TB: t}
	s := storetest.Strict(w, memory.New())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, s
}

func update(t *testing.T, s store.Store, f call) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func TestStrictKnowsGuards(t *testing.T) {
	for name, c := range map[string]struct {
		steps []call
		want  string
	}{
		"guarded":                  {[]call{put("p", "p1"), scan("p"), put("p", "p2"), both(remove("p1"), put("p"))}, ""},
		"added, then scanned":      {[]call{put("p", "p1"), put("p2"), scan("p")}, `adds or removes "p2"`},
		"scanned, then added":      {[]call{scan("p"), put("p2")}, `adds or removes "p2"`},
		"far below":                {[]call{scan("p"), put("p/q", "p/q/r")}, `adds or removes "p/q`},
		"removed":                  {[]call{put("p", "p1"), scan("p"), remove("p1")}, `adds or removes "p1"`},
		"in the Update that scans": {[]call{both(scan("p"), put("p2"))}, `adds or removes "p2"`},
		"replaced":                 {[]call{put("p", "p1"), scan("p"), put("p1")}, ""},
		"nothing removed":          {[]call{put("p", "p1"), scan("p"), remove("p2")}, ""},
		"added and removed":        {[]call{scan("p"), both(put("p2"), remove("p2"))}, ""},
		"another prefix":           {[]call{scan("q"), scan("p1"), scan("p11"), put("p1"), put("p")}, ""},
		"guard goes last":          {[]call{put("p", "p1"), scan("p"), remove("p1", "p")}, ""},
		"guard goes too early":     {[]call{put("p", "p1"), scan("p"), remove("p")}, `with "p1" left`},
		"guard gone, key added":    {[]call{scan("p"), both(put("p1"), remove("p"))}, `with "p1" left`},
		"guard of the wrong one":   {[]call{scan("p/"), put("p", "p/1")}, `adds or removes "p/1"`},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := strictly(t)
			for _, step := range c.steps {
				update(t, s, step)
			}
			w.expect(t, c.want)
		})
	}
}

// What does not count is not held against anybody: Views, and Updates that failed.
func TestStrictForgives(t *testing.T) {
	w, s := strictly(t)
	update(t, s, put("p1"))
	if err := s.View(t.Context(), func(r store.Reader) error { return scanReader(r, "p") }); err != nil {
		t.Error(err)
	}
	err := s.Update(t.Context(), both(scan("p"), put("p2"), func(store.Writer) error { return errOnPurpose }))
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("Update: %v", err)
	}
	w.expect(t, "")
}

var errOnPurpose = errors.New("on purpose")

// A closure is run twice for nothing, first on what is there and then on less.
func TestStrictRehearses(t *testing.T) {
	w, s := strictly(t)
	keys := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
	update(t, s, put(keys...))
	update(t, s, put("p", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"))
	look := func(r store.Reader) (found, scanned int) {
		for _, key := range keys {
			if _, err := r.Get(key); err == nil {
				found++
			}
		}
		for range r.Scan("p") {
			scanned++
		}
		return found, scanned
	}
	check := func(how string, found, scanned []int) {
		if len(found) != 3 || found[0] != len(keys) || found[1] >= len(keys) || found[1] == 0 || found[2] != len(keys) {
			t.Errorf("%s: runs found %v", how, found)
		}
		if len(scanned) != 3 || scanned[0] != 9 || scanned[1] >= 9 || scanned[1] == 0 || scanned[2] != 9 {
			t.Errorf("%s: runs scanned %v", how, scanned)
		}
	}
	var found, scanned []int // grows, as in a closure that must be caught
	update(t, s, func(w store.Writer) error {
		f, n := look(w)
		found, scanned = append(found, f), append(scanned, n)
		return w.Put("written", fmt.Append(nil, len(found)))
	})
	check("Update", found, scanned)
	found, scanned = nil, nil
	err := s.View(t.Context(), func(r store.Reader) error {
		f, n := look(r)
		found, scanned = append(found, f), append(scanned, n)
		value, err := r.Get("written")
		if len(found) == 3 && string(value) != "3" {
			t.Errorf("written by run %q, %v", value, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	check("View", found, scanned)
	w.expect(t, "")
}

func TestStrictTakesBackWhatItLends(t *testing.T) {
	w, s := strictly(t)
	update(t, s, put("a", "p", "p1"))
	var kept, scanned []byte
	var late store.Writer
	update(t, s, func(w store.Writer) (err error) {
		late = w
		kept, err = w.Get("a")
		for item := range w.Scan("p") {
			scanned = item.Value
		}
		return err
	})
	if strings.Contains(string(kept), "v") || strings.Contains(string(scanned), "v") {
		t.Errorf("values still there after the closure: %q, %q", kept, scanned)
	}
	w.expect(t, "")

	for what, use := range map[string]func() error{
		"Get":    func() error { _, err := late.Get("a"); return err },
		"Scan":   func() error { return scan("p")(late) },
		"Put":    func() error { return late.Put("a", []byte("x")) },
		"Delete": func() error { return late.Delete("a") },
	} {
		if err := use(); err == nil {
			t.Errorf("%s after the closure: no error", what)
		}
		w.expect(t, "after its closure has returned")
	}

	update(t, s, func(w store.Writer) error {
		value, err := w.Get("a")
		if err == nil {
			value[0]++
		}
		return nil
	})
	w.expect(t, `changed the value of "a"`)
}

// Closures may use all that they may, guards or not.
func TestStrictKeepsToTheLimits(t *testing.T) {
	w, s := strictly(t)
	full := func(more int) call {
		return func(w store.Writer) error {
			for i := range store.MaxReads {
				if _, err := w.Get(fmt.Sprintf("p%d", i)); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			for i := range store.MaxWrites + more {
				if err := w.Put(fmt.Sprintf("p%d", i), []byte("v")); err != nil {
					return err
				}
			}
			return scan("p")(w)
		}
	}
	update(t, s, full(0))
	if err := s.Update(t.Context(), full(1)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Update: %v", err)
	}
	w.expect(t, "scanned by an Update")
}

// The suite breaks the rule of guards here and there, where nobody decides by it.
func TestStrictIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return storetest.Strict(&witness{TB: t}, memory.New()) })
}

func TestMeter(t *testing.T) {
	m := storetest.NewMeter(memory.New())
	defer m.Close()
	update(t, m, both(put("a", "p1"), remove("b")))
	update(t, m, both(scan("p"), scan("a"), func(w store.Writer) error {
		_, err := w.Get("p1")
		return errors.Join(err, put("p2")(w))
	}))
	err := m.View(t.Context(), func(r store.Reader) error {
		_, err := r.Get("a")
		for range r.Scan("p") {
			continue
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// The keys a, p1 and b, and the values of the first two.
	wantUpdate := storetest.Usage{Reads: 1, Writes: 3, Bytes: 4 + len("value of a") + len("value of p1"), Scans: 2, Scanned: 1}
	wantView := storetest.Usage{Reads: 1, Bytes: 1, Scans: 1, Scanned: 2}
	if gotView, gotUpdate := m.Take(); gotView != wantView || gotUpdate != wantUpdate {
		t.Errorf("got %+v and %+v, want %+v and %+v", gotView, gotUpdate, wantView, wantUpdate)
	}
	if gotView, gotUpdate := m.Take(); gotView != (storetest.Usage{}) || gotUpdate != gotView {
		t.Errorf("taken again: %+v and %+v", gotView, gotUpdate)
	}
}

func TestMeterIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMeter(memory.New()) })
}
