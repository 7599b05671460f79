package guard

import (
	"sync"
	"time"
)

// crowdMin is how many silent connections it takes at least to make a crowd: a few
// slow peers on a quiet registry are no flood.
const crowdMin = 64

// Admission bounds how many connections are open, in all and from one source, and
// how long a new one may take to say hello.
type Admission struct {
	mu       sync.Mutex
	limits   Limits // guarded by mu
	open     tally  // guarded by mu
	greeting int    // guarded by mu; of those open, how many have not said hello
}

// NewAdmission returns an Admission without connections.
func NewAdmission(l *Limits) *Admission { return &Admission{limits: *l, open: newTally()} }

// SetLimits has other limits count from now on. Connections that are open stay, even if
// there are too many of them now.
func (a *Admission) SetLimits(l *Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits = *l
}

// Enter admits a connection and returns the time it has to say hello, or false if
// a limit is reached. Greeted and Leave have to follow for one that was admitted.
func (a *Admission) Enter(from Source) (hello time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open.add(from, a.limits.Connections, a.limits.connectionsOf(from)) {
		return 0, false
	}
	a.greeting++
	if a.greeting > crowdMin && a.greeting > a.open.total/2 {
		return a.limits.CrowdedHello, true
	}
	return a.limits.Hello, true
}

// Met returns the name of the limit for which a connection from a source was just not
// admitted.
func (a *Admission) Met(from Source) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.open.total >= a.limits.Connections:
		return MaxConnections
	case from.loopback:
		return MaxConnectionsLoopback
	}
	return MaxConnectionsPerAddress
}

// Greeted notes that a connection has said hello, or never will.
func (a *Admission) Greeted() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.greeting--
}

// Leave notes that a connection has ended.
func (a *Admission) Leave(from Source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open.remove(from)
}

// Open returns how many connections there are.
func (a *Admission) Open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open.total
}
