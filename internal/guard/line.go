package guard

import "container/list"

// line is where sources wait for turns, each in a queue of its own. The source at
// the front is served next and goes to the end.
//
// Within its queue a source's newest ticket is served first. When more tickets
// come than can be served, the oldest belong to handshakes that are about to be
// given up, so serving those would help nobody; and an honest peer whose address
// is also that of a flood is served soon after it came, or not at all.
type line struct {
	queues map[Source]*queue // none is empty
	order  *list.List        // of *queue, the one to be served next in front
}

// queue is what one source has waiting.
type queue struct {
	line    *line
	from    Source
	tickets list.List     // of *ticket, the newest at the back
	place   *list.Element // in the line's order
}

// ticket is one handshake's place in a line.
type ticket struct {
	called     chan struct{} // closed when its turn has come
	ofSuspects bool          // the turn is one of those that suspects may have
	queue      *queue        // nil once it has left the line
	place      *list.Element // in queue
}

func newLine() line { return line{queues: make(map[Source]*queue), order: list.New()} }

func (l *line) add(from Source, k *ticket) {
	q := l.queues[from]
	if q == nil {
		q = &queue{line: l, from: from}
		q.place = l.order.PushBack(q)
		l.queues[from] = q
	}
	k.queue, k.place = q, q.tickets.PushBack(k)
}

// next takes the ticket to be served next out of the line. It returns nil if there
// is none.
func (l *line) next() *ticket {
	front := l.order.Front()
	if front == nil {
		return nil
	}
	l.order.MoveToBack(front)
	k := front.Value.(*queue).tickets.Back().Value.(*ticket)
	k.leave()
	return k
}

// move hands a source with all its tickets over to another line.
func (l *line) move(from Source, to *line) {
	q := l.queues[from]
	if q == nil {
		return
	}
	for q.tickets.Len() > 0 {
		k := q.tickets.Front().Value.(*ticket)
		k.leave()
		to.add(from, k)
	}
}

// leave takes the ticket out of its line, and reports whether it was in one.
func (k *ticket) leave() bool {
	q := k.queue
	if q == nil {
		return false
	}
	q.tickets.Remove(k.place)
	k.queue, k.place = nil, nil
	if q.tickets.Len() == 0 {
		q.line.order.Remove(q.place)
		delete(q.line.queues, q.from)
	}
	return true
}
