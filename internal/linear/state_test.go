package linear

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
)

// state is all that a registry keeps, as far as its clients can tell. A state is
// never changed; what a request does makes another one.
type state struct {
	nodes    map[xlreg.NodeID]node
	byKey    map[int]xlreg.NodeID // which node a key is over 2.0
	clusters map[xlreg.Name]cluster
	now      uint64 // by the registry's clock, in milliseconds; 0 if nobody knows it
}

// node is what a node registered last.
type node struct {
	name  xlreg.Name
	key   int    // number of its sig key
	ends  string // its endpoints
	proof string // of 2.0; empty if it registered over a classic carrier
}

// cluster is a cluster and its seats, by index. The ID is empty as long as nobody
// has been told of it, since the answer to its Create was lost.
type cluster struct {
	xlreg.Cluster
	seats  []place
	plates []int // of indexes that are free: whose they were last, as the number of the key and one

	epoch     uint64
	completed uint64 // the last epoch in which all have been there at one time
	revision  uint64 // as long as the registry's clock is known
	orders    uint64
	last      edict  // the last order
	then      told   // what was answered to it
	bans      uint64 // bit n is key n
	deleted   bool   // for good: what is left is the stone
}

// told is what an answer says of a cluster that may change.
type told struct{ epoch, revision, orders uint64 }

func (c *cluster) told() told { return told{c.epoch, c.revision, c.orders} }

// place is a seat as the registry keeps it, or the zero value where the index is free.
type place struct {
	seat
	stay
	epoch uint64
	past  string // runs that others have replaced
	fresh bool   // it was taken for a new start

	// Of a seat that may end: when its node last gave a sign of life, and in which session.
	since  uint64
	holder int
}

// stay is for which run, and for how long without a sign of life, a seat was taken.
type stay struct {
	run   string
	lease time.Duration
}

func (p place) free() bool { return p == place{} }

// seat is a member, or the zero value where the index is free.
type seat struct {
	id xlreg.NodeID
	node
}

// index returns the index of the first seat that is wanted; -1 if there is none.
func (c *cluster) index(wanted func(place) bool) int { return slices.IndexFunc(c.seats, wanted) }

// newState is that of an empty registry.
func newState(now uint64) *state {
	return &state{now: now, nodes: make(map[xlreg.NodeID]node), byKey: make(map[int]xlreg.NodeID), clusters: make(map[xlreg.Name]cluster)}
}

func (s *state) withNode(id xlreg.NodeID, n node) *state {
	next := *s
	next.nodes = maps.Clone(s.nodes)
	next.nodes[id] = n
	return &next
}

func (s *state) withKey(key int, id xlreg.NodeID) *state {
	next := *s
	next.byKey = maps.Clone(s.byKey)
	next.byKey[key] = id
	return &next
}

func (s *state) withCluster(c cluster) *state {
	next := *s
	next.clusters = maps.Clone(s.clusters)
	next.clusters[c.Name] = c
	return &next
}

// find returns the cluster that ref names, unless it is deleted. An ID wins over a name.
func (s *state) find(ref xlreg.ClusterRef) (cluster, xlreg.Kind) {
	c, kind := s.findEver(ref)
	if kind == 0 && c.deleted {
		kind = missing(ref)
	}
	return c, kind
}

// findEver is find among the deleted, too.
func (s *state) findEver(ref xlreg.ClusterRef) (cluster, xlreg.Kind) {
	if ref.ID == "" {
		c, ok := s.clusters[ref.Name]
		return c, kindUnless(ok, xlreg.ErrNoSuchClusterName)
	}
	for _, c := range s.clusters {
		if c.ID == ref.ID {
			return c, 0
		}
	}
	return cluster{}, xlreg.ErrNoSuchClusterID
}

func kindUnless(ok bool, k xlreg.Kind) xlreg.Kind {
	if ok {
		return 0
	}
	return k
}

func equalStates(a, b any) bool {
	x, y := a.(*state), b.(*state)
	return x == y || x.now == y.now && maps.Equal(x.nodes, y.nodes) && maps.Equal(x.byKey, y.byKey) && maps.EqualFunc(x.clusters, y.clusters, equalClusters)
}

func equalClusters(a, b cluster) bool {
	return a.Cluster == b.Cluster && a.epoch == b.epoch && a.completed == b.completed && a.revision == b.revision && a.orders == b.orders &&
		a.last == b.last && a.then == b.then && a.bans == b.bans && a.deleted == b.deleted && slices.Equal(a.seats, b.seats) && slices.Equal(a.plates, b.plates)
}

// hasher returns a hash of states under which equal ones are equal: sums do not
// depend on the order of a map.
func hasher() func(any) uint64 {
	seed := maphash.MakeSeed()
	type entry struct {
		id xlreg.NodeID
		node
	}
	type place struct {
		cluster xlreg.ClusterID
		index   int
		id      xlreg.NodeID
		name    xlreg.Name
	}
	return func(v any) uint64 {
		s, sum := v.(*state), uint64(0)
		for id, n := range s.nodes {
			sum += maphash.Comparable(seed, entry{id, n})
		}
		for _, c := range s.clusters {
			sum += maphash.Comparable(seed, c.Cluster) + maphash.Comparable(seed, c.told())
			for i, m := range c.seats {
				sum += maphash.Comparable(seed, place{c.ID, i, m.id, m.name})
			}
		}
		return sum
	}
}

// String and what it calls are for the picture of a history.
func (s *state) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		fmt.Fprintf(&b, "%s is %v; ", short(id), s.nodes[id])
	}
	for _, name := range slices.Sorted(maps.Keys(s.clusters)) {
		c := s.clusters[name]
		fmt.Fprintf(&b, "%v in epoch %d, revision %d, after %d orders, deleted %t:%s; ", describeCluster(&c.Cluster), c.epoch, c.revision, c.orders, c.deleted, describePlaces(c.seats))
	}
	return b.String()
}

func (n node) String() string {
	text := fmt.Sprintf("%s with key %d at [%s]", n.name, n.key, n.ends)
	if n.proof != "" {
		text += " proof " + n.proof
	}
	return text
}

func describeCluster(c *xlreg.Cluster) string {
	return fmt.Sprintf("%s (%s, %d members, %d endpoints)", c.Name, short(c.ID), c.MaxSize, c.EndpointCount)
}

func describePlaces(places []place) string {
	text := ""
	for i, m := range places {
		if !m.free() {
			text += fmt.Sprintf(" %d=%s (%v, epoch %d, run %q after %q, lease %v, fresh %t, seen at %d)", i, short(m.id), m.node, m.epoch, m.run, m.past, m.lease, m.fresh, m.since)
		}
	}
	return text
}

func describeSeats(seats []seat) string {
	text := ""
	for i, m := range seats {
		if m != (seat{}) {
			text += fmt.Sprintf(" %d=%s (%v)", i, short(m.id), m.node)
		}
	}
	return text
}

// short returns enough of an ID to tell it from others.
func short[T xlreg.NodeID | xlreg.ClusterID](id T) string {
	if len(id) != xlreg.ShortIDLen && len(id) != xlreg.LongIDLen {
		return string(id) // one made up by a test, or none
	}
	return fmt.Sprintf("%x", string(id[:3]))
}
