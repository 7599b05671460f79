package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func valueCases() []testCase {
	return []testCase{
		{"NotFound", testNotFound},
		{"Put", testPut},
		{"Delete", testDelete},
		{"ScanOrder", testScanOrder},
		{"ScanPrefix", testScanPrefix},
		{"ScanStops", testScanStops},
		{"AnyBytes", testAnyBytes},
		{"ReadsOwnWrites", testReadsOwnWrites},
		{"ScansOwnWrites", testScansOwnWrites},
		{"Keys", testKeys},
		{"EmptyValue", testEmptyValue},
		{"MaxReads", testMaxReads},
		{"MaxWrites", testMaxWrites},
		{"MaxBytes", testMaxBytes},
		{"ScansAreFree", testScansAreFree},
	}
}

func testNotFound(t *testing.T, s store.Store) {
	check := func(r store.Reader) error { return errors.Join(wantNone(r, "a", "ab"), wantScan(r, "a")) }
	view(t, s, check)
	update(t, s, func(w store.Writer) error { return check(w) })
	view(t, s, check) // looking makes nothing
}

func testPut(t *testing.T, s store.Store) {
	update(t, s, put("a", "1"), put("b", "2"))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantValue(r, "a", "1"), wantValue(r, "b", "2"), wantNone(r, "c"))
	})
	update(t, s, put("a", "another"))
	update(t, s, put("c", "first"), put("c", "last"))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantValue(r, "a", "another"), wantValue(r, "b", "2"), wantValue(r, "c", "last"))
	})
}

func testDelete(t *testing.T, s store.Store) {
	update(t, s, put("p", "guard"), put("pa", "1"), put("pb", "2"), put("pc", "3"))
	update(t, s, put("p", "guard"), remove("pb"), remove("pz"), remove("q"))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantNone(r, "pb", "pz", "q"), wantScan(r, "p", "pa=1", "pc=3"))
	})
	update(t, s, put("p", "guard"), put("pb", "again"))
	update(t, s, remove("p"), remove("pa"), remove("pb"), remove("pc"))
	view(t, s, func(r store.Reader) error {
		return errors.Join(wantNone(r, "p", "pa", "pb", "pc"), wantScan(r, "p"))
	})
}

// Keys come in the order of their bytes, however they were put.
func testScanOrder(t *testing.T, s store.Store) {
	var want []string
	calls := []call{put("k", "guard")}
	for i := range 90 {
		key := fmt.Sprintf("k%02d", i)
		want = append(want, key+"="+key)
		calls = append(calls, put(fmt.Sprintf("k%02d", i*37%90), fmt.Sprintf("k%02d", i*37%90)))
	}
	update(t, s, calls...)
	for _, key := range []string{"k500", "k5", "k9", "K", "l"} {
		update(t, s, put("k", "guard"), put(key, key))
	}
	view(t, s, func(r store.Reader) error {
		return errors.Join(
			wantScan(r, "k1", want[10:20]...),
			wantScan(r, "k8", want[80:90]...),
			wantScan(r, "k5", append([]string{want[50], "k500=k500"}, want[51:60]...)...),
		)
	})
}

// What lies at the prefix is not below it, nor are its neighbours.
func testScanPrefix(t *testing.T, s store.Store) {
	for _, key := range []string{"a", "b", "b/1", "b/2", "b/2/x", "b0", "b.", "c"} {
		update(t, s, put("b", "v"), put("b/", "v"), put("b/2", "v"), put(key, "v"))
	}
	view(t, s, func(r store.Reader) error {
		return errors.Join(
			wantScan(r, "b/", "b/1=v", "b/2=v", "b/2/x=v"),
			wantScan(r, "b/2", "b/2/x=v"),
			wantScan(r, "b/2/x"),
			wantScan(r, "b", "b.=v", "b/=v", "b/1=v", "b/2=v", "b/2/x=v", "b0=v"),
			wantScan(r, "bb"), wantScan(r, "z"),
		)
	})
}

// Whoever has seen enough of a scan leaves it, and may begin another one inside.
func testScanStops(t *testing.T, s store.Store) {
	update(t, s, put("p", "guard"), put("p1", "v"), put("p2", "v"), put("p3", "v"))
	look := func(r store.Reader) error {
		for item, err := range r.Scan("p") {
			if err != nil || item.Key != "p1" {
				return errors.Join(err, fmt.Errorf("first of the scan: %q", item.Key))
			}
			if err := errors.Join(wantScan(r, "p", "p1=v", "p2=v", "p3=v"), wantValue(r, "p3", "v")); err != nil {
				return err
			}
			break
		}
		return wantScan(r, "p", "p1=v", "p2=v", "p3=v")
	}
	view(t, s, look)
	update(t, s, func(w store.Writer) error { return look(w) })
}

func testAnyBytes(t *testing.T, s store.Store) {
	ordered := []string{
		"\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x00", "a\x00b", "a\n", "aa",
		"a\xff", "a\xff\x00", "a\xff\xff", "b", "\xc3\x28", "\xff", "\xff\x00", "\xff\xfe", "\xff\xff", "\xff\xff\xff",
	}
	value := string([]byte{0, 0xff, '\n', 0})
	var calls []call
	for i := range ordered {
		calls = append(calls, put(ordered[i*7%len(ordered)], value))
	}
	update(t, s, calls...)
	view(t, s, func(r store.Reader) error {
		errs := make([]error, 0, 2*len(ordered))
		for _, prefix := range ordered {
			var want []string
			for _, key := range ordered {
				if len(key) > len(prefix) && strings.HasPrefix(key, prefix) {
					want = append(want, key+"="+value)
				}
			}
			errs = append(errs, wantScan(r, prefix, want...), wantValue(r, prefix, value))
		}
		return errors.Join(errs...)
	})
}

func testReadsOwnWrites(t *testing.T, s store.Store) {
	update(t, s, put("old", "1"), put("gone", "2"), put("kept", "3"))
	check := func(r store.Reader) error {
		return errors.Join(wantValue(r, "old", "new"), wantNone(r, "gone", "both"), wantValue(r, "kept", "3"),
			wantValue(r, "fresh", "last"), wantValue(r, "back", "again"))
	}
	update(t, s,
		put("old", "new"), remove("gone"), put("fresh", "first"), put("fresh", "last"),
		put("both", "x"), remove("both"), remove("back"), put("back", "again"),
		func(w store.Writer) error { return check(w) })
	view(t, s, check)
}

// A scan in an Update merges what was there with what the closure has written.
func testScansOwnWrites(t *testing.T, s store.Store) {
	update(t, s, put("p", "guard"), put("p2", "old"), put("p4", "old"), put("p6", "old"), put("p8", "old"))
	check := func(r store.Reader) error {
		return errors.Join(
			wantScan(r, "p", "p1=new", "p2=old", "p3=new", "p4=new", "p8x=new", "p9=new"),
			wantScan(r, "p8", "p8x=new"), wantScan(r, "q", "q1=new"), wantScan(r, "p6"),
		)
	}
	update(t, s,
		put("p", "guard"), put("p8", "guard"), put("q", "guard"), put("p9", "new"), put("p1", "new"), put("p3", "new"),
		put("p4", "new"), remove("p6"), put("p8x", "new"), remove("p8"), put("q1", "new"), put("p5", "x"), remove("p5"),
		func(w store.Writer) error { return check(w) })
	view(t, s, check)
}

// A key has 1 to store.MaxKey bytes, and so has a prefix that is scanned.
func testKeys(t *testing.T, s store.Store) {
	longest := strings.Repeat("k", store.MaxKey)
	update(t, s, put(longest, "v"), put(longest[1:], "v"))
	look := func(r store.Reader) error {
		return errors.Join(wantValue(r, longest, "v"), wantScan(r, longest[1:], longest+"=v"), wantScan(r, longest))
	}
	view(t, s, look)
	update(t, s, func(w store.Writer) error { return look(w) }, remove(longest))

	for _, key := range []string{"", longest + "k"} {
		looks := map[string]func(store.Reader) error{
			"Get":  func(r store.Reader) error { _, err := r.Get(key); return err },
			"Scan": func(r store.Reader) error { _, err := list(r, key); return err },
		}
		for name, f := range looks {
			wantFailure(t, name+" in View", key, s.View(t.Context(), f))
			wantFailure(t, name, key, s.Update(t.Context(), func(w store.Writer) error { return f(w) }))
		}
		wantFailure(t, "Put", key, s.Update(t.Context(), put(key, "v")))
		wantFailure(t, "Delete", key, s.Update(t.Context(), remove(key)))
	}
}

func wantFailure(t *testing.T, what, key string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s of a key of %d bytes: %v, want a refusal", what, len(key), err)
	}
}

func testEmptyValue(t *testing.T, s store.Store) {
	update(t, s, put("a", "before"))
	for _, value := range [][]byte{nil, {}} {
		err := s.Update(t.Context(), func(w store.Writer) error { return w.Put("a", value) })
		if err == nil {
			t.Error("an empty value is put")
		}
	}
	view(t, s, func(r store.Reader) error { return wantValue(r, "a", "before") })
}

func testMaxReads(t *testing.T, s store.Store) {
	update(t, s, put("a", "1"))
	reads := func(n int) func(store.Reader) error {
		return func(r store.Reader) error {
			for i := range n {
				if _, _, err := find(r, string(rune('a'+i%2))); err != nil {
					return err
				}
			}
			return nil
		}
	}
	view(t, s, reads(store.MaxReads))
	update(t, s, func(w store.Writer) error { return reads(store.MaxReads)(w) })
	wantTooLarge(t, s.View(t.Context(), reads(store.MaxReads+1)))
	wantTooLarge(t, s.Update(t.Context(), func(w store.Writer) error { return reads(store.MaxReads + 1)(w) }))
}

func wantTooLarge(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, store.ErrTooLarge)
	}
}

// Puts and Deletes count alike, and as often as they are called.
func testMaxWrites(t *testing.T, s store.Store) {
	writes := make([]call, 0, store.MaxWrites+1)
	for i := range store.MaxWrites / 2 {
		writes = append(writes, put(fmt.Sprintf("k%d", i), "v"), remove(fmt.Sprintf("k%d", i-1)))
	}
	wantTooLarge(t, s.Update(t.Context(), all(append(writes, put("one more", "v"))...)))
	wantTooLarge(t, s.Update(t.Context(), all(append(writes, remove("k0"))...)))
	view(t, s, func(r store.Reader) error { return wantNone(r, "k0", "k49", "one more") })
	update(t, s, writes...)
	view(t, s, func(r store.Reader) error { return errors.Join(wantValue(r, "k49", "v"), wantNone(r, "k48")) })
}

// All keys count, read or written, and all values written.
func testMaxBytes(t *testing.T, s store.Store) {
	const each = store.MaxBytes / 8
	fill := func(last int) call {
		calls := []call{func(w store.Writer) error { return wantNone(w, "12") }, remove("12")}
		for i := range 7 {
			calls = append(calls, put(fmt.Sprint(i), strings.Repeat("v", each-1)))
		}
		return all(append(calls, put("7", strings.Repeat("v", last)))...)
	}
	const last = each - 1 - 2*2 // less the keys of Get and Delete
	wantTooLarge(t, s.Update(t.Context(), fill(last+1)))
	view(t, s, func(r store.Reader) error { return wantNone(r, "0", "7") })
	update(t, s, fill(last))
	view(t, s, func(r store.Reader) error { return wantValue(r, "7", strings.Repeat("v", last)) })

	// Replaced a hundred times by one closure, a value is written a hundred times.
	long := strings.Repeat("v", store.MaxBytes/50)
	wantTooLarge(t, s.Update(t.Context(), func(w store.Writer) error {
		for range 50 {
			if err := w.Put("a", []byte(long)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// A scan may yield more than a closure may read one by one.
func testScansAreFree(t *testing.T, s store.Store) {
	const rounds, each = 6, 60
	value := strings.Repeat("v", store.MaxBytes/(rounds-1)/each)
	for i := range rounds {
		calls := []call{put("p", "guard")}
		for j := range each {
			calls = append(calls, put(fmt.Sprintf("p%d-%d", i, j), value))
		}
		update(t, s, calls...)
	}
	look := func(r store.Reader) error {
		found, err := list(r, "p")
		if err != nil || len(found) != rounds*each {
			return errors.Join(err, fmt.Errorf("a scan of %d yields %d", rounds*each, len(found)))
		}
		return wantValue(r, "p", "guard")
	}
	view(t, s, look)
	update(t, s, func(w store.Writer) error { return look(w) }, put("q", "v"))
}
