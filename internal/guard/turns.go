package guard

import (
	"context"
	"sync"
	"time"
)

// Turns bounds how many handshakes are computed at once. A turn is the right to
// compute one. Turns go round among the sources that want one, so a source that
// floods the registry waits behind its own handshakes, and others do not.
//
// A source that wasted a turn is a suspect for a while. Suspects get turns that
// nobody else wants, and all suspects together never hold more than half of all
// turns. So a flood of garbage, which costs its sender next to nothing, leaves the
// other processors alone.
type Turns struct {
	mu          sync.Mutex
	free        int      // guarded by mu; turns that nobody has
	forSuspects int      // guarded by mu; how many of those suspects may have
	trusted     line     // guarded by mu
	suspected   line     // guarded by mu
	suspects    suspects // guarded by mu
}

// NewTurns returns Turns of which there are n at once.
func NewTurns(n int) *Turns {
	return &Turns{
		free: n, forSuspects: max(1, n/2),
		trusted: newLine(), suspected: newLine(), suspects: newSuspects(),
	}
}

// Wait waits for a turn, which lasts until release is called, but not past the end
// of ctx.
func (t *Turns) Wait(ctx context.Context, from Source) (release func(), err error) {
	k := t.enter(from)
	select {
	case <-k.called:
		return func() { t.release(k) }, nil
	case <-ctx.Done():
		t.abandon(k)
		return nil, ctx.Err()
	}
}

// Wasted notes that a source had a turn for a handshake that failed by its doing.
func (t *Turns) Wasted(from Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.suspects.add(from, time.Now())
	t.trusted.move(from, &t.suspected)
}

// enter queues up, and hands out what turns are free.
func (t *Turns) enter(from Source) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &ticket{called: make(chan struct{})}
	if t.suspects.has(from, time.Now()) {
		t.suspected.add(from, k)
	} else {
		t.trusted.add(from, k)
	}
	t.handOut()
	return k
}

// abandon leaves the line; a turn that came meanwhile goes to the next.
func (t *Turns) abandon(k *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !k.leave() {
		t.giveBack(k)
	}
}

func (t *Turns) release(k *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.giveBack(k)
}

// giveBack needs mu held.
func (t *Turns) giveBack(k *ticket) {
	t.free++
	if k.ofSuspects {
		t.forSuspects++
	}
	t.handOut()
}

// handOut needs mu held.
func (t *Turns) handOut() {
	for t.free > 0 {
		k := t.next()
		if k == nil {
			return
		}
		t.free--
		close(k.called)
	}
}

// next returns the ticket whose turn it is, or nil. mu is held.
func (t *Turns) next() *ticket {
	if k := t.trusted.next(); k != nil || t.forSuspects == 0 {
		return k
	}
	k := t.suspected.next()
	if k != nil {
		k.ofSuspects = true
		t.forSuspects--
	}
	return k
}
