package linear

import (
	"maps"
	"slices"
	"time"
)

// freshTerm is the longest that a seat lasts without a sign of life which was taken for a
// new start, as long as not all have come.
const freshTerm = 30 * time.Second

// term is how long a seat lasts without a sign of life; 0 is for ever.
func (c *cluster) term(m *place) time.Duration {
	if c.awaits(m) && (m.lease == 0 || m.lease > freshTerm) {
		return freshTerm
	}
	return m.lease
}

// awaits reports whether a seat waits for the start that it was taken for.
func (c *cluster) awaits(m *place) bool { return m.fresh && m.epoch > c.completed }

// raise gives a cluster its next revision, of which nobody can say anything who does not
// know the registry's clock.
func (s *state) raise(c *cluster) {
	if s.now > 0 {
		c.revision = max(c.revision+1, s.now)
	}
}

// unbound returns the other state that there may be after next, if there is one: that of a
// reader whose sign of life came before its connection could be the seat's. To read is to
// be heard and then to be told, and another session of the same node may have taken the
// seat in between, by a Join that has not been answered.
func unbound(s *state, rq *request, next *state) []any {
	if rq.verb != get || next == s {
		return nil
	}
	c, kind := s.find(rq.ref)
	if kind != 0 {
		return nil
	}
	if other := s.hear(c, rq, false); !equalStates(other, next) {
		return []any{other}
	}
	return nil
}

// hear renews what ends without a sign of life, by a node that asks for the cluster. If it
// binds, the seat goes with the connection from now on.
func (s *state) hear(c cluster, rq *request, binds bool) *state {
	if !rq.modern || rq.id == "" {
		return s
	}
	changed := false
	seats := slices.Clone(c.seats)
	for i := range seats {
		if m := &seats[i]; !m.free() && m.key == rq.key && c.term(m) > 0 {
			m.since, changed = s.now, true
			if binds {
				m.holder = rq.session
			}
		}
	}
	if !changed {
		return s
	}
	c.seats = seats
	return s.withCluster(c)
}

// pass moves the clock, and ends the seats that have not been renewed.
func (s *state) pass(by time.Duration) *state {
	next := *s
	next.now += uint64(by.Milliseconds())
	return next.end(func(c *cluster, m *place) bool {
		term := c.term(m)
		return term > 0 && m.since+uint64(term.Milliseconds()) <= next.now
	})
}

// hangUp ends the seats that go with the connection by which they were taken or last
// renewed.
func (s *state) hangUp(session int) *state {
	return s.end(func(c *cluster, m *place) bool { return m.holder == session && c.awaits(m) })
}

// end frees the seats that are over.
func (s *state) end(over func(*cluster, *place) bool) *state {
	next := *s
	next.clusters = maps.Clone(s.clusters)
	for name, c := range next.clusters {
		next.clusters[name] = c.end(s, over)
	}
	return &next
}

func (c cluster) end(s *state, over func(*cluster, *place) bool) cluster {
	seats, plates := slices.Clone(c.seats), slices.Clone(c.plates)
	for i := range c.seats {
		m := &c.seats[i]
		if m.free() || !over(&c, m) {
			continue
		}
		seats[i], plates[i] = place{}, m.key+1
		if m.epoch == c.epoch {
			s.raise(&c)
		}
	}
	c.seats, c.plates = seats, plates
	return c
}
