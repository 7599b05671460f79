package mirror

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// history is a database whose whole past is known.
type history struct {
	states []map[string]Record // by revision
	news   []News              // that led to them
	random *rand.Rand
}

func (h *history) now() int64 { return int64(len(h.states) - 1) }

// guards are those of the ranges in the history, of which one lies in another.
var guards = []string{"a/", "a/b/", "c/"}

// change changes some keys, and the guards of all ranges that one was added to or
// removed from. A guard goes when nothing is left.
func (h *history) change() {
	n := News{Revision: h.now() + 1}
	state := maps.Clone(h.states[len(h.states)-1])
	touched := make(map[string]bool)
	for range 1 + h.random.IntN(3) {
		guard := guards[h.random.IntN(len(guards))]
		key := fmt.Sprintf("%s%d", guard, h.random.IntN(4))
		_, exists := state[key]
		switch {
		case exists && h.random.IntN(2) == 0:
			h.event(state, &n, key, false)
		case exists:
			h.event(state, &n, key, true)
			continue
		default:
			h.event(state, &n, key, true)
		}
		for _, g := range guards {
			touched[g] = touched[g] || strings.HasPrefix(key, g) && g != key
		}
	}
	for _, g := range []string{"a/b/", "a/", "c/"} { // the inner one is itself in the outer one
		if !touched[g] {
			continue
		}
		_, existed := state[g]
		left := len(below(state, g)) > 0
		if left || existed {
			h.event(state, &n, g, left)
		}
	}
	h.states, h.news = append(h.states, state), append(h.news, n)
}

func (h *history) event(state map[string]Record, n *News, key string, put bool) {
	n.Events = slices.DeleteFunc(n.Events, func(e Event) bool { return e.Key == key })
	e := Event{Record: Record{Key: key, Version: n.Revision}}
	if put {
		before, existed := h.states[len(h.states)-1][key]
		e.Value, e.Created = fmt.Appendf(nil, "%s@%d", key, n.Revision), !existed || before.Value == nil
		state[key] = e.Record
	} else {
		delete(state, key)
	}
	n.Events = append(n.Events, e)
}

func below(state map[string]Record, prefix string) []string {
	var keys []string
	for key := range state {
		if strings.HasPrefix(key, prefix) && key != prefix {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ask is a Txn for some ranges and keys, and what the database says at a revision.
func (h *history) ask(revision int64) (*Txn, *facts) {
	r := newReads()
	for range 1 + h.random.IntN(2) {
		guard := guards[h.random.IntN(len(guards))]
		if h.random.IntN(2) == 0 {
			r.scan(RangeRead{Prefix: guard}, Unknown)
		}
		r.key(guard, Unknown)
		r.key(fmt.Sprintf("%s%d", guard, h.random.IntN(4)), Unknown)
	}
	t := r.txn(nil)
	state := h.states[revision]
	a := Answer{Revision: revision}
	for _, k := range t.Keys {
		if found, ok := state[k.Key]; ok {
			a.Keys = append(a.Keys, found)
		}
	}
	for _, n := range t.Ranges {
		var records []Record
		for _, key := range below(state, n.Prefix) {
			records = append(records, state[key])
		}
		a.Ranges = append(a.Ranges, records)
	}
	return &t, newFacts(&t, &a)
}

// check returns an error if a comparison of what a snapshot says of a range holds at a
// revision, and yet the range is another one.
func (h *history) check(s *snapshot, prefix string, revision int64) error {
	r := &reader{snapshot: *s, reads: newReads(), guarded: true}
	items := r.list(prefix)
	state := h.states[revision]
	n := r.reads.ranges[prefix]
	want := below(state, prefix)
	same := len(want) == len(items)
	for i, key := range want {
		if state[key].Version > n.Revision {
			return nil // does not hold
		}
		same = same && items[i].Key == key && string(items[i].Value) == string(state[key].Value)
	}
	held := true
	for key, version := range r.reads.keys {
		held = held && state[key].Version == version
	}
	if !same && (held || len(want) == n.Count) {
		return fmt.Errorf("at %d: %q is %v, the cache has %v, and nobody notices (guard %d, %+v)",
			revision, prefix, want, items, r.reads.keys[prefix], n)
	}
	return nil
}

// Answers come late, early and out of order, and news when they like. Whatever the
// cache then has of a range, either it is what there is, or the comparison fails.
func TestCacheIsRightOrFoundOut(t *testing.T) {
	seeds := uint64(2000)
	if os.Getenv("XLREG_LONG") != "" {
		seeds *= 100
	}
	for seed := range seeds {
		if err := simulate(rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func simulate(random *rand.Rand) error {
	h := &history{states: []map[string]Record{{}}, news: []News{{}}, random: random}
	for range random.IntN(6) {
		h.change()
	}
	c := newCache()
	c.begin(h.now())
	c.ring.most = 4 + random.IntN(8) // so that some answers come too late for it
	type answer struct {
		t *Txn
		f *facts
	}
	var under []answer // way
	for range 60 {
		switch random.IntN(8) {
		case 0, 1:
			h.change()
		case 2, 3:
			if c.shown < h.now() {
				c.apply(&h.news[c.shown+1])
			}
		case 4, 5:
			t, f := h.ask(h.now())
			under = append(under, answer{t, f})
		case 6:
			if len(under) > 0 {
				i := random.IntN(len(under))
				c.fill(under[i].t, under[i].f)
				under = slices.Delete(under, i, i+1)
			}
		case 7:
			if random.IntN(10) == 0 {
				c.forget()
			}
		}
		s := c.snapshot()
		for _, prefix := range guards {
			if err := h.check(&s, prefix, h.now()); err != nil {
				return err
			}
		}
	}
	return h.caughtUp(&c)
}

// caughtUp returns an error unless a cache that has been told everything holds, in all
// that it knows whole.
func (h *history) caughtUp(c *cache) error {
	for c.shown < h.now() {
		c.apply(&h.news[c.shown+1])
	}
	s := c.snapshot()
	state := h.states[h.now()]
	for _, prefix := range guards {
		r := &reader{snapshot: s, reads: newReads()}
		items := r.list(prefix)
		if _, whole := c.rangeOf(prefix); !whole {
			continue
		}
		guard := state[prefix].Version
		if len(items) != len(below(state, prefix)) || r.reads.keys[prefix] != guard {
			return fmt.Errorf("told everything: %q has %v in version %d, want %v in %d",
				prefix, items, r.reads.keys[prefix], below(state, prefix), guard)
		}
	}
	size := 0
	c.values.Scan(func(key string, e entry) bool {
		size += len(key) + len(e.value)
		return true
	})
	if size != c.size {
		return fmt.Errorf("the cache counts %d bytes and has %d", c.size, size)
	}
	return nil
}
