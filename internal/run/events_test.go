package run

import (
	"sync"
	"testing"
	"time"
)

// told are the events of a run, for tests to wait for.
type told struct {
	mu      sync.Mutex
	events  []Event // guarded by mu
	changed chan struct{}
}

func newTold() *told { return &told{changed: make(chan struct{}, 1)} }

func (l *told) tell(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// of returns the events of one program in one state.
func (l *told) of(name string, state State) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Event
	for _, e := range l.events {
		if e.Name == name && e.State == state {
			found = append(found, e)
		}
	}
	return found
}

// states returns the states that a program went through.
func (l *told) states(name string) []State {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []State
	for _, e := range l.events {
		if e.Name == name {
			all = append(all, e.State)
		}
	}
	return all
}

// until waits until a program has come into a state n times, and returns the last.
func (l *told) until(t *testing.T, name string, state State, n int) Event {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		if found := l.of(name, state); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-l.changed:
		case <-timeout:
			t.Fatalf("%s was not %s %d times: %v", name, state, n, l.states(name))
		}
	}
}
