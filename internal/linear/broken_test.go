package linear

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// dice are thrown by many goroutines.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand // guarded by mu
}

func newDice(seed uint64) *dice { return &dice{rnd: rand.New(rand.NewPCG(seed, 1))} }

// oneIn reports true once in n throws.
func (d *dice) oneIn(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n) == 0
}

// oldViews is a store that now and then shows a state of some changes ago, as one
// does that reads from a copy which follows behind.
type oldViews struct {
	store.Store
	dice *dice

	mu   sync.Mutex
	copy *memory.Store
	lag  []*store.Overlay // changes that the copy has not got yet; guarded by mu
}

func newOldViews(seed uint64) store.Store {
	return &oldViews{Store: memory.New(), copy: memory.New(), dice: newDice(seed)}
}

func (s *oldViews) View(ctx context.Context, f func(store.Reader) error) error {
	if s.dice.oneIn(4) {
		return s.copy.View(ctx, f)
	}
	return s.Store.View(ctx, f)
}

func (s *oldViews) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	written, err := update(ctx, s.Store, f, keepAll)
	if err != nil {
		return err
	}
	if s.lag = append(s.lag, written); len(s.lag) < 4 {
		return nil
	}
	oldest := s.lag[0]
	s.lag = s.lag[1:]
	return s.copy.Update(ctx, func(w store.Writer) error { return put(w, oldest, keepAll) })
}

// update does what Update has to, but for which of the changes are put, and returns
// them all.
func update(ctx context.Context, s store.Store, f func(store.Writer) error, keep func([]store.Change) []store.Change) (*store.Overlay, error) {
	var written *store.Overlay
	err := s.Update(ctx, func(w store.Writer) error {
		written = store.NewOverlay(w)
		if err := f(written); err != nil {
			return err
		}
		return put(w, written, keep)
	})
	return written, err
}

func put(w store.Writer, written *store.Overlay, keep func([]store.Change) []store.Change) error {
	var errs []error
	for _, c := range keep(written.Changes()) {
		if c.Value == nil {
			errs = append(errs, w.Delete(c.Key))
			continue
		}
		errs = append(errs, w.Put(c.Key, c.Value))
	}
	return errors.Join(errs...)
}

func keepAll(changes []store.Change) []store.Change { return changes }

func keepNone([]store.Change) []store.Change { return nil }

// loose is a store whose transactions do not know of each other: what one reads may
// have changed when it writes.
type loose struct{ store.Store }

func newLoose(uint64) store.Store { return loose{memory.New()} }

func (s loose) Update(ctx context.Context, f func(store.Writer) error) error {
	written := store.NewOverlay(singleReads{ctx, s.Store})
	if err := f(written); err != nil {
		return err
	}
	<-time.After(5 * time.Millisecond) // for another one to come between
	return s.Store.Update(ctx, func(w store.Writer) error { return put(w, written, keepAll) })
}

// singleReads reads each record in a transaction of its own.
type singleReads struct {
	ctx   context.Context //nolint:containedctx // that of the one Update it is made for
	store store.Store
}

func (r singleReads) Get(key string) (value []byte, err error) {
	err = r.store.View(r.ctx, func(tx store.Reader) error {
		value, err = tx.Get(key)
		value = slices.Clone(value)
		return err
	})
	return value, err
}

func (r singleReads) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		var items []store.Item
		err := r.store.View(r.ctx, func(tx store.Reader) error {
			items = nil
			for item, err := range tx.Scan(prefix) {
				if err != nil {
					return err
				}
				items = append(items, store.Item{Key: item.Key, Value: slices.Clone(item.Value)})
			}
			return nil
		})
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			yield(store.Item{}, err)
		}
	}
}

// hasty is a store that answers before it commits: the next Update does that. Updates
// see what is not committed yet, so all that is wrong is what readers see meanwhile.
type hasty struct {
	store.Store

	mu   sync.Mutex
	last *store.Overlay // answered, not committed; guarded by mu
}

func newHasty(uint64) store.Store { return &hasty{Store: memory.New()} }

func (s *hasty) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commit(ctx); err != nil {
		return err
	}
	written, err := update(ctx, s.Store, f, keepNone)
	if err == nil {
		s.last = written
	}
	return err
}

func (s *hasty) commit(ctx context.Context) error {
	if s.last == nil {
		return nil
	}
	last := s.last
	s.last = nil
	return s.Store.Update(ctx, func(w store.Writer) error { return put(w, last, keepAll) })
}

// forgetful is a store that loses a change now and then and says nothing, as one
// does that does not look at the error of a write.
type forgetful struct {
	store.Store
	dice *dice
}

func newForgetful(seed uint64) store.Store { return forgetful{memory.New(), newDice(seed)} }

func (s forgetful) Update(ctx context.Context, f func(store.Writer) error) error {
	if s.dice.oneIn(8) {
		_, err := update(ctx, s.Store, f, keepNone)
		return err
	}
	return s.Store.Update(ctx, f)
}

// torn is a store that now and then does half of a change of a seat.
type torn struct {
	store.Store
	dice *dice
}

func newTorn(seed uint64) store.Store { return torn{memory.New(), newDice(seed)} }

func (s torn) Update(ctx context.Context, f func(store.Writer) error) error {
	half := s.dice.oneIn(4)
	_, err := update(ctx, s.Store, f, func(changes []store.Change) []store.Change {
		if !half || len(changes) < 3 {
			return changes
		}
		return slices.DeleteFunc(changes, isCluster)
	})
	return err
}

// isCluster reports whether c is a change of a cluster's record.
func isCluster(c store.Change) bool {
	_, ok, _ := records.ChangedCluster(c)
	return ok
}
