package guard

import (
	"container/list"
	"context"
	"errors"
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
	free        int               // guarded by mu; turns that nobody has
	forSuspects int               // guarded by mu; how many of those suspects may have
	queues      map[Source]*queue // guarded by mu; none is empty, and each is in one round
	trusted     *list.List        // guarded by mu; the round of those that are no suspects
	suspected   *list.List        // guarded by mu; the round of suspects
	suspects    suspects          // guarded by mu
}

// suspectWaits is how many handshakes of one suspect may wait. They wait until their
// hello timeout, however fast the suspect brings new ones, and hold memory meanwhile.
// It is many, since an honest client may share the suspect's address.
const suspectWaits = 1024

// ErrDropped ends a wait for a turn that would not have come: newer ones of the same
// suspect come first, and there are too many of them.
var ErrDropped = errors.New("too many handshakes wait for this address, which has wasted turns")

// NewTurns returns Turns of which there are n at once.
func NewTurns(n int) *Turns {
	return &Turns{
		free: n, forSuspects: max(1, n/2),
		queues: make(map[Source]*queue), trusted: list.New(), suspected: list.New(),
		suspects: newSuspects(),
	}
}

// Waiting returns how many wait for a turn.
func (t *Turns) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, q := range t.queues {
		n += q.tickets.Len()
	}
	return n
}

// Wait waits for a turn, which lasts until release is called, but not past the end
// of ctx. A suspect of which too many handshakes wait gets ErrDropped for the oldest.
func (t *Turns) Wait(ctx context.Context, from Source) (release func(), err error) {
	k := t.enter(from)
	select {
	case <-k.called:
		if k.dropped {
			return nil, ErrDropped
		}
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
	if q := t.queues[from]; q != nil {
		q.enter(t.suspected)
	}
}

// enter queues up, and hands out what turns are free.
func (t *Turns) enter(from Source) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[from]
	if q == nil {
		q = &queue{from: from}
		t.queues[from] = q
	}
	if t.suspects.has(from, time.Now()) {
		q.enter(t.suspected)
	} else {
		q.enter(t.trusted)
	}
	k := &ticket{called: make(chan struct{})}
	q.add(k)
	if q.round == t.suspected && q.tickets.Len() > suspectWaits {
		t.drop(q.oldest())
	}
	t.handOut()
	return k
}

// drop ends a wait without a turn. mu is held.
func (t *Turns) drop(k *ticket) {
	t.leave(k)
	k.dropped = true
	close(k.called)
}

// abandon gives up waiting; a turn that came meanwhile goes to the next.
func (t *Turns) abandon(k *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leave(k) && !k.dropped {
		t.giveBack(k)
	}
}

// leave takes a ticket out of its queue, and reports whether it was in there still.
// mu is held.
func (t *Turns) leave(k *ticket) bool {
	if k.place == nil {
		return false
	}
	q := k.queue
	q.tickets.Remove(k.place)
	k.place = nil
	if q.tickets.Len() == 0 {
		q.round.Remove(q.place)
		delete(t.queues, q.from)
	}
	return true
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
		t.leave(k)
		t.free--
		close(k.called)
	}
}

// next returns the ticket whose turn it is, or nil. mu is held.
func (t *Turns) next() *ticket {
	if k := firstOf(t.trusted); k != nil || t.forSuspects == 0 {
		return k
	}
	k := firstOf(t.suspected)
	if k != nil {
		k.ofSuspects = true
		t.forSuspects--
	}
	return k
}
