package server

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// slots bounds how many costly things are done at once, and hands them out in
// turn to the sources that want one: whoever sends a flood waits behind its own
// requests, not others behind it.
//
// A source that has cost a slot for nothing is suspect for a while. All suspects
// together have half of the slots, and those only when nobody else wants them: a
// flood of garbage, the cheapest there is, leaves the other processors alone.
type slots struct {
	mu       sync.Mutex
	free     int                  // guarded by mu
	forLast  int                  // guarded by mu; how many more the suspects may have
	first    line                 // guarded by mu
	last     line                 // guarded by mu; the suspects
	suspects map[source]time.Time // guarded by mu; until when
}

const (
	suspectFor   = 10 * time.Second
	suspectTurns = 256  // that one suspect may wait for: more would only take memory
	sweepBeyond  = 1024 // suspects, of which some will have served their time
)

// errDropped ends a handshake that would have waited in vain.
var errDropped = errors.New("too many from a suspect address")

func newSlots(n int) *slots {
	return &slots{
		free: n, forLast: max(1, n/2), first: newLine(math.MaxInt), last: newLine(suspectTurns),
		suspects: make(map[source]time.Time),
	}
}

// acquire waits for a slot, which release gives back, or for ctx to end.
func (s *slots) acquire(ctx context.Context, from source) (release func(), err error) {
	t := s.enter(from)
	select {
	case <-t.granted:
	case <-t.dropped:
		return nil, errDropped
	case <-ctx.Done():
		s.abandon(t)
		return nil, ctx.Err()
	}
	return func() { s.release(t) }, nil
}

// enter queues up, and hands on what slots are free.
func (s *slots) enter(from source) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := newTurn()
	if time.Now().Before(s.suspects[from]) {
		s.last.add(from, t)
	} else {
		s.first.add(from, t)
	}
	s.pass()
	return t
}

// abandon leaves the queue; a slot that was granted meanwhile is passed on.
func (s *slots) abandon(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.leave() || t.isDropped() {
		return
	}
	s.giveBack(t)
}

func (s *slots) release(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(t)
}

// giveBack needs mu held.
func (s *slots) giveBack(t *turn) {
	s.free++
	if t.last {
		s.forLast++
	}
	s.pass()
}

// pass hands out the slots that are free. mu is held.
func (s *slots) pass() {
	for s.free > 0 {
		t := s.first.next()
		if t == nil && s.forLast > 0 {
			if t = s.last.next(); t != nil {
				t.last = true
				s.forLast--
			}
		}
		if t == nil {
			return
		}
		s.free--
		close(t.granted)
	}
}

// suspect notes that a source has cost a slot for nothing.
func (s *slots) suspect(from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.suspects) > sweepBeyond {
		for other, until := range s.suspects {
			if now.After(until) {
				delete(s.suspects, other)
			}
		}
	}
	s.suspects[from] = now.Add(suspectFor)
	s.first.move(from, &s.last)
}
