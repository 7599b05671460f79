package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// rewatchDelay is how long after a failure the store is watched again.
const rewatchDelay = time.Second

// Await returns a context that ends when the cluster has at least size members
// (0 or more than its maximum size: the maximum), when limit has passed (0 or more
// than the registry's: the registry's), or with ctx, whichever comes first. It costs
// no goroutine. Unless it returns an error, release must be called in the end.
func (r *Registry) Await(ctx context.Context, c *xlreg.Cluster, size int, limit time.Duration) (ready context.Context, release context.CancelFunc, err error) {
	if size <= 0 || size > c.MaxSize {
		size = c.MaxSize
	}
	if limit <= 0 || limit > r.maxWait {
		limit = r.maxWait
	}
	ready, end := context.WithCancel(ctx)
	w := &waiter{size: size, wake: end}
	r.hub.add(c.ID, w)
	stop := r.clock.AfterFunc(limit, end)
	release = func() {
		stop()
		r.hub.remove(c.ID, w)
		end()
	}
	// Only now: what came before was not announced to w.
	if err := r.look(ctx, c.ID); err != nil && ctx.Err() == nil {
		release()
		return nil, nil, err
	}
	return ready, release, nil
}

// Waiting returns how many reads wait now.
func (r *Registry) Waiting() int { return r.hub.len() }

// waiter is one waiting reader.
type waiter struct {
	size int
	wake context.CancelFunc
}

// hub knows who waits for which cluster.
type hub struct {
	mu      sync.Mutex
	waiters map[xlreg.ClusterID]map[*waiter]struct{} // guarded by mu
}

func (h *hub) add(id xlreg.ClusterID, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = make(map[xlreg.ClusterID]map[*waiter]struct{})
	}
	if h.waiters[id] == nil {
		h.waiters[id] = make(map[*waiter]struct{})
	}
	h.waiters[id][w] = struct{}{}
}

func (h *hub) remove(id xlreg.ClusterID, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiters[id], w)
	if len(h.waiters[id]) == 0 {
		delete(h.waiters, id)
	}
}

// wake ends the wait of those that wanted no more than members.
func (h *hub) wake(id xlreg.ClusterID, members int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiters[id] {
		if w.size <= members {
			w.wake()
		}
	}
}

func (h *hub) has(id xlreg.ClusterID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters[id]) > 0
}

func (h *hub) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, waiters := range h.waiters {
		n += len(waiters)
	}
	return n
}

func (h *hub) clusters() []xlreg.ClusterID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]xlreg.ClusterID, 0, len(h.waiters))
	for id := range h.waiters {
		ids = append(ids, id)
	}
	return ids
}

// watch passes the store's news on to those that wait, until ctx ends. A failure, of
// the feed or of a look at what may have changed, begins the watch anew, and that
// begins with a look at every cluster that is waited for: so no wake-up is lost.
func (r *Registry) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.store.Watch(ctx, records.Clusters, func(c store.Change) error { return r.changed(ctx, c) })
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		r.log.Error("watching the store failed, will try again", "err", err)
		pause, end := context.WithTimeout(ctx, rewatchDelay)
		<-pause.Done()
		end()
	}
}

// changed ends the waits that a change of the store fulfils. The change includes the
// cluster's new record, so nothing has to be read for that.
func (r *Registry) changed(ctx context.Context, change store.Change) error {
	if !change.IsZero() {
		return r.wake(change)
	}
	for _, id := range r.hub.clusters() {
		err := r.look(ctx, id)
		if err != nil && !errors.Is(err, xlreg.ErrNoSuchClusterID) {
			return err
		}
	}
	return nil
}

func (r *Registry) wake(change store.Change) error {
	if id, ok := records.ClusterAt(change.Key); !ok || !r.hub.has(id) {
		return nil // most changes concern nobody
	}
	c, ok, err := records.ChangedCluster(change)
	if ok {
		r.hub.wake(c.ID, c.Taken.Len())
	}
	return err
}

// look reads how many members a cluster has, and wakes those who wait for no more.
func (r *Registry) look(ctx context.Context, id xlreg.ClusterID) error {
	var c records.Cluster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		c, err = tx.Cluster(id)
		return orKind(err, xlreg.ErrNoSuchClusterID)
	})
	if err == nil {
		r.hub.wake(id, c.Taken.Len())
	}
	return err
}
