package databasetest

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

func concurrentCases() []testCase {
	return []testCase{
		{"CountTogether", testCountTogether},
		{"TakeTurns", testTakeTurns},
		{"NothingIsMissed", testNothingIsMissed},
	}
}

const (
	servers = 3
	writers = 2  // a server
	rounds  = 40 // a writer
)

// together runs f for each writer, on connections of several servers.
func together(t *testing.T, s Space, f func(db mirror.Database, writer int)) {
	t.Helper()
	var running sync.WaitGroup
	for i := range servers {
		db := s.connect(t)
		for j := range writers {
			running.Go(func() { f(db, i*writers+j) })
		}
	}
	running.Wait()
}

// try is a Txn, whose failure ends the writer.
func try(t *testing.T, db mirror.Database, txn mirror.Txn) (mirror.Answer, bool) {
	a, err := db.Commit(t.Context(), txn)
	if err != nil {
		t.Errorf("Commit: %v", err)
	}
	return a, err == nil
}

// Counting up by comparing loses nothing.
func testCountTogether(t *testing.T, s Space) {
	together(t, s, func(db mirror.Database, _ int) {
		version, count := int64(0), 0
		for done := 0; done < rounds; {
			a, ok := try(t, db, mirror.Txn{
				Keys:    keyReads(map[string]int64{"n": version}),
				Changes: puts("n", strconv.Itoa(count+1)),
			})
			switch {
			case !ok:
				return
			case a.Held:
				version, count = a.Revision, count+1
				done++
			default:
				version = a.Keys[0].Version
				count, _ = strconv.Atoi(string(a.Keys[0].Value))
			}
		}
	})
	a := commit(t, s.connect(t), mirror.Txn{Keys: keyReads(map[string]int64{"n": 0})})
	if got, want := string(a.Keys[0].Value), strconv.Itoa(servers*writers*rounds); got != want {
		t.Errorf("counted to %s, want %s", got, want)
	}
}

// Who adds to a range after having looked at all of it finds what others have added:
// without a guard, by the comparison of the range alone.
func testTakeTurns(t *testing.T, s Space) {
	together(t, s, func(db mirror.Database, writer int) {
		read := mirror.RangeRead{Prefix: "p"}
		for done := 0; done < rounds; {
			key := fmt.Sprintf("p%03d", read.Count)
			a, ok := try(t, db, mirror.Txn{Ranges: []mirror.RangeRead{read}, Changes: puts(key, strconv.Itoa(writer))})
			switch {
			case !ok:
				return
			case a.Held:
				read.Count++
				read.Revision = a.Revision
				done++
			default:
				read.Revision, read.Count = a.Revision, len(a.Ranges[0])
			}
		}
	})
	got := state(t, s.connect(t), "p")
	seen := make(map[string]bool)
	for _, r := range got {
		if seen[strconv.FormatInt(r.Version, 10)] {
			t.Errorf("two have version %d", r.Version)
		}
		seen[strconv.FormatInt(r.Version, 10)] = true
	}
	if len(got) != servers*writers*rounds {
		t.Errorf("%d keys, want %d: some were taken twice", len(got), servers*writers*rounds)
	}
}

// Whoever follows knows at each revision that it is told all that there was at that
// revision: each Txn puts one value under two keys, and adds or removes a third.
func testNothingIsMissed(t *testing.T, s Space) {
	db := s.connect(t)
	h, _ := follow(t, db)
	var last atomic.Int64
	together(t, s, func(db mirror.Database, writer int) {
		for i := range rounds {
			value := fmt.Sprintf("%d-%d", writer, i)
			third := store.Change{Key: fmt.Sprintf("k%d", writer)}
			if i%3 != 2 {
				third.Value = []byte(value)
			}
			a, ok := try(t, db, mirror.Txn{Changes: append(puts("k-a", value, "k-b", value), third)})
			if !ok {
				return
			}
			raise(&last, a.Revision)
		}
	})
	m := make(model)
	for shown := int64(0); shown < last.Load(); {
		n := h.next(t)
		m.apply(t, shown, n)
		shown = max(shown, n.Revision)
	}
	all := state(t, db, "k")
	if got, want := show(m.records()), show(all); got != want {
		t.Errorf("told: %s\nthere is: %s", got, want)
	}
}

func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// model is what follows from the news.
type model map[string]mirror.Record

func (m model) apply(t *testing.T, shown int64, n mirror.News) {
	t.Helper()
	before := shown
	for _, e := range n.Events {
		if e.Version < before || e.Version <= shown || e.Version > n.Revision {
			t.Errorf("version %d after %d, in news of %d after %d", e.Version, before, n.Revision, shown)
		}
		before = e.Version
		_, had := m[e.Key]
		if e.Created && had && e.Value == nil || !had && e.Value != nil && !e.Created {
			t.Errorf("%s, and there was %v", showEvents([]mirror.Event{e}), had)
		}
		if e.Value == nil {
			delete(m, e.Key)
			continue
		}
		m[e.Key] = e.Record
	}
	if a, b := m["k-a"], m["k-b"]; a.Version != b.Version || string(a.Value) != string(b.Value) {
		t.Errorf("a revision is told in parts: %s, %s", show([]mirror.Record{a}), show([]mirror.Record{b}))
	}
}

func (m model) records() []mirror.Record {
	var all []mirror.Record
	for _, r := range m {
		all = append(all, r)
	}
	return all
}
