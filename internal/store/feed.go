package store

import (
	"context"
	"strings"
	"sync"
)

// maxPending is how many changed keys wait for one watcher. Past that it is told
// that any key may have changed, which costs it a look and the feed nothing.
const maxPending = 1 << 16

// Feed hands news of changes to those who watch, for drivers to use. What waits
// for a watcher is the newest value of each changed key, so a slow watcher neither
// holds up whoever publishes nor costs more than maxPending entries.
type Feed struct {
	closed chan struct{}

	mu       sync.Mutex
	watchers map[*watcher]struct{} // guarded by mu; nil once closed
}

// watcher is guarded by the Feed's mu, except for wake.
type watcher struct {
	prefix  string
	wake    chan struct{}     // holds one token when there may be news
	all     bool              // a zero Change is due, and covers whatever else is
	queue   []string          // keys that are due after it, in order
	pending map[string][]byte // the values of those in queue
}

// NewFeed returns a Feed without watchers.
func NewFeed() *Feed {
	return &Feed{closed: make(chan struct{}), watchers: make(map[*watcher]struct{})}
}

// Publish tells every watcher of the changes that concern it. It is called when
// View shows them, in the order in which they were made, and never blocks.
func (f *Feed) Publish(changes ...Change) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		for _, c := range changes {
			w.add(c)
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
func (f *Feed) Watch(ctx context.Context, prefix string, fn func(Change) error) error {
	w := &watcher{prefix: prefix, wake: make(chan struct{}, 1), pending: make(map[string][]byte)}
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
		if err := f.deliver(ctx, w, fn); err != nil {
			return err
		}
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
func (f *Feed) deliver(ctx context.Context, w *watcher, fn func(Change) error) error {
	for ctx.Err() == nil {
		c, ok := f.next(w)
		if !ok {
			return nil
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

func (f *Feed) next(w *watcher) (Change, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		return Change{}, false
	}
	return w.next()
}

func (w *watcher) add(c Change) {
	if w.all || !strings.HasPrefix(c.Key, w.prefix) {
		return
	}
	if _, ok := w.pending[c.Key]; !ok {
		w.queue = append(w.queue, c.Key)
	}
	w.pending[c.Key] = c.Value
	if len(w.queue) > maxPending {
		w.addAll()
	}
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
	key := w.queue[0]
	w.queue = w.queue[1:]
	c := Change{Key: key, Value: w.pending[key]}
	delete(w.pending, key)
	return c, true
}

func (w *watcher) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
