package linear

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/xlattice/xlreg"
)

// verb is what a request asks for.
type verb string

const (
	register verb = "register"
	logIn    verb = "log in"
	create   verb = "create"
	join     verb = "join"
	leave    verb = "leave"
	get      verb = "get"
)

// request is what a client asked. A get that waits is a get that takes longer.
type request struct {
	verb verb
	id   xlreg.NodeID // who asks; in register the ID proposed, which may be none
	node node         // register: what the node says of itself; log in: its key
	ref  xlreg.ClusterRef
	asks ask // create
}

type ask struct {
	name       xlreg.Name
	size, ends uint32
}

// answer is what the client was answered.
type answer struct {
	lost bool       // no answer came: the request may have been served, or may not
	kind xlreg.Kind // 0: it was done

	id      xlreg.NodeID  // register, log in
	cluster xlreg.Cluster // create, join, get; of leave the ID, and the name if that was given
	seats   []seat        // get: by index, up to the last that is taken
	blind   bool          // get: over this carrier no proofs are shown
}

// rules is section 5 of the protocol once more, as plainly as it can be said.
type rules struct {
	self xlreg.NodeID // the registry's own ID, which nobody may have
}

// model returns the rules in the form in which histories are checked. A lost answer
// makes it nondeterministic: afterwards the registry is in one of two states, and
// which of them is for later answers to show.
func (r *rules) model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: partition,
		Init:      func() []any { return []any{newState()} },
		Step: func(s, rq, a any) []any {
			return r.step(s.(*state), rq.(*request), a.(*answer))
		},
		Equal:             equalStates,
		Hash:              hasher(),
		DescribeOperation: func(rq, a any) string { return fmt.Sprintf("%v: %v", rq, a) },
		DescribeState:     func(s any) string { return s.(*state).String() },
	}
	return m.ToModel()
}

// step returns the states in which the registry may be after it has given the
// answer; none if in state s it could not have given it.
func (r *rules) step(s *state, rq *request, a *answer) []any {
	next, want := r.apply(s, rq, a)
	if a.lost {
		return []any{s, next}
	}
	if !agree(a, &want) {
		return nil
	}
	if next = r.learn(next, a); next == nil {
		return nil
	}
	return []any{next}
}

// apply says what the request does and what is answered. Of the given answer it
// takes what the registry is free to choose: the IDs that it makes up.
func (r *rules) apply(s *state, rq *request, given *answer) (*state, answer) {
	switch rq.verb {
	case register:
		return r.register(s, rq, given.id)
	case logIn:
		known, ok := s.nodes[rq.id]
		return s, answer{id: rq.id, kind: kindUnless(ok && known.key == rq.node.key, xlreg.ErrBadSignature)}
	case create:
		return r.create(s, &rq.asks, given.cluster.ID)
	}
	c, kind := s.find(rq.ref)
	if kind != 0 {
		return s, answer{kind: kind}
	}
	switch rq.verb {
	case join:
		return doJoin(s, c, rq.id)
	case leave:
		return doLeave(s, c, rq)
	}
	return s, answer{cluster: c.Cluster, seats: c.seats}
}

func (r *rules) register(s *state, rq *request, issued xlreg.NodeID) (*state, answer) {
	if rq.id == "" && (issued == "" || r.used(s, string(issued))) {
		return s, answer{} // nobody knows the new node; or an ID was issued twice, which no answer allows
	}
	if rq.id == "" {
		return s.withNode(issued, rq.node), answer{id: issued}
	}
	known, ok := s.nodes[rq.id]
	if ok && known.key != rq.node.key || !ok && r.used(s, string(rq.id)) {
		return s, answer{kind: xlreg.ErrIDInUse}
	}
	return s.withNode(rq.id, rq.node), answer{id: rq.id}
}

// used reports whether a node, a cluster or the registry has the ID.
func (r *rules) used(s *state, id string) bool {
	_, ok := s.nodes[xlreg.NodeID(id)]
	return ok || xlreg.NodeID(id) == r.self || s.hasCluster(xlreg.ClusterID(id))
}

func (s *state) hasCluster(id xlreg.ClusterID) bool {
	_, kind := s.find(xlreg.ClusterRef{ID: id})
	return kind == 0
}

func (r *rules) create(s *state, asked *ask, issued xlreg.ClusterID) (*state, answer) {
	if c, ok := s.clusters[asked.name]; ok {
		return s, answer{cluster: c.Cluster}
	}
	if issued != "" && r.used(s, string(issued)) {
		return s, answer{}
	}
	c := cluster{Cluster: xlreg.Cluster{
		ID: issued, Name: asked.name,
		MaxSize:       int(min(max(asked.size, 2), 64)),
		EndpointCount: int(min(max(asked.ends, 1), 16)),
	}}
	c.seats = make([]seat, c.MaxSize)
	return s.withCluster(c), answer{cluster: c.Cluster}
}

func doJoin(s *state, c cluster, id xlreg.NodeID) (*state, answer) {
	n, known := s.nodes[id]
	if !known {
		return s, answer{kind: xlreg.ErrIdentityRequired}
	}
	index, kind := chooseSeat(&c, id, n)
	if kind != 0 {
		return s, answer{kind: kind}
	}
	return s.withSeat(c, index, seat{id, n}), answer{cluster: c.Cluster}
}

func chooseSeat(c *cluster, id xlreg.NodeID, n node) (int, xlreg.Kind) {
	own := c.index(func(m seat) bool { return m.id == id })
	holder := c.index(func(m seat) bool { return m.name == n.name })
	free := c.index(func(m seat) bool { return m == seat{} })
	switch {
	case own >= 0 && (holder < 0 || holder == own):
		return own, 0
	case own < 0 && holder >= 0 && c.seats[holder].key == n.key:
		return holder, 0
	case holder >= 0:
		return 0, xlreg.ErrMemberNameInUse
	case free < 0:
		return 0, xlreg.ErrClusterFull
	case countEnds(n.ends) < c.EndpointCount:
		return 0, xlreg.ErrTooFewEndpoints
	}
	return free, 0
}

func doLeave(s *state, c cluster, rq *request) (*state, answer) {
	own := c.index(func(m seat) bool { return m.id == rq.id })
	if own < 0 {
		return s, answer{kind: xlreg.ErrNotMember}
	}
	return s.withSeat(c, own, seat{}), answer{cluster: xlreg.Cluster{ID: c.ID, Name: rq.ref.Name}}
}

// learn gives a cluster the ID that an answer is the first to tell. It returns nil
// if something else has that ID.
func (r *rules) learn(s *state, a *answer) *state {
	c, ok := s.clusters[a.cluster.Name]
	if !ok || c.ID != "" || a.cluster.ID == "" {
		return s
	}
	if r.used(s, string(a.cluster.ID)) {
		return nil
	}
	c.ID = a.cluster.ID
	return s.withCluster(c)
}

// agree reports whether an answer is the one wanted.
func agree(got, want *answer) bool {
	if got.kind != 0 || want.kind != 0 {
		return got.kind == want.kind
	}
	expected := want.cluster
	if expected.ID == "" && expected.Name != "" {
		expected.ID = got.cluster.ID // nobody has been told of it before
	}
	return got.id == want.id && got.cluster == expected && sameSeats(got, want)
}

func sameSeats(got, want *answer) bool {
	for i, m := range want.seats {
		if got.blind {
			m.proof = ""
		}
		if m != got.seat(i) {
			return false
		}
	}
	return len(got.seats) <= len(want.seats)
}

func (a *answer) seat(index int) seat {
	if index >= len(a.seats) {
		return seat{}
	}
	return a.seats[index]
}

func (rq *request) String() string {
	switch rq.verb {
	case register:
		return fmt.Sprintf("register %v, ID proposed %q", rq.node, short(rq.id))
	case logIn:
		return fmt.Sprintf("log in %s with key %d", short(rq.id), rq.node.key)
	case create:
		return fmt.Sprintf("create %s for %d with %d endpoints", rq.asks.name, rq.asks.size, rq.asks.ends)
	}
	return fmt.Sprintf("%s %s%s by %s", rq.verb, rq.ref.Name, short(rq.ref.ID), short(rq.id))
}

func (a *answer) String() string {
	switch {
	case a.lost:
		return "no answer"
	case a.kind != 0:
		return a.kind.Error()
	case a.cluster == xlreg.Cluster{}:
		return short(a.id)
	case slices.ContainsFunc(a.seats, func(m seat) bool { return m != seat{} }):
		return describeCluster(&a.cluster) + ":" + describeSeats(a.seats)
	}
	return describeCluster(&a.cluster)
}
