package guard

import "container/list"

// queue is what one source has waiting for turns. Its newest ticket is served
// first. When more tickets come than can be served, the oldest belong to handshakes
// that are about to be given up, so serving those would help nobody; and an honest
// peer whose address is also that of a flood is mostly served soon after it came.
type queue struct {
	from    Source
	tickets list.List     // of *ticket, the newest at the back
	round   *list.List    // of *queue, in which this one is
	place   *list.Element // in round
}

// ticket is one handshake's place in a queue.
type ticket struct {
	called     chan struct{} // closed when its turn has come, or never will
	dropped    bool          // it never will; set before called is closed
	ofSuspects bool          // its turn is one of those that suspects may have
	queue      *queue
	place      *list.Element // in queue; nil once it has left
}

// enter puts the queue at the end of a round, unless it is in that already.
func (q *queue) enter(round *list.List) {
	if q.round == round {
		return
	}
	if q.round != nil {
		q.round.Remove(q.place)
	}
	q.round, q.place = round, round.PushBack(q)
}

func (q *queue) add(k *ticket) { k.queue, k.place = q, q.tickets.PushBack(k) }

// oldest returns the ticket that has waited longest. The queue is not empty.
func (q *queue) oldest() *ticket { return q.tickets.Front().Value.(*ticket) }

// firstOf returns the ticket to be served next of those in a round, or nil. Its
// queue goes to the end of the round.
func firstOf(round *list.List) *ticket {
	front := round.Front()
	if front == nil {
		return nil
	}
	round.MoveToBack(front)
	return front.Value.(*queue).tickets.Back().Value.(*ticket)
}
