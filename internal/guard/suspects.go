package guard

import (
	"container/list"
	"time"
)

// suspectFor is how long a source that wasted a turn is a suspect.
const suspectFor = 10 * time.Second

// suspects are the sources that wasted a turn not long ago.
type suspects struct {
	places map[Source]*list.Element // in order
	order  *list.List               // of suspect, the first to be forgotten in front
}

type suspect struct {
	from  Source
	until time.Time
}

func newSuspects() suspects {
	return suspects{places: make(map[Source]*list.Element), order: list.New()}
}

func (s *suspects) add(from Source, now time.Time) {
	s.forget(now)
	if place := s.places[from]; place != nil {
		s.order.Remove(place)
	}
	s.places[from] = s.order.PushBack(suspect{from, now.Add(suspectFor)})
}

func (s *suspects) has(from Source, now time.Time) bool {
	s.forget(now)
	place := s.places[from]
	return place != nil && now.Before(place.Value.(suspect).until)
}

// forget drops two at most whose time is over. Never more than one is added between
// two calls, so all of them go in the end, and no call takes long, however many
// there are.
func (s *suspects) forget(now time.Time) {
	for range 2 {
		first := s.order.Front()
		if first == nil || now.Before(first.Value.(suspect).until) {
			return
		}
		s.order.Remove(first)
		delete(s.places, first.Value.(suspect).from)
	}
}
