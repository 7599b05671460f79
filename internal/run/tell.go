package run

import "sync"

// teller calls a function for one event after the other, and lets nobody wait for it.
type teller struct {
	to     func(Event)
	ended  sync.WaitGroup
	mu     sync.Mutex
	queue  []Event       // guarded by mu
	closed bool          // guarded by mu
	more   chan struct{} // has room for one
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
	t.mu.Lock()
	t.queue = append(t.queue, e)
	t.mu.Unlock()
	t.wake()
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
		for _, e := range events {
			t.to(e)
		}
		if closed {
			return
		}
	}
}

// take returns what is to be told, and whether no more will come.
func (t *teller) take() ([]Event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.queue
	t.queue = nil
	return events, t.closed
}
