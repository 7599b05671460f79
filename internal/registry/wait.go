package registry

import (
	"context"
	"errors"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// rewatchDelay is how long after a failure the store is watched again.
const rewatchDelay = time.Second

// Wait is what a reader waits for: whichever comes first.
type Wait struct {
	Size  int     // members; 0 is no condition, and more than there may be is all
	Since *uint64 // another revision; nil is no condition
	Epoch *uint64 // another epoch; nil is no condition
	Limit time.Duration
}

// Await returns a context that ends when what w waits for has come, when its limit has
// passed (0 or more than the registry's: the registry's), when the cluster is gone, or with
// ctx. It costs no goroutine. Unless it returns an error, release must be called in the end.
func (r *Registry) Await(ctx context.Context, c *xlreg.Cluster, w Wait) (ready context.Context, release context.CancelFunc, err error) {
	w.Size = min(w.Size, c.MaxSize)
	if w.Limit <= 0 || w.Limit > r.maxWait {
		w.Limit = r.maxWait
	}
	ready, end := context.WithCancel(ctx)
	waiting := &waiter{Wait: w, wake: end}
	known := r.hub.add(c.ID, waiting)
	stop := r.clock.AfterFunc(w.Limit, end)
	release = func() {
		stop()
		r.hub.remove(c.ID, waiting)
		end()
	}
	if known {
		return ready, release, nil
	}
	// Only now: what came before was not announced to the waiter.
	n, err := r.news(ctx, c.ID)
	switch {
	case err == nil:
		r.hub.tellOne(c.ID, waiting, n)
	case ctx.Err() == nil:
		release()
		return nil, nil, err
	}
	return ready, release, nil
}

// Awaited returns the cluster with an ID, without a look at the store, if others wait for
// it. It is for those who are going to wait too, and who look when their wait is over: a
// change that has not been announced yet ends their wait as soon as it is.
func (r *Registry) Awaited(id xlreg.ClusterID, p xlreg.Protocol) (xlreg.Cluster, bool) {
	c, ok := r.hub.cluster(id)
	return c, ok && (!p.Classic() || c.Classic())
}

// Waiting returns how many reads wait now.
func (r *Registry) Waiting() int { return r.hub.len() }

// watch passes the store's news on to those that wait, until ctx ends. A failure, of
// the feed or of a look at what may have changed, begins the watch anew, and that
// begins with a look at every cluster that is waited for: so no wake-up is lost.
func (r *Registry) watch(ctx context.Context) {
	r.keepWatching(ctx, records.Clusters, func(c store.Change) error { return r.changed(ctx, c) })
}

// keepWatching watches one prefix, and begins anew after each failure.
func (r *Registry) keepWatching(ctx context.Context, prefix string, f func(store.Change) error) {
	for ctx.Err() == nil {
		err := r.store.Watch(ctx, prefix, f)
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		r.hub.unsure()
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
		n, err := r.news(ctx, id)
		if err != nil {
			return err
		}
		r.hub.tell(id, n)
	}
	return nil
}

func (r *Registry) wake(change store.Change) error {
	id, ok := records.ClusterAt(change.Key)
	if !ok {
		return r.seatChanged(change) // its cluster's comes with it if readers see it
	}
	waited, leased := r.hub.has(id), r.leases.waitIn(id)
	if !waited && !leased {
		return nil // most changes concern nobody
	}
	c, ok, err := records.ChangedCluster(change)
	if err != nil {
		return err
	}
	if waited {
		r.hub.tell(id, newsOf(&c, ok))
	}
	if leased && c.Complete() {
		r.leases.completed(id, c.State.Epoch)
	}
	return nil
}

// seatChanged takes in what another server may have done to a seat.
func (r *Registry) seatChanged(change store.Change) error {
	if r.fleet.alone() {
		return nil
	}
	id, seat, err := records.ChangedSeat(change)
	if err != nil || id == "" {
		return err
	}
	r.rosters.drop(id)
	if seat != nil {
		r.leases.changed(id, seat)
	}
	return nil
}

// news reads how a cluster is. One that does not exist is gone.
func (r *Registry) news(ctx context.Context, id xlreg.ClusterID) (news, error) {
	var c records.Cluster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		c, err = tx.Cluster(id)
		return err
	})
	if records.IsNotFound(err) {
		return news{gone: true}, nil
	}
	return newsOf(&c, true), err
}
