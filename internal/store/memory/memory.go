// Package memory is the driver that keeps everything in this process and
// nothing when it ends: for registries that are meant to be forgotten, and for
// tests.
package memory

import (
	"context"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// Store is a store.Store in memory.
type Store struct {
	feed *store.Feed

	// writing is held for the whole of an Update, mu only while its outcome is
	// put in place, so a closure holds up no View. writing is taken first.
	writing sync.Mutex
	mu      sync.RWMutex
	state   state // changed under both locks
	closed  bool  // likewise
}

// state is all the data. The slices of seats are never changed, only replaced.
type state struct {
	nodes    map[xlreg.NodeID]*xlreg.Token
	clusters map[xlreg.ClusterID]*store.Cluster
	names    map[xlreg.Name]xlreg.ClusterID
	seats    map[xlreg.ClusterID][]xlreg.Member
}

var _ store.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store {
	return &Store{feed: store.NewFeed(), state: state{
		nodes:    make(map[xlreg.NodeID]*xlreg.Token),
		clusters: make(map[xlreg.ClusterID]*store.Cluster),
		names:    make(map[xlreg.Name]xlreg.ClusterID),
		seats:    make(map[xlreg.ClusterID][]xlreg.Member),
	}}
}

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
	return f(&s.state)
}

// Update implements store.Store. Nothing it promises outlives the process.
func (s *Store) Update(ctx context.Context, f func(store.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	buf := store.NewBuffer(&s.state)
	if err := f(buf); err != nil {
		return err
	}
	if err := s.flush(buf); err != nil {
		return err
	}
	s.feed.Publish(buf.Changed()...)
	return nil
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, f func(store.Change)) error {
	return s.feed.Watch(ctx, f)
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

func (s *Store) flush(buf *store.Buffer) error {
	if buf.Empty() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return buf.Flush(&s.state)
}

// Node implements store.Reader.
func (s *state) Node(id xlreg.NodeID) (xlreg.Token, error) {
	node, ok := s.nodes[id]
	if !ok {
		return xlreg.Token{}, store.ErrNotFound
	}
	return *node, nil
}

// Cluster implements store.Reader.
func (s *state) Cluster(id xlreg.ClusterID) (store.Cluster, error) {
	c, ok := s.clusters[id]
	if !ok {
		return store.Cluster{}, store.ErrNotFound
	}
	return *c, nil
}

// ClusterByName implements store.Reader.
func (s *state) ClusterByName(name xlreg.Name) (store.Cluster, error) {
	id, ok := s.names[name]
	if !ok {
		return store.Cluster{}, store.ErrNotFound
	}
	return s.Cluster(id)
}

// Seats implements store.Reader.
func (s *state) Seats(id xlreg.ClusterID) ([]xlreg.Member, error) {
	return s.seats[id], nil
}

// PutNode implements store.Sink.
func (s *state) PutNode(node xlreg.Token) error {
	s.nodes[node.ID] = &node
	return nil
}

// PutCluster implements store.Sink.
func (s *state) PutCluster(c store.Cluster) error {
	s.clusters[c.ID] = &c
	s.names[c.Name] = c.ID
	return nil
}

// PutSeat implements store.Sink.
func (s *state) PutSeat(id xlreg.ClusterID, m xlreg.Member) error {
	s.seats[id] = store.WithSeat(s.seats[id], m)
	return nil
}

// DeleteSeat implements store.Sink.
func (s *state) DeleteSeat(id xlreg.ClusterID, index int) error {
	seats := store.WithoutSeat(s.seats[id], index)
	if len(seats) == 0 {
		delete(s.seats, id)
		return nil
	}
	s.seats[id] = seats
	return nil
}
