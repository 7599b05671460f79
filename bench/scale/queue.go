package main

import "time"

// What happens at a time.
const (
	ready    = iota // a session is set up, and its member comes to the lane
	commits         // a transaction is at etcd
	answered        // it is at its server again
	turn            // a lane goes on
)

// event is something that happens.
type event struct {
	at      time.Duration
	seq     int // events of one time happen in the order in which they were made
	kind    int8
	server  int
	cluster int32
	tx      *transaction
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// queue is what is going to happen: a heap, the next event first.
type queue struct {
	events []event
	made   int
}

func (q *queue) len() int { return len(q.events) }

func (q *queue) next() time.Duration { return q.events[0].at }

func (q *queue) push(e event) {
	q.made++
	e.seq = q.made
	q.events = append(q.events, e)
	for i := len(q.events) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.events[i].before(&q.events[parent]) {
			return
		}
		q.events[i], q.events[parent] = q.events[parent], q.events[i]
		i = parent
	}
}

func (q *queue) pop() event {
	first, last := q.events[0], len(q.events)-1
	q.events[0] = q.events[last]
	q.events = q.events[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.events[child+1].before(&q.events[child]) {
			child++
		}
		if !q.events[child].before(&q.events[i]) {
			return first
		}
		q.events[i], q.events[child] = q.events[child], q.events[i]
		i = child
	}
}
