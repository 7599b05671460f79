package run

import "sync"

// teller calls a function for one event after the other. Nobody has to wait until it returns.
type teller struct {
	to     func(Event)
	ended  sync.WaitGroup
	mu     sync.Mutex
	queue  []queued      // guarded by mu
	closed bool          // guarded by mu
	more   chan struct{} // has room for one
}

// queued is an event that is to be told, or a mark between events.
type queued struct {
	event Event
	past  chan<- struct{} // closed when the mark is reached; nil: it is an event
}

func newTeller(to func(Event)) *teller {
	t := &teller{to: to, more: make(chan struct{}, 1)}
	if to != nil {
		t.ended.Go(t.run)
	}
	return t
}

func (t *teller) tell(e Event) {
	if t.to == nil {
		return
	}
	t.put(queued{event: e})
}

func (t *teller) put(one queued) {
	t.mu.Lock()
	t.queue = append(t.queue, one)
	t.mu.Unlock()
	t.wake()
}

// flush returns when all events have been told that came before it. It must not be called
// after close.
func (t *teller) flush() {
	if t.to == nil {
		return
	}
	past := make(chan struct{})
	t.put(queued{past: past})
	<-past
}

func (t *teller) wake() {
	select {
	case t.more <- struct{}{}:
	default:
	}
}

// close returns when everything has been told.
func (t *teller) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wake()
	t.ended.Wait()
}

func (t *teller) run() {
	for range t.more {
		events, closed := t.take()
		for _, one := range events {
			if one.past != nil {
				close(one.past)
				continue
			}
			t.to(one.event)
		}
		if closed {
			return
		}
	}
}

// take returns what is to be told, and whether no more will come.
func (t *teller) take() ([]queued, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.queue
	t.queue = nil
	return events, t.closed
}
