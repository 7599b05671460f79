package linear

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
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
	lag  []*store.Buffer // changes that the copy has not got yet; guarded by mu
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
	buf, err := update(ctx, s.Store, f, (*store.Buffer).Flush)
	if err != nil {
		return err
	}
	if s.lag = append(s.lag, buf); len(s.lag) < 4 {
		return nil
	}
	oldest := s.lag[0]
	s.lag = s.lag[1:]
	return s.copy.Update(ctx, func(w store.Writer) error { return oldest.Flush(w) })
}

// update does what Update has to, but for how the changes are put, and returns them.
func update(ctx context.Context, s store.Store, f func(store.Writer) error, flush func(*store.Buffer, store.Sink) error) (*store.Buffer, error) {
	var buf *store.Buffer
	err := s.Update(ctx, func(w store.Writer) error {
		buf = store.NewBuffer(w)
		if err := f(buf); err != nil {
			return err
		}
		return flush(buf, w)
	})
	return buf, err
}

// loose is a store whose transactions do not know of each other: what one reads may
// have changed when it writes.
type loose struct{ store.Store }

func newLoose(uint64) store.Store { return loose{memory.New()} }

func (s loose) Update(ctx context.Context, f func(store.Writer) error) error {
	buf := store.NewBuffer(singleReads{ctx, s.Store})
	if err := f(buf); err != nil {
		return err
	}
	<-time.After(5 * time.Millisecond) // for another one to come between
	return s.Store.Update(ctx, func(w store.Writer) error { return buf.Flush(w) })
}

// singleReads reads each record in a transaction of its own.
type singleReads struct {
	ctx   context.Context //nolint:containedctx // that of the one Update it is made for
	store store.Store
}

func (r singleReads) Node(id xlreg.NodeID) (t xlreg.Token, err error) {
	err = r.store.View(r.ctx, func(tx store.Reader) error { t, err = tx.Node(id); return err })
	return t, err
}

func (r singleReads) Cluster(id xlreg.ClusterID) (c store.Cluster, err error) {
	err = r.store.View(r.ctx, func(tx store.Reader) error { c, err = tx.Cluster(id); return err })
	return c, err
}

func (r singleReads) ClusterByName(name xlreg.Name) (c store.Cluster, err error) {
	err = r.store.View(r.ctx, func(tx store.Reader) error { c, err = tx.ClusterByName(name); return err })
	return c, err
}

func (r singleReads) Seats(id xlreg.ClusterID) (m []xlreg.Member, err error) {
	err = r.store.View(r.ctx, func(tx store.Reader) error { m, err = tx.Seats(id); return err })
	return m, err
}

// hasty is a store that answers before it commits: the next Update does that. Updates
// see what is not committed yet, so all that is wrong is what readers see meanwhile.
type hasty struct {
	store.Store

	mu   sync.Mutex
	last *store.Buffer // answered, not committed; guarded by mu
}

func newHasty(uint64) store.Store { return &hasty{Store: memory.New()} }

func (s *hasty) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commit(ctx); err != nil {
		return err
	}
	buf, err := update(ctx, s.Store, f, putNothing)
	if err == nil {
		s.last = buf
	}
	return err
}

func (s *hasty) commit(ctx context.Context) error {
	if s.last == nil {
		return nil
	}
	last := s.last
	s.last = nil
	return s.Store.Update(ctx, func(w store.Writer) error { return last.Flush(w) })
}

func putNothing(*store.Buffer, store.Sink) error { return nil }

// forgetful is a store that loses a change now and then and says nothing, as one
// does that does not look at the error of a write.
type forgetful struct {
	store.Store
	dice *dice
}

func newForgetful(seed uint64) store.Store { return forgetful{memory.New(), newDice(seed)} }

func (s forgetful) Update(ctx context.Context, f func(store.Writer) error) error {
	if s.dice.oneIn(8) {
		_, err := update(ctx, s.Store, f, putNothing)
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
	_, err := update(ctx, s.Store, f, func(buf *store.Buffer, to store.Sink) error {
		if half && len(buf.Changed()) > 0 {
			return buf.Flush(noClusters{to})
		}
		return buf.Flush(to)
	})
	return err
}

// noClusters takes all records but those of clusters.
type noClusters struct{ store.Sink }

func (noClusters) PutCluster(store.Cluster) error { return nil }
