// Package overview knows every cluster of a registry in brief, so that a page of a list
// costs as much as the page and not as all clusters, and so that any number of readers
// can follow what changes. It is kept up to date by the store's watch and by nothing
// else; so it sees what other servers do as well, and asks nothing of the rules.
package overview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// loadTime is how long a reader waits at most until the clusters have been read for the
// first time, and retryAfter how long after a failure that is tried again.
const (
	loadTime   = 5 * time.Second
	retryAfter = time.Second
)

// Config is what an Overview is made of.
type Config struct {
	Store  store.Store
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
	// Lazy says that all clusters are read when somebody asks for them for the first
	// time, and not before: over a network that is expensive.
	Lazy bool
}

// Overview is all clusters in brief. Its methods may be called from any goroutine.
type Overview struct {
	cfg    Config
	asked  chan struct{} // closed when somebody wants to know
	ask    func()
	loaded chan struct{} // closed when all clusters have been read once
	done   <-chan struct{}
	close  func()
	load   uint32 // which reading of all clusters this is; owned by the goroutine that watches

	mu       sync.RWMutex
	clusters index // guarded by mu, like news
	news     news
	pace     chan struct{} // holds a token when there are news to tell
}

// New returns an Overview, which has to be closed before its store.
func New(cfg Config) *Overview {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	o := &Overview{
		cfg: cfg, asked: make(chan struct{}), loaded: make(chan struct{}), done: ctx.Done(),
		clusters: newIndex(), news: newNews(), pace: make(chan struct{}, 1),
	}
	o.ask = sync.OnceFunc(func() { close(o.asked) })
	if !cfg.Lazy {
		o.ask()
	}
	var working sync.WaitGroup
	working.Go(func() { o.keepWatching(ctx) })
	working.Go(func() { o.tell(ctx) })
	o.close = sync.OnceFunc(func() {
		stop()
		working.Wait()
	})
	return o
}

// Close ends the watch and whatever follows it. It may be called again.
func (o *Overview) Close() { o.close() }

// Counts returns how many clusters there are in each state; nil while that is not known.
// It makes nobody read them.
func (o *Overview) Counts() map[api.State]int {
	select {
	case <-o.loaded:
	default:
		return nil
	}
	counts := make(map[api.State]int)
	o.mu.RLock()
	defer o.mu.RUnlock()
	for i, s := range stateNames {
		counts[s] = o.clusters.in[i].len()
	}
	return counts
}

// Members returns how many members all clusters have together, as far as they are known.
func (o *Overview) Members() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.clusters.members
}

// Cluster returns one cluster in brief, if it is known.
func (o *Overview) Cluster(id string) (api.Cluster, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.clusters.find(id)
	if e == nil {
		return api.Cluster{}, false
	}
	return e.brief(), true
}

// ready waits until the clusters are known.
func (o *Overview) ready(ctx context.Context) error {
	o.ask()
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	select {
	case <-o.loaded:
		return nil
	case <-o.done:
		return fmt.Errorf("%w: the registry is stopping", api.ErrUnavailable)
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("%w: the clusters are still being read", api.ErrUnavailable)
}

// keepWatching watches the store from when somebody asks until ctx ends.
func (o *Overview) keepWatching(ctx context.Context) {
	select {
	case <-o.asked:
	case <-ctx.Done():
	}
	for ctx.Err() == nil {
		err := o.cfg.Store.Watch(ctx, records.Clusters, func(c store.Change) error { return o.changed(ctx, c) })
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		o.cfg.Logger.Error("watching the clusters failed, will try again", "err", err)
		pause(ctx, retryAfter)
	}
}

// changed takes in one change. A record that cannot be read is left out, and said so: it
// must not keep the others from being seen.
func (o *Overview) changed(ctx context.Context, change store.Change) error {
	if change.IsZero() {
		return o.readAll(ctx)
	}
	id, ok := records.ClusterAt(change.Key)
	if !ok {
		return nil
	}
	c, exists, err := records.ChangedCluster(change)
	if err != nil {
		o.cfg.Logger.Error("a cluster cannot be shown", "cluster_id", id, "err", err)
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !exists || !c.Deleted.IsZero() {
		o.remove(o.clusters.find(string(id)))
		return nil
	}
	was := o.clusters.find(string(id))
	if was != nil && c.State.Revision < was.revision {
		return nil // it was read after this change, and newer ones will come
	}
	o.put(&c, was, seen)
	return nil
}

// readAll reads all clusters, and finds out which have gone since the last time.
func (o *Overview) readAll(ctx context.Context) error {
	o.load++
	how := again
	if o.load == 1 {
		how = first
	}
	err := records.EachPart(func(part records.Part) error {
		var found []records.Cluster
		err := o.cfg.Store.View(ctx, func(tx store.Reader) error {
			found = found[:0]
			return records.NewReader(tx).EachCluster(ctx, part, func(c *records.Cluster) {
				if c.Deleted.IsZero() {
					found = append(found, *c)
				}
			})
		})
		if errors.Is(err, records.ErrDamaged) {
			o.cfg.Logger.Error("some clusters cannot be shown", "err", err)
			err = nil
		}
		if err == nil {
			o.putAll(found, how)
		}
		return err
	})
	if err != nil {
		if how == first {
			o.load = 0 // what has been read so far has been shown to nobody
		}
		return err
	}
	o.removeUnseen()
	if how == first {
		o.begin()
	}
	return nil
}

func (o *Overview) putAll(found []records.Cluster, how occasion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range found {
		o.put(&found[i], o.clusters.find(string(found[i].ID)), how)
	}
}

// begin is called when all clusters are known. Whoever has seen a revision before has seen
// nothing.
func (o *Overview) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.news.restart()
	close(o.loaded)
}

// removeUnseen removes the clusters that the last reading of all has not found. Nobody
// else changes the index meanwhile, so the lock is held for the changes alone.
func (o *Overview) removeUnseen() {
	var gone []*entry
	o.clusters.each(func(e *entry) {
		if e.load != o.load {
			gone = append(gone, e)
		}
	})
	for _, e := range gone {
		o.mu.Lock()
		o.remove(e)
		o.mu.Unlock()
	}
}

// occasion is how a cluster came to be known.
type occasion int

const (
	first occasion = iota // with all others, before anybody was told of any
	again                 // with all others, after changes may have been missed
	seen                  // by the news of a change
)

// put takes in what a cluster is now, and was; nil if it was not known. mu is held.
func (o *Overview) put(c *records.Cluster, was *entry, how occasion) {
	made, err := newEntry(c)
	if err != nil {
		o.cfg.Logger.Error("a cluster cannot be shown", "cluster_id", c.ID, "err", err)
		return
	}
	made.load = o.load
	if was != nil && was.same(made) {
		was.load = o.load
		return
	}
	if how != first {
		made.changed = o.cfg.Now().UnixMilli()
	}
	if was != nil {
		o.news.forget(was.seq)
	}
	now := o.clusters.put(was, made)
	if how != first {
		o.news.add(now)
		o.hurry()
	}
}

// remove takes a cluster away, which may be nil. mu is held.
func (o *Overview) remove(e *entry) {
	if e == nil {
		return
	}
	o.clusters.remove(e)
	o.news.forget(e.seq)
	o.news.addGone(e.id())
	o.hurry()
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
