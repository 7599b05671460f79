package linear

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
)

const (
	keysPerWorld  = 2
	mostWorlds    = 2
	nodesPerWorld = 9 // after so many nobody comes without an ID any more
)

// world is what some clients have in common: nodes and clusters that other clients
// know nothing of. It is small, so that they meet often, and of its own, so that
// its part of the history can be checked alone.
type world struct {
	number   int
	self     xlreg.NodeID // the registry's ID
	clusters []xlreg.Name
	keyed    []xlreg.Name // of the clusters with a key, which are not among them

	mu  sync.Mutex
	all []identified                         // nodes that are known to exist; guarded by mu
	ids map[xlreg.ClusterID]xlreg.ClusterRef // clusters that are; likewise

	orders map[xlreg.ClusterID]uint64 // how many the owner is known to have given; guarded by mu
	parked []session.Conn             // guarded by mu
}

// park keeps a connection until the world ends.
func (w *world) park(conn session.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parked = append(w.parked, conn)
}

// end closes the connections that were parked.
func (w *world) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.parked {
		conn.Close()
	}
	w.parked = nil
}

// identified is an ID with the number of its key.
type identified struct {
	id  xlreg.NodeID
	key int
}

func newWorld(number int, self xlreg.NodeID) *world {
	w := &world{
		number: number, self: self, ids: make(map[xlreg.ClusterID]xlreg.ClusterRef), orders: make(map[xlreg.ClusterID]uint64),
	}
	for _, name := range []string{"x", "y"} {
		w.clusters = append(w.clusters, xlreg.Name(fmt.Sprint(name, number)))
	}
	for _, name := range []string{"k", "l"} {
		w.keyed = append(w.keyed, xlreg.Name(fmt.Sprint(name, number)))
	}
	return w
}

func (w *world) addNode(id xlreg.NodeID, key int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := (identified{id, key}); !slices.Contains(w.all, n) {
		w.all = append(w.all, n)
	}
}

func (w *world) addCluster(c *xlreg.Cluster, orders uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids[c.ID] = xlreg.ClusterRef{ID: c.ID, Name: c.Name, Key: c.Key}
	if c.Key != "" {
		w.orders[c.ID] = max(w.orders[c.ID], orders)
	}
}

// nameOf returns the name of a cluster.
func (w *world) nameOf(ref xlreg.ClusterRef) xlreg.Name {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ref.ID != "" {
		return w.ids[ref.ID].Name
	}
	return ref.Name
}

// nodes returns the nodes that are known, of one key or, with -1, of all.
func (w *world) nodes(key int) []identified {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.all), func(n identified) bool { return key >= 0 && n.key != key })
}

// refs returns all ways to name a cluster of this world.
func (w *world) refs() []xlreg.ClusterRef {
	w.mu.Lock()
	defer w.mu.Unlock()
	var refs []xlreg.ClusterRef
	for _, name := range w.clusters {
		refs = append(refs, xlreg.ClusterRef{Name: name})
	}
	for _, id := range slices.Sorted(maps.Keys(w.ids)) {
		refs = append(refs, xlreg.ClusterRef{ID: id, Key: w.ids[id].Key})
	}
	return refs
}

var (
	// steps are how far the clock moves at once: less than what lasts here, and more.
	steps = []time.Duration{4100 * time.Millisecond, 11300 * time.Millisecond, 16700 * time.Millisecond, 31900 * time.Millisecond}
	// leases are what is asked for.
	leases = []time.Duration{0, 0, 15 * time.Second, 40 * time.Second}
)

// choose returns the next request of a client: one in so many of each kind.
func (c *client) choose() *request {
	if c.inner != nil && c.rnd.IntN(c.hurry) == 0 {
		return &request{verb: pass, by: pick(c.rnd, steps)}
	}
	modern := !c.protocol.Classic()
	n := c.rnd.IntN(20)
	switch {
	case c.self == "" && (!modern || n < 15):
		return c.identify()
	case len(c.world.refs()) < 2*len(c.world.clusters) && c.self != "" && n < 5:
		return c.creation() // of a cluster that nobody has seen yet, most likely
	case modern && c.restless && c.self != "" && len(c.joined) > 0 && n < 8:
		return c.departure()
	case modern && c.restless && c.self != "" && n < 16:
		return c.arrival()
	case c.self == "" || n < 6:
		return &request{verb: get, ref: c.ref(), id: c.self, modern: modern, key: c.key}
	case n < 7:
		return c.creation()
	case modern && n < 9:
		return c.command()
	case modern && n < 11:
		return c.identify()
	case modern && (n < 12 || n < 14 && len(c.joined) > 0):
		return c.departure()
	}
	return c.arrival()
}

// arrival joins, over 2.0 with one of few runs or none, and now and then for a new start.
func (c *client) arrival() *request {
	rq := &request{verb: join, ref: c.ref(), id: c.self, key: c.key}
	if rq.modern = !c.protocol.Classic(); !rq.modern {
		return rq
	}
	rq.own = c.own
	if n := c.rnd.IntN(6); n > 0 {
		rq.run, rq.fresh = fmt.Sprint("r", n), c.rnd.IntN(2) == 0 && !c.lasting
	}
	if c.inner != nil {
		rq.lease = pick(c.rnd, leases)
	}
	return rq
}

// command is an order of the owner's, if there is a cluster to give it in.
func (c *client) command() *request {
	id, serial := c.world.owned(c.rnd)
	if id == "" {
		return c.creation()
	}
	if c.rnd.IntN(4) == 0 {
		serial = uint64(1 + c.rnd.IntN(int(serial)))
	}
	kinds := []xlreg.OrderKind{
		xlreg.OrderEvict, xlreg.OrderEvict, xlreg.OrderReopen, xlreg.OrderReopen, xlreg.OrderBan, xlreg.OrderDelete, 9,
	}
	if serial < 4 {
		kinds = kinds[:4] // or nobody would get in any more
	}
	return &request{verb: order, ref: xlreg.ClusterRef{ID: id}, modern: true, key: c.key, orders: edict{
		kind: pick(c.rnd, kinds), serial: serial, key: c.world.number*keysPerWorld + c.rnd.IntN(keysPerWorld),
	}}
}

// owned returns one of the clusters with a key, if there is one, and the serial of its
// next order.
func (w *world) owned(rnd *rand.Rand) (xlreg.ClusterID, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var known []xlreg.ClusterID
	for _, id := range slices.Sorted(maps.Keys(w.ids)) {
		if w.ids[id].Key != "" {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return "", 0
	}
	id := pick(rnd, known)
	return id, w.orders[id] + 1
}

// departure leaves a cluster that the node has joined in this session, if there is
// one, or now and then any.
func (c *client) departure() *request {
	from := c.joined
	if len(from) == 0 || c.rnd.IntN(4) == 0 {
		from = c.world.refs()
	}
	return &request{verb: leave, ref: pick(c.rnd, from), id: c.self, modern: true, key: c.key}
}

func (c *client) creation() *request {
	rq := &request{verb: create, id: c.self, modern: !c.protocol.Classic(), key: c.key, asks: ask{
		name: pick(c.rnd, c.world.clusters), size: uint32(1 + c.rnd.IntN(4)), ends: pick(c.rnd, []uint32{0, 1, 1, 2}),
	}}
	if rq.modern && c.rnd.IntN(3) == 0 {
		rq.asks.name, rq.asks.owner = pick(c.rnd, c.world.keyed), c.nodes.owner.Public()
	}
	return rq
}

// ref names a cluster, over 2.0 now and then that with a key by its name.
func (c *client) ref() xlreg.ClusterRef {
	if !c.protocol.Classic() && c.rnd.IntN(5) == 0 {
		return xlreg.ClusterRef{Name: pick(c.rnd, c.world.keyed), Key: c.nodes.owner.Public()}
	}
	return pick(c.rnd, c.world.refs())
}

// identify chooses how the client says who it is.
func (c *client) identify() *request {
	mine, n, modern := c.world.nodes(c.key), c.rnd.IntN(10), !c.protocol.Classic()
	switch {
	case len(mine) > 0 && n < 4:
		return &request{verb: logIn, id: pick(c.rnd, mine).id, node: node{key: c.key}, modern: modern, key: c.key}
	case n == 4:
		return &request{verb: logIn, id: c.anyID(), node: node{key: c.key}, modern: modern, key: c.key}
	case modern:
		return &request{verb: register, node: c.said, modern: true, key: c.key}
	}
	rq := &request{verb: register, node: c.description()}
	switch {
	case n == 5:
		rq.id = c.anyID()
	case len(mine) > 0 && n < 9 || len(c.world.nodes(-1)) >= nodesPerWorld:
		rq.id = c.anyOf(mine)
	}
	return rq
}

// anyOf returns the ID of one of these nodes, or if there is none, of any.
func (c *client) anyOf(mine []identified) xlreg.NodeID {
	if len(mine) > 0 {
		return pick(c.rnd, mine).id
	}
	return c.anyID()
}

// anyID returns an ID that most likely belongs to something else: another node, a
// cluster, the registry, or nothing at all.
func (c *client) anyID() xlreg.NodeID {
	ownChoice := fmt.Sprintf("%*d-%d", xlreg.ShortIDLen-2, c.world.number, c.rnd.IntN(4))
	ids := []xlreg.NodeID{c.world.self, xlreg.NodeID(ownChoice)}
	for _, n := range c.world.nodes(-1) {
		ids = append(ids, n.id)
	}
	for _, ref := range c.world.refs() {
		if ref.ID != "" {
			ids = append(ids, xlreg.NodeID(ref.ID))
		}
	}
	return pick(c.rnd, ids)
}

// description chooses what a node says of itself, in the form for this carrier.
func (c *client) description() node {
	enough := c.rnd.IntN(4) > 0 // endpoints for most clusters
	var fitting []node
	for n := range c.target.nodes.tokens {
		if n.key == c.key && (n.proof == "") == c.protocol.Classic() && (n.ends != "") == enough {
			fitting = append(fitting, n)
		}
	}
	slices.SortFunc(fitting, func(a, b node) int {
		return strings.Compare(string(a.name)+a.ends, string(b.name)+b.ends)
	})
	return pick(c.rnd, fitting)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
