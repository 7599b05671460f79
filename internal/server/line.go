package server

import "container/list"

// line is where sources wait for their turn, each with a queue of its own. Within
// a queue the newest goes first: while more comes than can be done the oldest has
// waited in vain anyhow, and an honest peer that shares its address with a flood
// still gets its share.
type line struct {
	most   int                   // turns in one queue
	queues map[source]*list.List // of *turn, the newest last
	order  *list.List            // the sources that have a queue, next first, and some that had one
}

// turn is one wait for a slot.
type turn struct {
	granted chan struct{}
	dropped chan struct{} // closed if the turn will never come
	last    bool          // it was granted as a suspect's
	queue   *list.List    // nil once granted
	place   *list.Element // in queue
}

func newTurn() *turn {
	return &turn{granted: make(chan struct{}), dropped: make(chan struct{})}
}

// newLine makes a line in which each source may have so many turns.
func newLine(most int) line {
	return line{most: most, queues: make(map[source]*list.List), order: list.New()}
}

// add queues a turn, and drops its source's oldest if those are too many.
func (l *line) add(from source, t *turn) {
	t.queue = l.queue(from)
	t.place = t.queue.PushBack(t)
	if t.queue.Len() > l.most {
		close(takeOldest(t.queue).dropped)
	}
}

func (l *line) queue(from source) *list.List {
	q := l.queues[from]
	if q == nil {
		q = list.New()
		l.queues[from] = q
		l.order.PushBack(from)
	}
	return q
}

// next takes the newest turn of the source that is next, or returns nil.
func (l *line) next() *turn {
	for l.order.Len() > 0 {
		from := l.order.Remove(l.order.Front()).(source)
		q := l.queues[from]
		if q == nil {
			continue // moved to another line
		}
		t := takeNewest(q)
		if q.Len() == 0 {
			delete(l.queues, from)
		} else {
			l.order.PushBack(from)
		}
		if t != nil {
			return t
		}
	}
	return nil
}

// move hands a source with all its turns over to another line.
func (l *line) move(from source, to *line) {
	q := l.queues[from]
	if q == nil {
		return
	}
	delete(l.queues, from)
	for t := takeOldest(q); t != nil; t = takeOldest(q) {
		to.add(from, t)
	}
}

// takeNewest returns nil if the queue is empty.
func takeNewest(q *list.List) *turn { return take(q, q.Back()) }

func takeOldest(q *list.List) *turn { return take(q, q.Front()) }

func take(q *list.List, e *list.Element) *turn {
	if e == nil {
		return nil
	}
	t := q.Remove(e).(*turn)
	t.queue, t.place = nil, nil
	return t
}

// leave reports whether the turn was still waiting. An empty queue stays until
// its source's next turn.
func (t *turn) leave() bool {
	if t.queue == nil {
		return false
	}
	t.queue.Remove(t.place)
	t.queue = nil
	return true
}

func (t *turn) isDropped() bool {
	select {
	case <-t.dropped:
		return true
	default:
		return false
	}
}
