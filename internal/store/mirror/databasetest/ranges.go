package databasetest

import (
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

func rangeCases() []testCase {
	return []testCase{
		{"CompareRanges", testCompareRanges},
		{"RangeBounds", testRangeBounds},
		{"RangeOrder", testRangeOrder},
		{"RangeCount", testRangeCount},
		{"EmptyRange", testEmptyRange},
	}
}

func testCompareRanges(t *testing.T, s Space) {
	db := s.connect(t)
	put(t, db, "p", "guard", "p1", "a", "p2", "b", "q", "other")
	r := put(t, db, "p2", "c")
	for _, c := range []struct {
		read mirror.RangeRead
		want bool
	}{
		{mirror.RangeRead{Prefix: "p", Revision: r, Count: 2}, true},
		{mirror.RangeRead{Prefix: "p", Revision: r + 5, Count: 2}, true},
		{mirror.RangeRead{Prefix: "p", Revision: r - 1, Count: 2}, false},
		{mirror.RangeRead{Prefix: "p", Revision: 0, Count: 2}, false},
		{mirror.RangeRead{Prefix: "p1", Revision: 0, Count: 0}, true},
		{mirror.RangeRead{Prefix: "none", Revision: 0, Count: 0}, true},
	} {
		if a := commit(t, db, mirror.Txn{Ranges: []mirror.RangeRead{c.read}}); a.Held != c.want {
			t.Errorf("%+v: got %v, want %v", c.read, a.Held, c.want)
		}
		txn := mirror.Txn{Keys: keyReads(map[string]int64{"q": mirror.Unknown}), Ranges: []mirror.RangeRead{c.read}}
		if a := commit(t, db, txn); a.Held {
			t.Errorf("%+v: held, with a key that does not", c.read)
		}
	}
	// One that holds does not make up for one that does not.
	both := []mirror.RangeRead{{Prefix: "none", Revision: r}, {Prefix: "p", Revision: r - 1, Count: 2}}
	if a := commit(t, db, mirror.Txn{Ranges: both, Changes: puts("x", "never")}); a.Held {
		t.Error("two ranges, of which one has moved, hold")
	}
}

// Neighbours of a range, and the key at its beginning, are not in it.
func testRangeBounds(t *testing.T, s Space) {
	db := s.connect(t)
	last := strings.Repeat("\xff", store.MaxKey)
	for _, c := range []struct {
		prefix     string
		in, beyond []string
	}{
		{"p", []string{"p\x00", "p1", "p\xff", "p\xff\xff"}, []string{"p", "o\xff", "q", "q\x00"}},
		{"p\xff", []string{"p\xff\x00", "p\xff\xff"}, []string{"p\xff", "p\xfe\xff", "q", "p"}},
		{"\xff", []string{"\xff\x00", "\xff\xff", last}, []string{"\xff", "\xfe\xff", "a"}},
		{"\xff\xff", []string{"\xff\xff\x00", last}, []string{"\xff\xff", "\xff\xfe", "\xff"}},
		{"\xff\xfe", []string{"\xff\xfe\x00", "\xff\xfe\xff"}, []string{"\xff\xfe", "\xff\xff", "\xff\xfd\xff"}},
		{"\x00", []string{"\x00\x00", "\x00\xff"}, []string{"\x00", "\x01"}},
		{"%", []string{"%_", "%%"}, []string{"%", "x_"}},
	} {
		r := put(t, db, "unrelated", "v")
		read := mirror.RangeRead{Prefix: c.prefix, Revision: r}
		for _, key := range c.beyond {
			put(t, db, key, "v")
			if a := commit(t, db, mirror.Txn{Ranges: []mirror.RangeRead{read}}); !a.Held {
				t.Errorf("%q counts as in %q: %s", key, c.prefix, show(a.Ranges[0]))
			}
		}
		for _, key := range c.in {
			put(t, db, key, "v")
			a := commit(t, db, mirror.Txn{Ranges: []mirror.RangeRead{read}, Changes: puts("x", "never")})
			if a.Held || len(a.Ranges[0]) != 1 || a.Ranges[0][0].Key != key {
				t.Errorf("%q is not in %q: %+v", key, c.prefix, a)
			}
			commit(t, db, mirror.Txn{Changes: removes(key)})
		}
		commit(t, db, mirror.Txn{Changes: removes(c.beyond...)})
	}
}

func testRangeOrder(t *testing.T, s Space) {
	db := s.connect(t)
	want := []string{"p\x00", "p\x01", "pA", "pB", "pa", "pb", "p\x80", "p\xff"}
	for i := range want { // not in order
		put(t, db, want[(i*3)%len(want)], "v")
	}
	got := state(t, db, "p")
	for i := range want {
		if i >= len(got) || got[i].Key != want[i] {
			t.Fatalf("got %s", show(got))
		}
	}
}

// Without changes what was removed is noticed, since a View has no guards.
func testRangeCount(t *testing.T, s Space) {
	db := s.connect(t)
	r := put(t, db, "p1", "a", "p2", "b")
	read := func(count int) []mirror.RangeRead {
		return []mirror.RangeRead{{Prefix: "p", Revision: r, Count: count}}
	}
	if a := commit(t, db, mirror.Txn{Ranges: read(2)}); !a.Held {
		t.Errorf("does not hold: %+v", a)
	}
	for _, count := range []int{0, 1, 3} {
		if a := commit(t, db, mirror.Txn{Ranges: read(count)}); a.Held {
			t.Errorf("there are 2, and %d holds", count)
		}
	}
	commit(t, db, mirror.Txn{Changes: removes("p1")})
	a := commit(t, db, mirror.Txn{Ranges: read(2)})
	if a.Held || len(a.Ranges[0]) != 1 {
		t.Errorf("one is gone, and the range holds: %+v", a)
	}
}

// A range of which nothing is known, and which is empty, can be compared: also where
// there once was something.
func testEmptyRange(t *testing.T, s Space) {
	db := s.connect(t)
	put(t, db, "p", "guard", "p1", "a")
	a := commit(t, db, mirror.Txn{Changes: removes("p", "p1")})
	empty := func(revision int64) mirror.Txn {
		return mirror.Txn{
			Keys:    keyReads(map[string]int64{"p": 0}),
			Ranges:  []mirror.RangeRead{{Prefix: "p", Revision: revision}},
			Changes: puts("p", "again"),
		}
	}
	// It may be refused at first, if that brings what holds afterwards.
	if got := commit(t, db, empty(0)); !got.Held {
		if got.Revision < a.Revision || len(got.Keys) != 0 || len(got.Ranges[0]) != 0 {
			t.Errorf("got %+v", got)
		}
		if again := commit(t, db, empty(got.Revision)); !again.Held {
			t.Errorf("refused again: %+v", again)
		}
	}
	if got := commit(t, db, empty(a.Revision)); got.Held {
		t.Error("held again")
	}
}
