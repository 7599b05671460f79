package databasetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

func commitCases() []testCase {
	return []testCase{
		{"CompareKeys", testCompareKeys},
		{"RefusedChangesNothing", testRefusedChangesNothing},
		{"AnswerIsComplete", testAnswerIsComplete},
		{"Versions", testVersions},
		{"Remove", testRemove},
		{"AnyBytes", testAnyBytes},
		{"Large", testLarge},
		{"ContextOver", testContextOver},
	}
}

func testCompareKeys(t *testing.T, s Space) {
	db := s.connect(t)
	first := put(t, db, "a", "1")
	second := put(t, db, "a", "2", "b", "1")
	for _, c := range []struct {
		reads map[string]int64
		want  bool
	}{
		{nil, true},
		{map[string]int64{"a": second}, true},
		{map[string]int64{"a": second, "b": second, "none": 0}, true},
		{map[string]int64{"a": first}, false},
		{map[string]int64{"a": 0}, false},
		{map[string]int64{"a": second + 1}, false},
		{map[string]int64{"a": mirror.Unknown}, false},
		{map[string]int64{"none": second}, false},
		{map[string]int64{"none": mirror.Unknown}, false},
		{map[string]int64{"a": second, "b": first}, false},
	} {
		a := commit(t, db, mirror.Txn{Keys: keyReads(c.reads)})
		if a.Held != c.want || a.Revision != second {
			t.Errorf("%v: got %v at %d, want %v at %d", c.reads, a.Held, a.Revision, c.want, second)
		}
		if c.want {
			continue
		}
		a = commit(t, db, mirror.Txn{Keys: keyReads(c.reads), Changes: puts("never", "v")})
		if a.Held || a.Revision != second {
			t.Errorf("%v, with a change: got %+v, want a refusal", c.reads, a)
		}
	}
}

func testRefusedChangesNothing(t *testing.T, s Space) {
	db := s.connect(t)
	r := put(t, db, "a", "1")
	txn := mirror.Txn{Keys: keyReads(map[string]int64{"a": 0}), Changes: append(puts("b", "2"), removes("a")...)}
	if a := commit(t, db, txn); a.Held {
		t.Fatal("held")
	}
	a := commit(t, db, mirror.Txn{Keys: keyReads(map[string]int64{"a": r, "b": 0})})
	if !a.Held || a.Revision != r {
		t.Errorf("got %+v, want what was before, at %d", a, r)
	}
}

// A refusal brings all that was asked for: what has moved, what has not, and what is in
// the ranges.
func testAnswerIsComplete(t *testing.T, s Space) {
	db := s.connect(t)
	r1 := put(t, db, "k", "old", "p", "guard", "p1", "one")
	r2 := put(t, db, "k", "new", "p2", "two")
	txn := mirror.Txn{
		Keys:   keyReads(map[string]int64{"k": r1, "p": r1, "none": 0}),
		Ranges: []mirror.RangeRead{{Prefix: "q", Revision: r2}, {Prefix: "p", Revision: r2, Count: 2}},
	}
	for _, changes := range [][]store.Change{nil, puts("x", "never")} {
		txn.Changes = changes
		a := commit(t, db, txn)
		if a.Held || a.Revision != r2 {
			t.Errorf("got %v at %d, want a refusal at %d", a.Held, a.Revision, r2)
		}
		if want := line("k", "new", r2) + " " + line("p", "guard", r1); show(a.Keys) != want {
			t.Errorf("keys: got %s, want %s", show(a.Keys), want)
		}
		if len(a.Ranges) != 2 || len(a.Ranges[0]) != 0 {
			t.Fatalf("ranges: got %+v", a.Ranges)
		}
		if want := line("p1", "one", r1) + " " + line("p2", "two", r2); show(a.Ranges[1]) != want {
			t.Errorf("range: got %s, want %s", show(a.Ranges[1]), want)
		}
	}
}

// Each change has a higher revision than the one before, on whichever server, and what
// changes nothing has none of its own.
func testVersions(t *testing.T, s Space) {
	dbs := []mirror.Database{s.connect(t), s.connect(t)}
	last := int64(0)
	for i := range 10 {
		r := put(t, dbs[i%2], "a", "1", "b", "2")
		if r <= last {
			t.Fatalf("revision %d after %d", r, last)
		}
		last = r
		a := commit(t, dbs[(i+1)%2], mirror.Txn{Keys: keyReads(map[string]int64{"a": r, "b": r})})
		if !a.Held || a.Revision != r {
			t.Fatalf("the other server sees %+v, want revision %d", a, r)
		}
	}
}

func testRemove(t *testing.T, s Space) {
	db := s.connect(t)
	r1 := put(t, db, "a", "1", "b", "1")
	a := commit(t, db, mirror.Txn{Keys: keyReads(map[string]int64{"a": r1}), Changes: removes("a", "none")})
	if !a.Held || a.Revision <= r1 {
		t.Fatalf("got %+v", a)
	}
	if got := state(t, db, "a"); len(got) != 0 {
		t.Errorf("left: %s", show(got))
	}
	for _, want := range []map[string]int64{{"a": 0, "b": r1}, {"none": 0}} {
		if a := commit(t, db, mirror.Txn{Keys: keyReads(want)}); !a.Held {
			t.Errorf("%v does not hold", want)
		}
	}
	r3 := put(t, db, "a", "2")
	if a := commit(t, db, mirror.Txn{Keys: keyReads(map[string]int64{"a": r3})}); !a.Held || r3 != a.Revision {
		t.Errorf("put again: got %+v", a)
	}
}

func testAnyBytes(t *testing.T, s Space) {
	db := s.connect(t)
	keys := []string{"\x00", "\x00\x00", "a", "a\x00b", "é", "\xff", "\xff\xff", strings.Repeat("\xff", store.MaxKey), strings.Repeat("k", store.MaxKey)}
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	var changes []store.Change
	for _, key := range keys {
		changes = append(changes, store.Change{Key: key, Value: all})
	}
	if a := commit(t, db, mirror.Txn{Changes: changes}); !a.Held {
		t.Fatalf("got %+v", a)
	}
	var reads []mirror.KeyRead
	for _, key := range keys {
		reads = append(reads, mirror.KeyRead{Key: key})
	}
	a := commit(t, db, mirror.Txn{Keys: reads})
	var got []string
	for _, r := range a.Keys {
		got = append(got, r.Key)
		if !bytes.Equal(r.Value, all) {
			t.Errorf("value of %q: %q", r.Key, r.Value)
		}
	}
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("got %q, want %q", got, keys)
	}
}

// As much as one closure may write goes into one Txn.
func testLarge(t *testing.T, s Space) {
	db := s.connect(t)
	value := bytes.Repeat([]byte("v"), store.MaxBytes/store.MaxWrites-100)
	var changes []store.Change
	var reads []mirror.KeyRead
	for i := range store.MaxWrites {
		key := "k" + string(rune('A'+i))
		changes = append(changes, store.Change{Key: key, Value: value})
		reads = append(reads, mirror.KeyRead{Key: key})
	}
	a := commit(t, db, mirror.Txn{Keys: reads, Changes: changes})
	if !a.Held {
		t.Fatalf("got %+v", a)
	}
	got := state(t, db, "k")
	if len(got) != store.MaxWrites || !bytes.Equal(got[7].Value, value) {
		t.Errorf("got %d records", len(got))
	}
}

// What is not begun has no unknown outcome.
func testContextOver(t *testing.T, s Space) {
	db := s.connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.Commit(ctx, mirror.Txn{Changes: puts("a", "1")})
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if a := commit(t, db, mirror.Txn{Keys: keyReads(map[string]int64{"a": 0})}); !a.Held {
		t.Errorf("it was made all the same: %+v", a)
	}
}
