package server

import (
	"sync"
	"time"
)

// crowdMin is how many silent connections a server has to have before it can
// call itself crowded; a few slow peers on a quiet server are no flood.
const crowdMin = 64

// admission counts connections, in total and by source, and how many of them
// have not said hello.
type admission struct {
	limits *Limits

	mu       sync.Mutex
	total    int            // guarded by mu
	greeting int            // guarded by mu; of total, those that have not said hello
	bySource map[source]int // guarded by mu; none is zero
}

func newAdmission(l *Limits) *admission {
	return &admission{limits: l, bySource: make(map[source]int)}
}

// enter admits a connection, and returns the time it has to say hello; false if
// a limit is reached.
func (a *admission) enter(from source) (hello time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := a.limits.ConnectionsPerAddress
	if from.loopback {
		most = a.limits.ConnectionsLoopback
	}
	if a.total >= a.limits.Connections || a.bySource[from] >= most {
		return 0, false
	}
	a.total++
	a.greeting++
	a.bySource[from]++
	if a.greeting > crowdMin && a.greeting > a.total/2 {
		return a.limits.CrowdedHello, true
	}
	return a.limits.Hello, true
}

// greeted notes that a connection has said hello, or never will.
func (a *admission) greeted() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.greeting--
}

// leave notes that a connection has ended.
func (a *admission) leave(from source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.bySource[from]--; a.bySource[from] == 0 {
		delete(a.bySource, from)
	}
}

func (a *admission) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}
