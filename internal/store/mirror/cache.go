package mirror

import (
	"cmp"
	"strings"

	"github.com/tidwall/btree"
)

// cache is what the mirror knows: all that the feed has told since it began, and what
// answers have brought. It is a state that was once true, at the revision shown, but
// for what answers have brought that are ahead of the feed.
//
// Nothing in it is taken for the truth before the database has compared it. So it does
// no harm that a key is missing, or of some time ago. What would do harm is a range
// whose guard is newer than what lies below it: then the comparison holds, and the
// range is wrong. So a range has a guard of its own, which moves only with its content.
type cache struct {
	values btree.Map[string, entry]
	ranges btree.Map[string, known] // that an answer has brought whole, by their prefix
	ahead  map[string]int64         // those of ranges that are newer than shown
	ring   ring                     // what the feed told lately
	shown  int64                    // the revision up to which the feed has been applied
	size   int                      // of the values and their keys, in bytes
}

// entry is a key with its value.
type entry struct {
	value   []byte
	version int64
	// told is the version that the feed told last. It is less than version if an
	// answer was faster. As the guard of a range the key counts in this version.
	told int64
	// born says that the feed has told how the key came to be. Nothing was below it
	// then, and what has been put there since is in the cache.
	born bool
}

// known is a range that is in the cache whole.
type known struct {
	at    int64 // the revision of the answer
	guard int64 // the version that its guard has as of the content; 0: no guard
}

func newCache() cache { return cache{ahead: make(map[string]int64)} }

// begin forgets everything, because the feed begins anew after revision.
func (c *cache) begin(revision int64) {
	c.forget()
	c.ring = ring{since: revision}
	c.shown = revision
}

// forget empties the cache. Nothing that comes later is missed by that.
func (c *cache) forget() {
	c.values = btree.Map[string, entry]{}
	c.ranges = btree.Map[string, known]{}
	c.ahead = make(map[string]int64)
	c.size = 0
}

// apply takes in what the feed has told.
func (c *cache) apply(n *News) {
	for i := range n.Events {
		c.applyOne(&n.Events[i], true)
		c.ring.add(&n.Events[i])
	}
	c.shown = max(c.shown, n.Revision)
	for prefix, at := range c.ahead {
		if at <= c.shown {
			delete(c.ahead, prefix)
		}
	}
}

// applyOne takes in one event. If it is not told for the first time, what was below its
// key then may have been forgotten since.
func (c *cache) applyOne(e *Event, first bool) {
	c.moveGuard(e)
	old, ok := c.values.Get(e.Key)
	late := ok && old.version > e.Version || c.floor(e.Key) >= e.Version
	switch {
	case e.Value == nil && late:
		if ok { // an answer has brought the one after it
			old.born = false
			c.set(e.Key, old)
		}
	case e.Value == nil:
		c.remove(e.Key)
	case late:
		if ok {
			old.told = e.Version
			c.set(e.Key, old)
		}
	default:
		born := ok && old.born
		if e.Created && first {
			born = c.noneBelow(e)
		}
		c.set(e.Key, entry{value: e.Value, version: e.Version, told: e.Version, born: born})
	}
}

// moveGuard notes a change of a key that guards a known range.
func (c *cache) moveGuard(e *Event) {
	r, ok := c.ranges.Get(e.Key)
	if !ok || r.at >= e.Version {
		return
	}
	if r.guard = e.Version; e.Value == nil {
		r.guard = 0
	}
	c.ranges.Set(e.Key, r)
}

// noneBelow reports whether nothing was below a key when it came to be. That is what
// the contract of guards says; it is looked at as far as the cache can tell.
func (c *cache) noneBelow(e *Event) bool {
	none := true
	c.values.Ascend(e.Key, func(key string, v entry) bool {
		if !strings.HasPrefix(key, e.Key) {
			return false
		}
		none = len(key) == len(e.Key) || v.version >= e.Version
		return none
	})
	return none
}

// floor is the revision up to which nothing is to be learned of a key, because a range
// that it is in was brought at that revision.
func (c *cache) floor(key string) int64 {
	var floor int64
	for prefix, at := range c.ahead {
		if len(key) > len(prefix) && strings.HasPrefix(key, prefix) {
			floor = max(floor, at)
		}
	}
	return floor
}

// fill takes in the answer to a Txn that did not hold. The answer may be older than
// what the feed has told since: then what was told is told once more, or, if that is
// not known any longer, the answer is left alone.
func (c *cache) fill(t *Txn, f *facts) {
	if f.revision < c.ring.since {
		return
	}
	for prefix, found := range f.ranges {
		c.fillRange(prefix, found, f)
	}
	for _, k := range t.Keys {
		c.learn(k.Key, f.keys[k.Key], f.revision)
	}
	c.ring.after(f.revision, func(e *Event) {
		if f.about(e.Key) {
			c.applyOne(e, false)
		}
	})
}

// fillRange takes in a range, unless the cache has it newer.
func (c *cache) fillRange(prefix string, found []Record, f *facts) {
	if have, ok := c.rangeOf(prefix); ok && (have.at > f.revision || f.revision <= c.shown) {
		return
	}
	present := make(map[string]bool, len(found))
	for i := range found {
		present[found[i].Key] = true
		c.learn(found[i].Key, &found[i], f.revision)
	}
	for _, key := range c.below(prefix) {
		if !present[key] {
			c.learn(key, nil, f.revision)
		}
	}
	var guard int64
	if g := f.keys[prefix]; g != nil {
		guard = g.Version
	}
	c.ranges.Set(prefix, known{at: f.revision, guard: guard})
	if f.revision > c.shown {
		c.ahead[prefix] = f.revision
	}
}

func (c *cache) below(prefix string) []string {
	var keys []string
	c.values.Ascend(prefix, func(key string, _ entry) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if len(key) > len(prefix) {
			keys = append(keys, key)
		}
		return true
	})
	return keys
}

// learn takes in what a key was at a revision, nil if there was none, unless something
// newer is known.
func (c *cache) learn(key string, r *Record, revision int64) {
	old, ok := c.values.Get(key)
	if ok && old.version > revision || c.floor(key) > revision {
		return
	}
	if r == nil {
		c.remove(key)
		return
	}
	old.value, old.version = r.Value, r.Version
	c.set(key, old)
}

func (c *cache) set(key string, e entry) {
	if old, replaced := c.values.Set(key, e); replaced {
		c.size -= len(old.value)
	} else {
		c.size += len(key)
	}
	c.size += len(e.value)
}

func (c *cache) remove(key string) {
	if old, ok := c.values.Delete(key); ok {
		c.size -= len(key) + len(old.value)
	}
}

// rangeOf returns what is known of a range, and false if it is not known whole.
func (c *cache) rangeOf(prefix string) (known, bool) {
	return findRange(&c.ranges, &c.values, prefix)
}

func findRange(ranges *btree.Map[string, known], values *btree.Map[string, entry], prefix string) (known, bool) {
	if r, ok := ranges.Get(prefix); ok {
		return r, true
	}
	e, ok := values.Get(prefix)
	return known{guard: e.told}, ok && e.born
}

// snapshot returns the present state, which stays as it is.
func (c *cache) snapshot() snapshot {
	return snapshot{values: c.values.Copy(), ranges: c.ranges.Copy(), shown: c.shown}
}

// snapshot is the cache at one moment.
type snapshot struct {
	values *btree.Map[string, entry]
	ranges *btree.Map[string, known]
	shown  int64
}

// rangeRead says what has to be compared so that a range is what the snapshot has of
// it, and in which version its guard has to be.
func (s *snapshot) rangeRead(prefix string, count int) (RangeRead, int64) {
	r, ok := findRange(s.ranges, s.values, prefix)
	if ok {
		return RangeRead{Prefix: prefix, Revision: max(s.shown, r.at), Count: count}, r.guard
	}
	if _, guarded := s.values.Get(prefix); guarded || count > 0 {
		return RangeRead{Prefix: prefix, Count: count}, Unknown
	}
	return RangeRead{Prefix: prefix}, 0 // nothing is known of it, which is true of an empty one
}

// How much the ring keeps at most.
const (
	ringEvents = 1 << 14
	ringBytes  = 16 << 20
)

// ring is what the feed told lately, so that an answer that comes late can be brought
// up to date.
type ring struct {
	since  int64 // all events after this revision are there
	events []Event
	size   int
	most   int // events at a time; 0 is ringEvents
}

func (r *ring) add(e *Event) {
	r.events = append(r.events, *e)
	r.size += len(e.Key) + len(e.Value)
	for len(r.events) > cmp.Or(r.most, ringEvents) || r.size > ringBytes {
		first := &r.events[0]
		r.since = first.Version
		r.size -= len(first.Key) + len(first.Value)
		*first = Event{}
		r.events = r.events[1:]
	}
}

// after calls f for each event after a revision.
func (r *ring) after(revision int64, f func(*Event)) {
	first := len(r.events)
	for first > 0 && r.events[first-1].Version > revision {
		first--
	}
	for i := range r.events[first:] {
		f(&r.events[first+i])
	}
}
