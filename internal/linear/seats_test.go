package linear

import (
	"slices"
	"strings"

	"github.com/xlattice/xlreg"
)

// missing is how a cluster that there is not is named.
func missing(ref xlreg.ClusterRef) xlreg.Kind {
	if ref.ID != "" {
		return xlreg.ErrNoSuchClusterID
	}
	return xlreg.ErrNoSuchClusterName
}

// taking is what a Join does: which seat it takes, which others go, and whether the next
// epoch begins.
type taking struct {
	index int
	frees []int
	opens bool
}

func doJoin(s *state, c cluster, rq *request) (*state, answer) {
	n, known := s.nodes[rq.id]
	if !known {
		return s, answer{kind: xlreg.ErrIdentityRequired}
	}
	if rq.own != (node{}) {
		n = rq.own
	}
	var t taking
	var kind xlreg.Kind
	switch {
	case c.Key != "" && (c.banned(rq.key) || n.proof == ""):
		kind = xlreg.ErrNotAdmitted
	case rq.modern:
		t, kind = chooseModern(&c, rq, n)
	default:
		t.index, kind = chooseSeat(&c, rq.id, n)
	}
	if kind != 0 {
		return s, answer{kind: kind}
	}
	c = c.take(t, rq, seat{rq.id, n}, s)
	a := c.answer().withoutSeats()
	a.lease = c.term(&c.seats[t.index])
	return s.withCluster(c), a
}

// chooseSeat is section 5.6 over a classic carrier, where a node is its ID.
func chooseSeat(c *cluster, id xlreg.NodeID, n node) (int, xlreg.Kind) {
	own := c.index(func(m place) bool { return m.id == id })
	holder := c.index(func(m place) bool { return m.name == n.name })
	switch {
	case own >= 0 && (holder < 0 || holder == own):
		return own, 0
	case own < 0 && holder >= 0 && c.seats[holder].key == n.key:
		return holder, 0
	case holder >= 0:
		return 0, xlreg.ErrMemberNameInUse
	}
	return c.enter(c.index(place.free), n)
}

func (c *cluster) enter(index int, n node) (int, xlreg.Kind) {
	switch {
	case index < 0:
		return 0, xlreg.ErrClusterFull
	case countEnds(n.ends) < c.EndpointCount:
		return 0, xlreg.ErrTooFewEndpoints
	}
	return index, 0
}

// chooseModern is sections 5.6, 10.4 and 10.5 over 2.0, where a node is its key.
func chooseModern(c *cluster, rq *request, n node) (t taking, kind xlreg.Kind) {
	var mine []int
	for i, m := range c.seats {
		if !m.free() && m.key == rq.key {
			mine = append(mine, i)
		}
	}
	own := -1
	if len(mine) > 0 {
		own, t.frees = mine[0], mine[1:]
	}
	if own >= 0 && rq.run != "" && slices.Contains(strings.Split(c.seats[own].past, " "), rq.run) {
		return t, xlreg.ErrMemberIDInUse
	}
	t.opens = rq.fresh && c.begins(rq, own)
	holder := c.index(func(m place) bool { return !m.free() && m.name == n.name && m.key != rq.key })
	gives := holder >= 0 && rq.fresh && c.Key != "" && c.seats[holder].epoch < c.epoch
	switch {
	case holder >= 0 && !gives:
		return t, xlreg.ErrMemberNameInUse
	case gives && own < 0:
		t.index, kind = c.enter(holder, n)
		return t, kind
	case gives:
		t.frees = append(slices.Clone(t.frees), holder)
	}
	if t.index = own; own >= 0 {
		return t, 0
	}
	index := c.index(place.free)
	if index < 0 && rq.fresh && c.Key != "" {
		index = c.index(func(m place) bool { return m.epoch < c.epoch })
	}
	t.index, kind = c.enter(index, n)
	return t, kind
}

// begins reports whether a Fresh Join opens the next epoch if it succeeds.
func (c *cluster) begins(rq *request, own int) bool {
	if own >= 0 && c.seats[own].epoch == c.epoch {
		return c.seats[own].run != rq.run
	}
	left := false
	for i, m := range c.seats {
		left = left || m.free() && c.plates[i] == rq.key+1
	}
	return c.completed == c.epoch && (c.Key != "" || left)
}

// take does what was chosen.
func (c cluster) take(t taking, rq *request, who seat, s *state) cluster {
	if t.opens {
		c.epoch++
	}
	c.seats, c.plates = slices.Clone(c.seats), slices.Clone(c.plates)
	for _, i := range t.frees {
		c.plates[i] = c.seats[i].key + 1
		c.seats[i] = place{}
	}
	before := c.seats[t.index]
	if !before.free() && before.key != who.key {
		before = place{} // it has given way
	}
	now := place{
		seat: who, stay: stay{rq.run, rq.lease}, epoch: c.epoch, past: before.past, fresh: rq.fresh,
		since: s.now, holder: rq.session,
	}
	switch {
	case rq.run == "":
		now.run = before.run
	case before.run != "" && before.run != rq.run:
		now.past = strings.TrimSpace(before.past + " " + before.run)
	}
	c.seats[t.index], c.plates[t.index] = now, 0
	if c.members() == c.MaxSize {
		c.completed = c.epoch
	}
	if c.term(&now) == 0 {
		c.seats[t.index].since, c.seats[t.index].holder = 0, 0
	}
	if len(t.frees) > 0 || before.seat != now.seat || before.stay != now.stay || before.epoch != now.epoch {
		s.raise(&c)
	}
	return c
}

func (c *cluster) members() int {
	n := 0
	for _, m := range c.seats {
		if !m.free() && m.epoch == c.epoch {
			n++
		}
	}
	return n
}

func doLeave(s *state, c cluster, rq *request) (*state, answer) {
	key := rq.key
	if !rq.modern { // in histories made by hand
		key = s.nodes[rq.id].key
	}
	next, gone := c.without(key)
	if !gone {
		return s, answer{kind: xlreg.ErrNotMember}
	}
	if next.members() < c.members() { // nobody sees the seats of earlier epochs go
		s.raise(&next)
	}
	return s.withCluster(next), answer{cluster: xlreg.Cluster{ID: c.ID, Name: rq.ref.Name}}
}

// without takes away a key's seats, of every epoch.
func (c cluster) without(key int) (_ cluster, gone bool) {
	c.seats, c.plates = slices.Clone(c.seats), slices.Clone(c.plates)
	for i, m := range c.seats {
		if !m.free() && m.key == key {
			c.seats[i], c.plates[i], gone = place{}, key+1, true
		}
	}
	return c, gone
}

// doOrder is section 9.5.
func doOrder(s *state, rq *request) (*state, answer) {
	c, kind := s.findEver(rq.ref)
	switch {
	case kind != 0:
		return s, answer{kind: kind}
	case rq.orders == c.last:
		return s, answer{cluster: c.Cluster, told: c.then}
	case c.deleted:
		return s, answer{kind: xlreg.ErrNoSuchClusterID}
	case rq.orders.serial != c.orders+1:
		return s, answer{kind: xlreg.ErrOrdersChanged}
	}
	next, gone := c.without(rq.orders.key)
	switch rq.orders.kind {
	case xlreg.OrderEvict:
		if !gone {
			return s, answer{kind: xlreg.ErrNotMember}
		}
	case xlreg.OrderBan:
		next.bans |= 1 << rq.orders.key
	case xlreg.OrderReopen:
		next = c
		next.epoch++
		next.seats, next.plates = make([]place, c.MaxSize), make([]int, c.MaxSize)
	case xlreg.OrderDelete:
		next = c
		next.deleted, next.seats, next.plates = true, nil, nil
	default:
		return s, answer{kind: xlreg.ErrIllFormedToken}
	}
	next.orders++
	s.raise(&next)
	next.last, next.then = rq.orders, next.told()
	return s.withCluster(next), next.answer().withoutSeats()
}

func (c *cluster) banned(key int) bool { return c.bans>>key&1 == 1 }
