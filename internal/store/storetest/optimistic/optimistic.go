// Package optimistic is a driver for tests that keeps no lock while a closure runs:
// it remembers the versions of what was read, and compares them when it commits.
// Several stores may stand on one Backend, as servers do on one database. It shows
// that each sentence of the contract can be kept by a database over a network, and
// it shows closures what such a one shows them.
package optimistic

import (
	"context"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// Backend is what the stores of several servers share.
type Backend struct {
	conflicts atomic.Int64

	mu       sync.Mutex
	values   btree.Map[string, versioned] // guarded by mu; a snapshot is a cheap copy
	revision uint64                       // of the newest commit; guarded by mu
	feeds    map[*store.Feed]struct{}     // of the open servers; guarded by mu
}

// versioned is a value, and the revision that it came with. One that does not exist
// has version zero, whatever was there before.
type versioned struct {
	value   []byte
	version uint64
}

// NewBackend returns an empty Backend.
func NewBackend() *Backend { return &Backend{feeds: make(map[*store.Feed]struct{})} }

// Conflicts is how many commits have failed because of somebody else's.
func (b *Backend) Conflicts() int { return int(b.conflicts.Load()) }

// Driver returns what the store of one more server stands on.
func (b *Backend) Driver() group.Driver {
	s := &server{backend: b, feed: store.NewFeed()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feeds[s.feed] = struct{}{}
	return s
}

func (b *Backend) snapshot() snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return snapshot{b.values.Copy()}
}

// commit makes the changes if what was read is still what there is, and tells all
// servers.
func (b *Backend) commit(read map[string]uint64, changes []store.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, version := range read {
		if now, _ := b.values.Get(key); now.version != version {
			b.conflicts.Add(1)
			return group.ErrConflict
		}
	}
	b.revision++
	for _, c := range changes {
		if c.Value == nil {
			b.values.Delete(c.Key)
			continue
		}
		b.values.Set(c.Key, versioned{c.Value, b.revision})
	}
	for feed := range b.feeds {
		feed.Publish(changes...)
	}
	return nil
}

func (b *Backend) leave(feed *store.Feed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.feeds, feed)
}

// server is the group.Driver of one server.
type server struct {
	backend *Backend
	feed    *store.Feed
	closed  atomic.Bool
}

var _ group.Driver = (*server)(nil)

// View implements group.Driver.
func (s *server) View(_ context.Context, f func(store.Reader) error) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return f(s.backend.snapshot())
}

// Watch implements group.Driver.
func (s *server) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return s.feed.Watch(ctx, prefix, f)
}

// Begin implements group.Driver.
func (s *server) Begin() (group.Tx, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	return &transaction{
		snapshot: s.backend.snapshot(),
		backend:  s.backend,
		read:     make(map[string]uint64),
	}, nil
}

// Close implements group.Driver.
func (s *server) Close() error {
	s.closed.Store(true)
	s.backend.leave(s.feed)
	s.feed.Close()
	return nil
}

// snapshot is the state after one commit.
type snapshot struct{ values *btree.Map[string, versioned] }

// Get implements store.Reader.
func (s snapshot) Get(key string) ([]byte, error) {
	found, ok := s.values.Get(key)
	if !ok {
		return nil, store.ErrNotFound
	}
	return found.value, nil
}

// Scan implements store.Reader.
func (s snapshot) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		s.values.Ascend(prefix, func(key string, found versioned) bool {
			if !strings.HasPrefix(key, prefix) {
				return false
			}
			return len(key) == len(prefix) || yield(store.Item{Key: key, Value: found.value}, nil)
		})
	}
}

func (s snapshot) version(key string) uint64 {
	found, _ := s.values.Get(key)
	return found.version
}

// transaction is the group.Tx of a batch: it compares what was read, what was
// yielded, and the guards of what was scanned, and nothing else.
type transaction struct {
	snapshot
	backend *Backend
	read    map[string]uint64
}

// Get implements store.Reader.
func (t *transaction) Get(key string) ([]byte, error) {
	t.read[key] = t.version(key)
	return t.snapshot.Get(key)
}

// Scan implements store.Reader.
func (t *transaction) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		t.read[prefix] = t.version(prefix)
		for item, err := range t.snapshot.Scan(prefix) {
			t.read[item.Key] = t.version(item.Key)
			if !yield(item, err) {
				return
			}
		}
	}
}

// Commit implements group.Tx.
func (t *transaction) Commit(changes []store.Change) error { return t.backend.commit(t.read, changes) }
