// Package group makes a store of a driver that has one write transaction at a time:
// Updates that come while another is being written share the next one, so that
// waiting for a disk or a network does not make a queue of them.
//
// A goroutine of the store, the committer, offers turns. A caller of Update takes a turn,
// runs its closure in its own goroutine on top of what earlier turns have written, and
// gives the turn back. As long as callers are waiting, the committer offers the next turn in
// the same batch; when there are none, it commits. Callers that arrive meanwhile wait and
// form the next batch. So a caller waits for at most the commit before its own, and no timer
// is involved.
package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/xlattice/xlreg/internal/store"
)

// ErrConflict is what Commit returns when somebody else has changed what the
// transaction has read. Nothing of it is kept, and its closures run again.
var ErrConflict = errors.New("what was read has been changed meanwhile")

// Driver is what a Store stands on. View, Watch and Close do what those of
// store.Store do, and may be called from any goroutine.
type Driver interface {
	View(ctx context.Context, f func(store.Reader) error) error
	Watch(ctx context.Context, prefix string, f func(store.Change) error) error
	Close() error

	// Begin opens the transaction that a batch is written in. There is one at a time.
	Begin() (Tx, error)
}

// Tx is the transaction of one batch. It is used by one goroutine at a time.
type Tx interface {
	store.Reader

	// Commit ends the transaction and makes the changes last, all of them or none,
	// and tells those who watch. It is called with no changes too, so that a driver
	// that has no lock can see whether what was read still holds. ErrConflict and
	// every error but store.ErrUnknown say that nothing was kept.
	Commit(changes []store.Change) error
}

// Filler is a Tx that says itself when its batch takes no more turns, because the
// database bounds what one transaction may compare and change. It is asked after each
// turn.
type Filler interface {
	Full(writes int) bool // writes: how many Puts and Deletes the turns have made so far
}

// What one commit carries at most, and so how long the first of a batch waits. The turn
// that passes a bound is the last of its batch, so a commit can be larger by what one
// closure may do.
const (
	maxTurns  = 1000
	maxWrites = 10 * store.MaxWrites
	maxBytes  = store.MaxBytes
)

// Store is a store.Store whose Updates share the transactions of a Driver.
type Store struct {
	driver  Driver
	commits atomic.Uint64

	turns   chan *batch   // the committer offers a turn here; whoever updates takes it
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed by the committer at its end
	close   func() error  // closes once, and says the same each time
}

var _ store.Store = (*Store)(nil)

// New returns a Store on an open driver, which it closes when it is closed.
func New(d Driver) *Store {
	s := &Store{
		driver:  d,
		turns:   make(chan *batch),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	s.close = sync.OnceValue(s.shutdown)
	go s.commitAll() // shutdown waits for it
	return s
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, f func(store.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.driver.View(ctx, func(r store.Reader) error {
		return f(&store.BoundedReader{Reader: r})
	})
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return s.driver.Watch(ctx, prefix, f)
}

// Update implements store.Store. f runs in the caller's goroutine, so a panic in it
// takes its natural course.
func (s *Store) Update(ctx context.Context, f func(store.Writer) error) error {
	for {
		b, err := s.takeTurn(ctx)
		if err != nil {
			return err
		}
		err = b.update(ctx, f)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (s *Store) takeTurn(ctx context.Context) (*batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, store.ErrClosed
	case b := <-s.turns:
		return b, nil
	}
}

// Commits returns how many transactions have been ended by a commit, failed ones included:
// how many round trips to a disk, or a database, all Updates together have cost.
func (s *Store) Commits() uint64 { return s.commits.Load() }

// Close implements store.Store. A commit under way is finished; Updates that wait
// for their turn return store.ErrClosed.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	close(s.closing)
	<-s.stopped
	return s.driver.Close()
}

// batch is the Updates that share a transaction.
type batch struct {
	driver Driver

	// Owned by whoever has the turn, and by the committer between turns.
	tx      Tx             // nil before the first turn
	written *store.Overlay // over tx: the outcome of the turns so far
	turns   int            // so far
	writes  int            // by them
	bytes   int            // read and written by them

	ended chan struct{} // a turn is given back
	done  chan struct{} // closed after the commit
	err   error         // how the commit went; set before done is closed
}

// update is called with the turn. The result of f is returned only when everything that f
// has read is on disk, even if f failed or changed nothing.
func (b *batch) update(ctx context.Context, f func(store.Writer) error) error {
	began, wrote, err := b.turn(ctx, f)
	if !began {
		return err
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		if !b.over() {
			return endOf(ctx, wrote)
		}
	}
	if b.err != nil {
		return b.err
	}
	return err
}

// over reports whether the commit is over. What is known is told, even to a caller whose
// context has ended meanwhile.
func (b *batch) over() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// endOf is the error of an Update whose caller does not wait for the commit any longer.
func endOf(ctx context.Context, wrote bool) error {
	if !wrote {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err())
}

// turn runs f and gives the turn back, also when f panics. If ctx has ended when f
// returns, what f wrote is left out of the batch: so the caller knows that it is not kept.
func (b *batch) turn(ctx context.Context, f func(store.Writer) error) (began, wrote bool, err error) {
	defer func() { b.ended <- struct{}{} }()
	if err := b.begin(); err != nil {
		return false, false, err
	}
	own := store.NewOverlay(b.written)
	bounded := &store.Bounded{Writer: own}
	defer func() { b.count(bounded) }()
	if err := cmp.Or(f(bounded), ctx.Err()); err != nil {
		return true, false, err
	}
	b.written.Merge(own)
	return true, !own.Empty(), nil
}

func (b *batch) count(turn *store.Bounded) {
	b.turns++
	b.writes += turn.Writes
	b.bytes += turn.Bytes
}

// full reports whether the batch takes no more turns.
func (b *batch) full() bool {
	if b.turns >= maxTurns || b.writes >= maxWrites || b.bytes >= maxBytes {
		return true
	}
	f, ok := b.tx.(Filler)
	return ok && f.Full(b.writes)
}

func (b *batch) begin() error {
	if b.tx != nil {
		return nil
	}
	tx, err := b.driver.Begin()
	if err != nil {
		return err
	}
	b.tx, b.written = tx, store.NewOverlay(tx)
	return nil
}

// commitAll is the committer: it carries out one batch after the other until the
// store closes.
func (s *Store) commitAll() {
	defer close(s.stopped)
	for s.commitNext() {
		continue
	}
}

func (s *Store) commitNext() bool {
	b := &batch{driver: s.driver, ended: make(chan struct{}), done: make(chan struct{})}
	if !s.offerFirst(b) {
		return false
	}
	for b.tx != nil && !b.full() && s.offerNext(b) {
		continue
	}
	if b.tx != nil {
		s.commits.Add(1)
		b.err = b.tx.Commit(b.written.Changes())
	}
	close(b.done)
	return true
}

// offerFirst waits until somebody takes the first turn of b, and for its end. It
// returns false if the store closes.
func (s *Store) offerFirst(b *batch) bool {
	select {
	case <-s.closing:
		return false
	default:
	}
	select {
	case <-s.closing:
		return false
	case s.turns <- b:
		<-b.ended
		return true
	}
}

// offerNext gives a turn of b to somebody who waits, if there is anybody.
func (s *Store) offerNext(b *batch) bool {
	select {
	case s.turns <- b:
		<-b.ended
		return true
	default:
		return false
	}
}
