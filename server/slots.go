package server

import (
	"context"
	"sync"
)

// slots bounds how many costly things are done at once, and hands them out in
// turn to the sources that want one: whoever sends a flood waits behind its own
// requests, not others behind it.
type slots struct {
	mu     sync.Mutex
	free   int                // guarded by mu
	queues map[source][]*turn // guarded by mu; none is empty
	order  []source           // guarded by mu; the keys of queues, next first
}

// turn is one wait for a slot.
type turn struct {
	granted chan struct{}
}

func newSlots(n int) *slots {
	return &slots{free: n, queues: make(map[source][]*turn)}
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
		s.abandon(from, t)
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
	t := &turn{granted: make(chan struct{})}
	if len(s.queues[from]) == 0 {
		s.order = append(s.order, from)
	}
	s.queues[from] = append(s.queues[from], t)
	return t
}

// abandon leaves the queue; a slot that was granted meanwhile is passed on.
func (s *slots) abandon(from source, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queues[from]
	for i := range queue {
		if queue[i] == t {
			s.setQueue(from, append(queue[:i:i], queue[i+1:]...))
			return
		}
	}
	s.pass()
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

// pass gives one slot to the next source in turn. mu is held.
func (s *slots) pass() {
	if len(s.order) == 0 {
		s.free++
		return
	}
	next := s.order[0]
	s.order = s.order[1:]
	queue := s.queues[next]
	close(queue[0].granted)
	if len(queue) == 1 {
		delete(s.queues, next)
		return
	}
	s.queues[next] = queue[1:]
	s.order = append(s.order, next)
}

// setQueue replaces a source's queue, and forgets an empty one. mu is held.
func (s *slots) setQueue(from source, queue []*turn) {
	if len(queue) > 0 {
		s.queues[from] = queue
		return
	}
	delete(s.queues, from)
	for i := range s.order {
		if s.order[i] == from {
			s.order = append(s.order[:i:i], s.order[i+1:]...)
			return
		}
	}
}
