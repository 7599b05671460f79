package registry

import (
	"context"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// gather is how long news are held back after others of the same cluster were told, so
// that several changes are told at once. What fills a cluster, or opens an epoch, is told
// at once.
const gather = 50 * time.Millisecond

// news is what those who wait for a cluster need to know of it.
type news struct {
	cluster         xlreg.Cluster // unless it is gone
	members         int
	revision, epoch uint64
	gone            bool
}

func newsOf(c *records.Cluster, exists bool) news {
	return news{
		cluster: c.Cluster,
		members: c.Taken.Len(), revision: c.State.Revision, epoch: c.State.Epoch,
		gone: !exists || !c.Deleted.IsZero(),
	}
}

// waiter is one waiting reader.
type waiter struct {
	Wait
	wake context.CancelFunc
}

// due reports whether n is what the waiter waits for without delay, and later whether it
// is what the waiter is told with others.
func (w *waiter) due(n news) (now, later bool) {
	now = n.gone || w.Size > 0 && w.Size <= n.members || w.Epoch != nil && *w.Epoch != n.epoch
	later = w.Since != nil && *w.Since != n.revision
	return now, later
}

// hub knows who waits for which cluster.
type hub struct {
	clock Clock

	mu     sync.Mutex
	crowds map[xlreg.ClusterID]*crowd // guarded by mu
	closed bool                       // guarded by mu
}

// crowd is those who wait for one cluster.
type crowd struct {
	waiters map[*waiter]struct{}
	last    news
	known   bool // last is from since there has been a crowd, and the store tells what comes after it
	held    bool // news have been told lately: what comes is held back
	stop    func() bool
}

// add lets w wait, and reports whether what comes is known from what the others were told:
// whoever is the first has to look at the store, and then call tellOne.
func (h *hub) add(id xlreg.ClusterID, w *waiter) (known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.crowds == nil {
		h.crowds = make(map[xlreg.ClusterID]*crowd)
	}
	c := h.crowds[id]
	if c == nil {
		c = &crowd{waiters: make(map[*waiter]struct{})}
		h.crowds[id] = c
	}
	c.waiters[w] = struct{}{}
	if c.known {
		h.tellLast(id, c, w)
	}
	return c.known
}

func (h *hub) remove(id xlreg.ClusterID, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.crowds[id]
	if c == nil {
		return
	}
	delete(c.waiters, w)
	h.prune(id, c)
}

// prune forgets a crowd of nobody, but not before what it holds back is over: those who
// have just been told come back for more.
func (h *hub) prune(id xlreg.ClusterID, c *crowd) {
	if len(c.waiters) == 0 && !c.held {
		delete(h.crowds, id)
	}
}

// tell ends the wait of those who waited for what n says.
func (h *hub) tell(id xlreg.ClusterID, n news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.crowds[id]
	if c == nil {
		return
	}
	c.learn(n)
	if c.wake(!c.held) && !c.held {
		h.hold(id, c)
	}
}

// tellOne tells one who has just come. If news are held back from the others, they are
// from that one too.
func (h *hub) tellOne(id xlreg.ClusterID, w *waiter, n news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.crowds[id]
	if c == nil {
		return
	}
	c.learn(n)
	h.tellLast(id, c, w)
}

func (h *hub) tellLast(id xlreg.ClusterID, c *crowd, w *waiter) {
	now, later := w.due(c.last)
	if !now && (!later || c.held) {
		return
	}
	w.wake()
	delete(c.waiters, w)
	if !now {
		h.hold(id, c)
	}
}

// learn takes what is newer. It may come out of order, when one look at the store is
// slower than the next.
func (c *crowd) learn(n news) {
	if n.revision >= c.last.revision || n.gone {
		c.last = n
	}
	c.known = true
}

// wake ends the waits that are over, those for any news only if told to, and reports
// whether there was one of these.
func (c *crowd) wake(all bool) (told bool) {
	for w := range c.waiters {
		now, later := w.due(c.last)
		if now || later && all {
			w.wake()
			delete(c.waiters, w)
			told = told || !now
		}
	}
	return told
}

// hold keeps back what comes until some time has passed.
func (h *hub) hold(id xlreg.ClusterID, c *crowd) {
	if h.closed {
		return
	}
	c.held = true
	c.stop = h.clock.AfterFunc(gather, func() { h.unhold(id, c) })
}

func (h *hub) unhold(id xlreg.ClusterID, c *crowd) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	c.held = false
	if c.wake(true) {
		h.hold(id, c)
	}
	h.prune(id, c)
}

// close ends what the hub has set the clock for.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, c := range h.crowds {
		if c.stop != nil {
			c.stop()
		}
	}
}

// cluster returns a cluster of which there is a crowd, if it is there as far as is known.
func (h *hub) cluster(id xlreg.ClusterID) (cluster xlreg.Cluster, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.crowds[id]; c != nil && c.known && !c.last.gone {
		return c.last.cluster, true
	}
	return xlreg.Cluster{}, false
}

// unsure is for when the store has failed to tell what changes: who comes until it has
// been looked at again finds out by a look of their own.
func (h *hub) unsure() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.crowds {
		c.known = false
	}
}

func (h *hub) has(id xlreg.ClusterID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.crowds[id] != nil
}

func (h *hub) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.crowds {
		n += len(c.waiters)
	}
	return n
}

// waitFor returns how many wait for a cluster.
func (h *hub) waitFor(id xlreg.ClusterID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.crowds[id]; c != nil {
		return len(c.waiters)
	}
	return 0
}

func (h *hub) clusters() []xlreg.ClusterID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]xlreg.ClusterID, 0, len(h.crowds))
	for id := range h.crowds {
		ids = append(ids, id)
	}
	return ids
}
