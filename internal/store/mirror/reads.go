package mirror

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/xlattice/xlreg/internal/store"
)

// reads is what a transaction has read, and so what has to be compared.
type reads struct {
	keys   map[string]int64
	ranges map[string]RangeRead
	size   int // of the keys, in bytes
}

func newReads() *reads {
	return &reads{keys: make(map[string]int64), ranges: make(map[string]RangeRead)}
}

func (r *reads) empty() bool { return len(r.keys) == 0 }

// compares is how many comparisons it takes.
func (r *reads) compares() int { return len(r.keys) + len(r.ranges) }

// key notes that a key was read in a version. Whoever has seen it in two has seen no
// state that there was.
func (r *reads) key(key string, version int64) {
	before, ok := r.keys[key]
	switch {
	case !ok:
		r.size += len(key)
	case before != version:
		version = Unknown
	}
	r.keys[key] = version
}

// scan notes that a range was read, and its guard with it.
func (r *reads) scan(n RangeRead, guard int64) {
	before, ok := r.ranges[n.Prefix]
	switch {
	case !ok:
		r.size += 2 * len(n.Prefix)
	case before != n:
		guard = Unknown
	}
	r.ranges[n.Prefix] = n
	r.key(n.Prefix, guard)
}

// add takes in what another transaction has read.
func (r *reads) add(other *reads) {
	for key, version := range other.keys {
		r.key(key, version)
	}
	for prefix, n := range other.ranges {
		r.scan(n, other.keys[prefix])
	}
}

// sure reports whether the comparison is certain to fail.
func (r *reads) sure() bool {
	for _, version := range r.keys {
		if version == Unknown {
			return true
		}
	}
	return false
}

// txn is the Txn that compares it, in an order that does not depend on chance.
func (r *reads) txn(changes []store.Change) Txn {
	t := Txn{Changes: changes}
	for _, key := range slices.Sorted(maps.Keys(r.keys)) {
		t.Keys = append(t.Keys, KeyRead{key, r.keys[key]})
	}
	for _, prefix := range slices.Sorted(maps.Keys(r.ranges)) {
		t.Ranges = append(t.Ranges, r.ranges[prefix])
	}
	return t
}

// facts is the answer to a Txn that did not hold: a part of the state at a revision.
type facts struct {
	revision int64
	keys     map[string]*Record // those that were asked for; nil: no value
	ranges   map[string][]Record
}

func newFacts(t *Txn, a *Answer) *facts {
	f := &facts{
		revision: a.Revision,
		keys:     make(map[string]*Record, len(t.Keys)),
		ranges:   make(map[string][]Record, len(t.Ranges)),
	}
	for _, k := range t.Keys {
		f.keys[k.Key] = nil
	}
	for i := range a.Keys {
		f.keys[a.Keys[i].Key] = &a.Keys[i]
	}
	for i, n := range t.Ranges {
		f.ranges[n.Prefix] = a.Ranges[i]
	}
	return f
}

// about reports whether a key is among what was asked for.
func (f *facts) about(key string) bool {
	if _, ok := f.keys[key]; ok {
		return true
	}
	for prefix := range f.ranges {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// reader is the store.Reader of one run of closures. It reads a snapshot, or first of
// all an answer, and notes what it has read.
type reader struct {
	snapshot
	facts  *facts // nil: none
	reads  *reads
	beyond bool // something was read that is not among the facts
	// guarded says that a database may trust the guards of what is scanned, and need
	// not count. It is so in an Update.
	guarded bool
}

// Get implements store.Reader.
func (r *reader) Get(key string) ([]byte, error) {
	value, version := r.find(key)
	r.reads.key(key, version)
	if value == nil {
		return nil, store.ErrNotFound
	}
	return value, nil
}

func (r *reader) find(key string) ([]byte, int64) {
	if r.facts != nil {
		if found, ok := r.facts.keys[key]; ok {
			return found.content()
		}
		r.beyond = true
	}
	e, _ := r.values.Get(key)
	return e.value, e.version
}

// content is nil and 0 for a record that is not there.
func (r *Record) content() ([]byte, int64) {
	if r == nil {
		return nil, 0
	}
	return r.Value, r.Version
}

// Scan implements store.Reader.
func (r *reader) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		for _, item := range r.list(prefix) {
			if !yield(item, nil) {
				return
			}
		}
	}
}

func (r *reader) list(prefix string) []store.Item {
	if r.facts != nil {
		if found, ok := r.facts.ranges[prefix]; ok {
			return r.listFacts(prefix, found)
		}
		r.beyond = true
	}
	var items []store.Item
	r.values.Ascend(prefix, func(key string, e entry) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if len(key) > len(prefix) {
			items = append(items, store.Item{Key: key, Value: e.value})
		}
		return true
	})
	n, guard := r.rangeRead(prefix, len(items))
	r.reads.scan(n, guard)
	if r.guarded && guard == 0 {
		r.compareEach(items)
	}
	return items
}

// compareEach has what was yielded compared one by one. Without a guard there should be
// nothing, and what an answer has brought of a range that came and went since shows only
// in this way: its guard is what it was before, not there.
func (r *reader) compareEach(items []store.Item) {
	for i := range items {
		e, _ := r.values.Get(items[i].Key)
		r.reads.key(items[i].Key, e.version)
	}
}

func (r *reader) listFacts(prefix string, found []Record) []store.Item {
	_, guard := r.facts.keys[prefix].content()
	r.reads.scan(RangeRead{Prefix: prefix, Revision: r.facts.revision, Count: len(found)}, guard)
	items := make([]store.Item, len(found))
	for i := range found {
		items[i] = store.Item{Key: found[i].Key, Value: found[i].Value}
	}
	return items
}
