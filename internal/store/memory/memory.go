// Package memory is the driver that keeps everything in this process and nothing
// when it ends: for registries that are meant to be forgotten, and for tests.
package memory

import (
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/xlattice/xlreg/internal/store"
)

// Store is a store.Store in memory.
type Store struct {
	feed *store.Feed

	// writing is held for the whole of an Update, mu only while its outcome is put in
	// place, so a closure holds up no View. writing is taken first.
	writing sync.Mutex
	mu      sync.RWMutex
	state   state // changed under both locks
	closed  bool  // likewise
}

var _ store.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store { return &Store{feed: store.NewFeed()} }

// View implements store.Store.
func (s *Store) View(ctx context.Context, f func(store.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	return f(&store.BoundedReader{Reader: &s.state})
}

// Update implements store.Store. Nothing that it promises outlives the process.
func (s *Store) Update(ctx context.Context, f func(store.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	written := store.NewOverlay(&s.state)
	if err := f(&store.Bounded{Writer: written}); err != nil {
		return err
	}
	changes := written.Changes()
	s.apply(changes)
	s.feed.Publish(changes...)
	return nil
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return s.feed.Watch(ctx, prefix, f)
}

// Close implements store.Store. It waits for the closures that are running.
func (s *Store) Close() error {
	s.feed.Close()
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.state = state{}
	return nil
}

func (s *Store) apply(changes []store.Change) {
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if c.Value == nil {
			s.state.values.Delete(c.Key)
			continue
		}
		s.state.values.Set(c.Key, c.Value)
	}
}

// state is all the data.
type state struct {
	values btree.Map[string, []byte]
}

// Get implements store.Reader.
func (s *state) Get(key string) ([]byte, error) {
	value, ok := s.values.Get(key)
	if !ok {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// Scan implements store.Reader.
func (s *state) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		s.values.Ascend(prefix, func(key string, value []byte) bool {
			if !strings.HasPrefix(key, prefix) {
				return false
			}
			return len(key) == len(prefix) || yield(store.Item{Key: key, Value: value}, nil)
		})
	}
}
