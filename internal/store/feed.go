package store

import (
	"context"
	"sync"

	"github.com/xlattice/xlreg"
)

// Feed hands news of changes to those who watch, for drivers to use. What waits
// for a watcher is a set, so a slow one neither holds up whoever publishes nor
// costs more than one entry for each cluster.
type Feed struct {
	closed chan struct{}

	mu       sync.Mutex
	watchers map[*watcher]struct{} // guarded by mu; nil once closed
}

// watcher is guarded by the Feed's mu, except for wake.
type watcher struct {
	wake    chan struct{}                // holds one token when there may be news
	all     bool                         // a zero Change is due, and covers whatever else is
	queue   []xlreg.ClusterID            // due after it, in order
	pending map[xlreg.ClusterID]struct{} // those in queue
}

// NewFeed returns a Feed without watchers.
func NewFeed() *Feed {
	return &Feed{closed: make(chan struct{}), watchers: make(map[*watcher]struct{})}
}

// Publish tells every watcher that the seats of these clusters have changed. It
// is called when View shows the change, and never blocks.
func (f *Feed) Publish(ids ...xlreg.ClusterID) {
	if len(ids) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		for _, id := range ids {
			w.add(id)
		}
		w.ring()
	}
}

// PublishAll tells every watcher that changes may have been missed.
func (f *Feed) PublishAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.addAll()
		w.ring()
	}
}

// Watch does what Store.Watch promises, with what is published.
func (f *Feed) Watch(ctx context.Context, fn func(Change)) error {
	w := &watcher{wake: make(chan struct{}, 1), pending: make(map[xlreg.ClusterID]struct{})}
	if !f.add(w) {
		return ErrClosed
	}
	defer f.remove(w)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.closed:
			return ErrClosed
		case <-w.wake:
		}
		f.deliver(ctx, w, fn)
	}
}

// Close ends every Watch with ErrClosed. It may be called again.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		return
	}
	f.watchers = nil
	close(f.closed)
}

// add makes w one of the watchers; its first news is the zero Change.
func (f *Feed) add(w *watcher) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		return false
	}
	w.all = true
	w.ring()
	f.watchers[w] = struct{}{}
	return true
}

func (f *Feed) remove(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, w)
}

// deliver hands on what is due until nothing is, or nobody wants it any more.
func (f *Feed) deliver(ctx context.Context, w *watcher, fn func(Change)) {
	for ctx.Err() == nil {
		c, ok := f.next(w)
		if !ok {
			return
		}
		fn(c)
	}
}

func (f *Feed) next(w *watcher) (Change, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		return Change{}, false
	}
	return w.next()
}

func (w *watcher) add(id xlreg.ClusterID) {
	if _, ok := w.pending[id]; ok || w.all {
		return
	}
	w.pending[id] = struct{}{}
	w.queue = append(w.queue, id)
}

func (w *watcher) addAll() {
	w.all = true
	w.queue = nil
	clear(w.pending)
}

func (w *watcher) next() (Change, bool) {
	if w.all {
		w.all = false
		return Change{}, true
	}
	if len(w.queue) == 0 {
		return Change{}, false
	}
	id := w.queue[0]
	w.queue = w.queue[1:]
	delete(w.pending, id)
	return Change{Cluster: id}, true
}

func (w *watcher) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
