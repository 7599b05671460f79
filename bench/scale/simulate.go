package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// plant is the machines that one registry has.
type plant struct {
	servers     int
	serverCores int64
	etcdCores   int64 // of each of three members
}

// start is how members begin: each cluster at a time of its own within the window, its
// members within spread of that, each at a server of its own choice.
type start struct {
	clusters []int // how many members each has
	window   time.Duration
	spread   time.Duration
}

// outcome is what came of a start. Times are from its begin, but for formation.
type outcome struct {
	members    int
	all        time.Duration   // until the last roster was complete
	formation  []time.Duration // of each cluster, from its last member's arrival, sorted
	writes     int64
	conflicts  int64
	serverBusy time.Duration // processor time of the busiest server, of all its cores
	etcdBusy   time.Duration // the same of etcd's leader
	busiest    int           // members at the server that has most
}

// What a member does, one after the other; each is an Update in the lane of its server.
const (
	registers = iota
	creates
	joins
	steps
)

// task is what one member does next.
type task struct {
	cluster int32
	step    int8
}

// transaction is one turn of a server's lane.
type transaction struct {
	server int
	begun  time.Duration // when its closures read
	tasks  []task
	held   bool
}

// lane is what waits at one server.
type lane struct {
	again   []task // lost in a conflict: first in turn
	waiting []task
	writing bool
	told    time.Duration // how much of what it was told it has taken in
	free    time.Duration // when its processors are done with what they have to do
	used    time.Duration // by all cores
	members int
}

// group is a cluster in the making.
type group struct {
	missing int
	arrived time.Duration // its last member
	changed time.Duration // when its record changed last, at etcd
	by      int           // the server that changed it
	created bool
}

// simulation is one registry at work.
type simulation struct {
	in       inputs
	plant    plant
	chance   *rand.Rand
	now      time.Duration
	queue    queue
	told     time.Duration // processor time that each server has been given so far by what it was told
	lanes    []lane
	groups   []group
	etcdFree time.Duration
	out      outcome
}

// seed is what all chance comes from.
const seed = 12

// simulate plays a start.
func simulate(in inputs, p plant, s start) outcome {
	sim := &simulation{
		in: in, plant: p, chance: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // the same each time
		lanes: make([]lane, p.servers), groups: make([]group, len(s.clusters)),
	}
	arrivals := sim.arrivals(s)
	for len(arrivals)+sim.queue.len() > 0 {
		if len(arrivals) > 0 && (sim.queue.len() == 0 || arrivals[0].at <= sim.queue.next()) {
			sim.now = arrivals[0].at
			sim.arrive(arrivals[0].cluster)
			arrivals = arrivals[1:]
			continue
		}
		e := sim.queue.pop()
		sim.now = e.at
		sim.happen(e)
	}
	for i := range sim.lanes {
		sim.work(&sim.lanes[i], 0)
		sim.out.serverBusy = max(sim.out.serverBusy, sim.lanes[i].used)
		sim.out.busiest = max(sim.out.busiest, sim.lanes[i].members)
	}
	slices.Sort(sim.out.formation)
	return sim.out
}

// arrival is a member that will come.
type arrival struct {
	at      time.Duration
	cluster int32
}

// arrivals returns when members come, in order.
func (s *simulation) arrivals(all start) []arrival {
	var list []arrival
	for c, members := range all.clusters {
		g := &s.groups[c]
		*g = group{missing: members, by: -1}
		s.out.members += members
		begin := time.Duration(s.chance.Int64N(int64(all.window)))
		for range members {
			at := begin + time.Duration(s.chance.Int64N(int64(all.spread)))
			g.arrived = max(g.arrived, at)
			list = append(list, arrival{at, int32(c)})
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return list
}

func (s *simulation) happen(e event) {
	switch e.kind {
	case ready:
		s.lanes[e.server].waiting = append(s.lanes[e.server].waiting, task{e.cluster, registers})
		s.begin(e.server)
	case commits:
		s.commit(e.tx)
	case answered:
		s.answered(e.tx)
	case turn:
		s.next(e.server)
	}
}

// work lets the processors of a server do something, and returns when it is done. What
// the server was told meanwhile, it has taken in before.
func (s *simulation) work(l *lane, d time.Duration) time.Duration {
	told := s.told - l.told
	l.told = s.told
	l.used += told + d
	l.free = max(l.free+told/time.Duration(s.plant.serverCores), s.now) + d/time.Duration(s.plant.serverCores)
	return l.free
}

// arrive is a member that connects. Its session is paid for at once.
func (s *simulation) arrive(cluster int32) {
	server := s.chance.IntN(len(s.lanes))
	l := &s.lanes[server]
	l.members++
	s.queue.push(event{at: s.work(l, s.in.serving-s.in.told), kind: ready, server: server, cluster: cluster})
}

// begin takes what waits into a transaction, if none is under way.
func (s *simulation) begin(server int) {
	l := &s.lanes[server]
	if l.writing || len(l.waiting)+len(l.again) == 0 {
		return
	}
	l.writing = true
	n := min(len(l.waiting), s.in.batch-len(l.again))
	tx := &transaction{server: server, begun: s.now, tasks: append(l.again, l.waiting[:n]...)}
	l.again, l.waiting = nil, l.waiting[n:]
	s.queue.push(event{at: s.now + s.in.commit/2, kind: commits, tx: tx})
}

// commit is the transaction at etcd, which carries them out one after the other.
func (s *simulation) commit(tx *transaction) {
	s.out.writes++
	tx.held = !s.conflicts(tx)
	n := len(tx.tasks)
	cost := leader(s.in.put) + times(leader(s.in.update()), n)
	if tx.held {
		s.change(tx)
		// Comparisons come with what is written. A third of the servers are told by the leader.
		cost += times(s.in.looking(), n)/steps + times(s.in.telling, n*s.plant.servers)/3
	} else {
		s.out.conflicts++
	}
	s.out.etcdBusy += cost
	s.etcdFree = max(s.etcdFree, s.now) + cost/time.Duration(s.plant.etcdCores)
	s.queue.push(event{at: s.etcdFree + s.in.commit/2, kind: answered, tx: tx})
}

func times(d time.Duration, n int) time.Duration { return d * time.Duration(n) }

// conflicts reports whether another server has changed a cluster since the transaction
// has read it, or too shortly before for its server to have been told.
func (s *simulation) conflicts(tx *transaction) bool {
	for _, t := range tx.tasks {
		g := &s.groups[t.cluster]
		if t.step != registers && g.by >= 0 && g.by != tx.server && g.changed > tx.begun-s.in.commit/2 {
			return true
		}
	}
	return false
}

func (s *simulation) change(tx *transaction) {
	for _, t := range tx.tasks {
		g := &s.groups[t.cluster]
		if t.step == joins || t.step == creates && !g.created {
			g.created, g.changed, g.by = true, s.now, tx.server
		}
	}
}

// answered is the transaction at its server again. After a conflict that one yields,
// for a random part of the time that it took: less long than package mirror lets it.
func (s *simulation) answered(tx *transaction) {
	l := &s.lanes[tx.server]
	if !tx.held {
		l.again = tx.tasks
		pause := time.Duration(s.chance.Int64N(int64(s.now - tx.begun)))
		s.queue.push(event{at: s.now + min(pause, longestYield), kind: turn, server: tx.server})
		return
	}
	s.told += s.in.told * time.Duration(len(tx.tasks)) / steps // each server is told of it
	for _, t := range tx.tasks {
		s.done(tx.server, t)
	}
	s.next(tx.server)
}

// longestYield is what package mirror has under this name.
const longestYield = 50 * time.Millisecond

func (s *simulation) next(server int) {
	s.lanes[server].writing = false
	s.begin(server)
}

// done is a member that goes on to its next step, or has a seat.
func (s *simulation) done(server int, t task) {
	if t.step++; t.step < steps {
		l := &s.lanes[server]
		l.waiting = append(l.waiting, t)
		return
	}
	g := &s.groups[t.cluster]
	if g.missing--; g.missing == 0 {
		s.out.formation = append(s.out.formation, s.now-g.arrived)
		s.out.all = max(s.out.all, s.now)
	}
}
