package guard

import "sync"

// maxRefusals is how many refused connections may be told why at once.
const maxRefusals = 64

// Refusals bounds how many of the connections that Admission does not admit are
// told so. Telling them costs the handshake that the limit is there to save.
type Refusals struct {
	mu                 sync.Mutex
	most, mostOfSource int   // guarded by mu
	told               tally // guarded by mu
}

// NewRefusals returns Refusals of which l allows how many there are at once.
func NewRefusals(l *Limits) *Refusals {
	r := &Refusals{told: newTally()}
	r.SetLimits(l)
	return r
}

// SetLimits has other limits count from now on.
func (r *Refusals) SetLimits(l *Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = l.Refusals()
	r.mostOfSource = (r.most + 3) / 4
}

// Enter reports whether one more connection may be told. If so, Leave has to follow.
func (r *Refusals) Enter(from Source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told.add(from, r.most, r.mostOfSource)
}

// Leave notes that a connection has been told.
func (r *Refusals) Leave(from Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.remove(from)
}
