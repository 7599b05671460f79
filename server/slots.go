package server

import (
	"container/list"
	"context"
	"sync"
)

// slots bounds how many costly things are done at once, and hands them out in
// turn to the sources that want one: whoever sends a flood waits behind its own
// requests, not others behind it. Within a source the newest goes first: while
// more comes than can be done the oldest has waited in vain anyhow, and an
// honest peer that shares its address with a flood still gets its share.
type slots struct {
	mu     sync.Mutex
	free   int                   // guarded by mu
	queues map[source]*list.List // guarded by mu; of *turn, the newest last
	order  *list.List            // guarded by mu; the sources that have a queue, next first
}

// turn is one wait for a slot.
type turn struct {
	granted chan struct{}
	from    source
	place   *list.Element // in its queue; nil once granted. Guarded by slots.mu
}

func newSlots(n int) *slots {
	return &slots{free: n, queues: make(map[source]*list.List), order: list.New()}
}

// acquire waits for a slot, which release must give back, or for ctx to end.
func (s *slots) acquire(ctx context.Context, from source) error {
	t := s.enter(from)
	if t == nil {
		return nil
	}
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		s.abandon(t)
		return ctx.Err()
	}
}

// enter takes a free slot, or queues up and returns the turn to wait for.
func (s *slots) enter(from source) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return nil
	}
	queue := s.queues[from]
	if queue == nil {
		queue = list.New()
		s.queues[from] = queue
		s.order.PushBack(from)
	}
	t := &turn{granted: make(chan struct{}), from: from}
	t.place = queue.PushBack(t)
	return t
}

// abandon leaves the queue; a slot that was granted meanwhile is passed on. An
// empty queue stays until its source's next turn.
func (s *slots) abandon(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.place == nil {
		s.pass()
		return
	}
	s.queues[t.from].Remove(t.place)
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

// pass gives one slot to the next source in turn. mu is held.
func (s *slots) pass() {
	for s.order.Len() > 0 {
		from := s.order.Remove(s.order.Front()).(source)
		queue := s.queues[from]
		t := takeNewest(queue)
		if queue.Len() == 0 {
			delete(s.queues, from)
		} else {
			s.order.PushBack(from)
		}
		if t != nil {
			close(t.granted)
			return
		}
	}
	s.free++
}

// takeNewest returns nil if the queue is empty.
func takeNewest(queue *list.List) *turn {
	last := queue.Back()
	if last == nil {
		return nil
	}
	t := queue.Remove(last).(*turn)
	t.place = nil
	return t
}
