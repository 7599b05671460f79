package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/xlattice/xlreg"
)

// recorder takes down what clients do, by one clock. It is safe for concurrent use.
type recorder struct {
	start time.Time
	timed bool // the registry's clock is part of the history

	mu     sync.Mutex
	began  int           // requests; guarded by mu, as is all below
	trips  []int         // how many must have begun for the next word on tripped
	trip   chan struct{} // with room for all trips
	done   []record
	deaths []int64 // when the registry was known to be dead
}

// record is one request with its answer.
type record struct {
	client       int
	asked, heard int64 // nanoseconds
	request      *request
	answer       *answer
}

// newRecorder makes a recorder that says so, in the channel trip, as soon as each of
// these numbers of requests has begun.
func newRecorder(trips ...int) *recorder {
	return &recorder{start: time.Now(), trips: trips, trip: make(chan struct{}, len(trips))}
}

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

// begin returns the time at which a request is about to be sent.
func (r *recorder) begin() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began++
	if len(r.trips) > 0 && r.began >= r.trips[0] {
		r.trips = r.trips[1:]
		r.trip <- struct{}{}
	}
	return r.now()
}

// end records an answer that has just come, or has just been given up.
func (r *recorder) end(client int, asked int64, rq *request, a *answer) {
	heard := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, record{client, asked, heard, rq, a})
}

// died records that the registry has been killed and is gone.
func (r *recorder) died() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaths = append(r.deaths, r.now())
}

// history returns what was recorded. A lost answer ends where the registry that was
// asked is dead, since afterwards it serves nothing any more: the next one begins
// with what is on its disk. Without such an end it lasts for ever. What was only
// read and never heard says nothing, and is left out, as is a registration without
// a proposed ID: if there is a node nobody knows which.
func (r *recorder) history() []porcupine.Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	var history []porcupine.Operation
	for _, d := range r.done {
		if d.answer.lost && !r.matters(d.request) {
			continue
		}
		if d.answer.lost {
			d.heard = r.deathAfter(d.asked)
		}
		history = append(history, porcupine.Operation{
			ClientId: d.client, Input: d.request, Call: d.asked, Output: d.answer, Return: d.heard,
		})
	}
	return history
}

// matters reports whether it matters that the request may have been served. To read is a
// sign of life, which matters where seats end without one.
func (r *recorder) matters(rq *request) bool {
	if rq.verb == get {
		return r.timed && rq.modern && rq.id != ""
	}
	return rq.verb != logIn && (rq.verb != register || rq.id != "" || rq.modern)
}

// deathAfter returns when the registry that was asked at a time was dead. One that
// died before it was asked has done nothing, so the death of the next is not too
// early either.
func (r *recorder) deathAfter(asked int64) int64 {
	for _, death := range r.deaths {
		if death >= asked {
			return death
		}
	}
	return math.MaxInt64
}

// partition cuts a history into parts that have nothing to do with each other. A
// request touches the nodes and clusters that it or its answer names, and no other:
// what it reads, changes or must not find, such as the ID that is issued, is among
// them. So requests that are not even indirectly about a common name or ID are about
// different objects, and a history is linearizable if and only if it is so for each
// object (Herlihy and Wing). Nodes and clusters cannot be parted from each other: a
// Join takes the name and the endpoints that the node has at that moment. An ID that
// two parts name joins them, so one that was issued twice is seen.
// What is done while nobody asks is done to each part: every other request comes before
// it or after it, so that all parts agree on when that was.
func partition(history []porcupine.Operation) [][]porcupine.Operation {
	parents := make(map[string]string)
	var common []porcupine.Operation
	for _, op := range history {
		if rq, _ := op.Input.(*request); rq.verb == pass || rq.verb == hangUp {
			common = append(common, op)
			continue
		}
		names := namesIn(op)
		for _, name := range names {
			unite(parents, names[0], name)
		}
	}
	number := make(map[string]int)
	var parts [][]porcupine.Operation
	for _, op := range history {
		if rq, _ := op.Input.(*request); rq.verb == pass || rq.verb == hangUp {
			continue
		}
		part := root(parents, namesIn(op)[0])
		if _, ok := number[part]; !ok {
			number[part] = len(parts)
			parts = append(parts, nil)
		}
		parts[number[part]] = append(parts[number[part]], op)
	}
	for i := range parts {
		parts[i] = append(parts[i], common...)
	}
	return parts
}

// namesIn returns what a request is about. IDs of nodes and clusters are of one kind,
// since no two things may have the same.
func namesIn(op porcupine.Operation) []string {
	rq, a := op.Input.(*request), op.Output.(*answer)
	ids := []string{string(rq.id), string(rq.ref.ID), string(a.id), string(a.cluster.ID)}
	for _, m := range a.seats {
		ids = append(ids, string(m.id))
	}
	var all []string
	for _, id := range ids {
		if id != "" {
			all = append(all, "ID "+id)
		}
	}
	if rq.modern && rq.verb != get {
		all = append(all, fmt.Sprint("key ", rq.key))
	}
	for _, name := range []xlreg.Name{rq.ref.Name, rq.asks.name, a.cluster.Name} {
		if name != "" {
			all = append(all, "name "+string(name))
		}
	}
	return all
}

func unite(parents map[string]string, a, b string) {
	if a, b = root(parents, a), root(parents, b); a != b {
		parents[b] = a
	}
}

func root(parents map[string]string, name string) string {
	for parents[name] != "" {
		name = parents[name]
	}
	return name
}

func countEnds(ends string) int { return len(strings.Fields(ends)) }

// overlaps counts the answered requests that were asked while another one was under way.
func (r *recorder) overlaps() int {
	answered := slices.DeleteFunc(slices.Clone(r.done), func(d record) bool { return d.answer.lost })
	slices.SortFunc(answered, func(a, b record) int { return cmp.Compare(a.asked, b.asked) })
	count, latest := 0, int64(-1)
	for _, d := range answered {
		if d.asked < latest {
			count++
		}
		latest = max(latest, d.heard)
	}
	return count
}
