package storetest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/xlattice/xlreg/internal/store"
)

// Servers is a Store of several that stand on one backend, whose calls go to one
// after the other.
type Servers struct {
	stores  []store.Store
	views   atomic.Uint64
	updates atomic.Uint64
	watches atomic.Uint64
}

var _ store.Store = (*Servers)(nil)

// NewServers returns the Store of these servers, which it closes when it is closed.
func NewServers(stores ...store.Store) *Servers { return &Servers{stores: stores} }

func (s *Servers) next(calls *atomic.Uint64) store.Store {
	return s.stores[calls.Add(1)%uint64(len(s.stores))]
}

// View implements store.Store.
func (s *Servers) View(ctx context.Context, f func(store.Reader) error) error {
	return s.next(&s.views).View(ctx, f)
}

// Update implements store.Store.
func (s *Servers) Update(ctx context.Context, f func(store.Writer) error) error {
	return s.next(&s.updates).Update(ctx, f)
}

// Watch implements store.Store.
func (s *Servers) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return s.next(&s.watches).Watch(ctx, prefix, f)
}

// Close implements store.Store. It closes all of the servers.
func (s *Servers) Close() error {
	errs := make([]error, len(s.stores))
	for i, one := range s.stores {
		errs[i] = one.Close()
	}
	return errors.Join(errs...)
}
