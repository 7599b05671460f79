package linear

import (
	"fmt"
	"slices"
	"time"

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
	order    verb = "order"

	// What is done while nobody asks anything.
	pass   verb = "pass"    // the clock moves, and what is due by then is done
	hangUp verb = "hang up" // a session ends
)

// request is what a client asked. A get that waits is a get that takes longer.
type request struct {
	verb verb
	id   xlreg.NodeID // who asks; in register the ID proposed, which may be none
	node node         // register: what the node says of itself; log in: its key
	ref  xlreg.ClusterRef
	asks ask // create

	modern bool   // over 2.0, where a node is its key
	key    int    // number of it
	own    node   // join: what the session registered itself; zero if it logged in
	run    string // join
	fresh  bool   // join
	lease  time.Duration
	orders edict

	session int           // the number of the session over 2.0; of hang up, that which ends
	by      time.Duration // pass
}

// edict is what the owner of a cluster orders.
type edict struct {
	kind   xlreg.OrderKind
	serial uint64
	key    int // whose seats it is about
}

type ask struct {
	name       xlreg.Name
	size, ends uint32
	owner      xlreg.ClusterKey // of a cluster with a key
}

// answer is what the client was answered.
type answer struct {
	lost bool       // no answer came: the request may have been served, or may not
	kind xlreg.Kind // 0: it was done

	id      xlreg.NodeID  // register, log in
	cluster xlreg.Cluster // create, join, get; of leave the ID, and the name if that was given
	seats   []seat        // get: by index, up to the last that is taken
	stays   []stay        // likewise, over 2.0
	told                  // over 2.0; a zero epoch or revision was not said
	lease   time.Duration // join, over 2.0: for how long the seat lasts without a sign of life
	blind   bool          // get: over this carrier no proofs are shown
}

// rules is section 5 of the protocol once more, as plainly as it can be said.
type rules struct {
	self  xlreg.NodeID // the registry's own ID, which nobody may have
	start uint64       // of the history, by the registry's clock; 0 if nobody knows it
}

// model returns the rules in the form in which histories are checked. A lost answer
// makes it nondeterministic: afterwards the registry is in one of two states, and
// which of them is for later answers to show.
func (r *rules) model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: partition,
		Init:      func() []any { return []any{newState(r.start)} },
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
		return append(unbound(s, rq, next), s, next)
	}
	if !agree(a, &want) {
		return nil
	}
	if next = r.learn(next, a); next == nil {
		return nil
	}
	return append(unbound(s, rq, next), next)
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
	case pass:
		return s.pass(rq.by), answer{}
	case hangUp:
		return s.hangUp(rq.session), answer{}
	case order:
		return doOrder(s, rq)
	}
	c, kind := s.find(rq.ref)
	if kind == 0 && c.Key != "" && !rq.modern {
		kind = missing(rq.ref) // for classic peers there are none
	}
	if kind != 0 {
		return s, answer{kind: kind}
	}
	switch rq.verb {
	case join:
		return doJoin(s, c, rq)
	case leave:
		return doLeave(s, c, rq)
	}
	return s.hear(c, rq, true), c.answer()
}

// answer is what is said of a cluster.
func (c *cluster) answer() answer {
	a := answer{cluster: c.Cluster, told: c.told()}
	for i := range c.seats {
		var shown place
		if c.seats[i].epoch == c.epoch {
			shown = c.seats[i]
		}
		a.seats, a.stays = append(a.seats, shown.seat), append(a.stays, shown.stay)
	}
	return a
}

func (r *rules) register(s *state, rq *request, issued xlreg.NodeID) (*state, answer) {
	if bound := s.byKey[rq.node.key]; rq.modern && bound != "" {
		return s.withNode(bound, rq.node), answer{id: bound}
	}
	if rq.id == "" && (issued == "" || r.used(s, string(issued))) {
		return s, answer{} // nobody knows the new node; or an ID was issued twice, which no answer allows
	}
	if rq.id == "" && rq.modern {
		return s.withKey(rq.node.key, issued).withNode(issued, rq.node), answer{id: issued}
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
	_, kind := s.findEver(xlreg.ClusterRef{ID: id})
	return kind == 0
}

func (r *rules) create(s *state, asked *ask, issued xlreg.ClusterID) (*state, answer) {
	c, ok := s.clusters[asked.name]
	switch {
	case ok && c.deleted:
		return s, answer{kind: xlreg.ErrNotAdmitted}
	case ok:
		return s, c.answer().withoutSeats()
	}
	if issued != "" && r.used(s, string(issued)) {
		return s, answer{}
	}
	c = cluster{Cluster: xlreg.Cluster{
		ID: issued, Name: asked.name, Key: asked.owner,
		MaxSize:       int(min(max(asked.size, 2), 64)),
		EndpointCount: int(min(max(asked.ends, 1), 16)),
	}, epoch: 1}
	c.seats, c.plates = make([]place, c.MaxSize), make([]int, c.MaxSize)
	s.raise(&c)
	return s.withCluster(c), c.answer().withoutSeats()
}

func (a answer) withoutSeats() answer {
	a.seats, a.stays = nil, nil
	return a
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
	said := got.epoch == 0 || got.epoch == want.epoch && got.orders == want.orders
	dated := got.revision == 0 || got.revision == want.revision && got.lease == want.lease
	return got.id == want.id && got.cluster == expected && said && dated && sameSeats(got, want)
}

func sameSeats(got, want *answer) bool {
	for i, m := range want.seats {
		if got.blind {
			m.proof = ""
		}
		if m != got.seat(i) {
			return false
		}
		if !got.blind && i < len(got.stays) && got.stays[i] != want.stays[i] {
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
	switch {
	case rq.verb == pass:
		return fmt.Sprintf("%v pass", rq.by)
	case rq.verb == hangUp:
		return fmt.Sprintf("session %d ends", rq.session)
	case rq.verb == order:
		return fmt.Sprintf("order %d: %v of key %d in %s", rq.orders.serial, rq.orders.kind, rq.orders.key, short(rq.ref.ID))
	case rq.verb == join && rq.modern:
		return fmt.Sprintf("join %s%s by key %d as %s, run %q, fresh %t, lease %v, own %v, session %d",
			rq.ref.Name, short(rq.ref.ID), rq.key, short(rq.id), rq.run, rq.fresh, rq.lease, rq.own, rq.session)
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
