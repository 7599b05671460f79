package bolt

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// Updates share commits as follows. The committer offers turns. Who wants to
// update takes one, runs its closure in its own goroutine, puts the outcome in
// the batch's transaction and gives the turn back. As long as somebody waits
// the committer offers the next turn in the same batch; when nobody does it
// commits. Those who come meanwhile wait, and are the next batch. So nobody
// waits for anything but the commit before its own, and no timer is involved.

// maxTurns bounds what one commit carries, and so how long its first waits.
const maxTurns = 1000

var (
	errCutOff = errors.New("a change was interrupted half way")
	errUnsure = errors.New("an earlier change may or may not be on disk: check the disk and start again")
)

// batch is the Updates that share a commit.
type batch struct {
	// Owned by whoever has the turn, and by the committer between turns.
	tx      *bbolt.Tx // nil before the first turn
	records records   // over tx
	dirty   bool      // something has been put
	failure error     // why nothing of the batch can be kept
	changed []xlreg.ClusterID

	ended chan struct{} // a turn is given back
	done  chan struct{} // closed after the commit
	err   error         // how it went; set before done is closed
}

func newBatch() *batch {
	return &batch{ended: make(chan struct{}), done: make(chan struct{})}
}

// update is called with the turn. What f returned is not answered before that
// which f has read is on disk, even if f changed nothing.
func (b *batch) update(ctx context.Context, s *Store, f func(store.Writer) error) error {
	sure, err := b.turn(s, f)
	if sure {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
	}
	if b.err != nil {
		return b.err
	}
	return err
}

// turn runs f and gives the turn back, also when f panics. sure says that f saw
// nothing, and did nothing, which the commit has yet to settle.
func (b *batch) turn(s *Store, f func(store.Writer) error) (sure bool, err error) {
	defer func() { b.ended <- struct{}{} }()
	if err := b.begin(s); err != nil {
		return true, err
	}
	buf := store.NewBuffer(b.records)
	if err := f(buf); err != nil || buf.Empty() {
		return !b.dirty, err
	}
	b.flush(buf)
	return false, nil
}

func (b *batch) begin(s *Store) error {
	if b.tx != nil {
		return nil
	}
	tx, err := s.begin(true)
	if err != nil {
		return err
	}
	b.tx, b.records = tx, records{tx}
	return nil
}

// flush puts what is in buf into the transaction. If that fails, or panics, the
// transaction holds half a change and must not be kept.
func (b *batch) flush(buf *store.Buffer) {
	b.dirty = true
	b.failure = errCutOff
	b.failure = buf.Flush(b.records)
	b.changed = append(b.changed, buf.Changed()...)
}

// committer is the goroutine that commits. Its fields are its own.
type committer struct {
	store   *Store
	failing bool // the last commit failed
}

func (c *committer) run() {
	defer close(c.store.stopped)
	for c.next() {
		continue
	}
}

// next carries out one batch, and returns false when the store closes.
func (c *committer) next() bool {
	b := newBatch()
	if !c.first(b) {
		return false
	}
	for n := 1; n < maxTurns && b.failure == nil && c.another(b); n++ {
		continue
	}
	b.err = c.finish(b)
	if b.err == nil {
		c.store.feed.Publish(b.changed...)
	}
	close(b.done)
	return true
}

// first waits until somebody takes the first turn of b, and for its end.
func (c *committer) first(b *batch) bool {
	select {
	case <-c.store.closing:
		return false
	default:
	}
	select {
	case <-c.store.closing:
		return false
	case c.store.turns <- b:
		<-b.ended
		return true
	}
}

// another gives a turn of b to somebody who waits, if there is anybody.
func (c *committer) another(b *batch) bool {
	select {
	case c.store.turns <- b:
		<-b.ended
		return true
	default:
		return false
	}
}

// finish makes the outcome of all turns last, or none of it.
func (c *committer) finish(b *batch) error {
	switch {
	case b.tx == nil: // no turn got as far as reading
		return nil
	case b.failure != nil:
		return fmt.Errorf("put records: %w", errors.Join(b.failure, b.tx.Rollback()))
	case !b.dirty:
		return b.tx.Rollback()
	}
	id := b.tx.ID()
	err := b.tx.Commit()
	c.report(err)
	if err != nil {
		c.checkFailed(id)
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// checkFailed looks at what a failed commit left. Almost always that is the old
// state, and the next commit may fare better. If the new one shows, its last
// sync failed: nobody can tell what is on disk, and a second sync would claim
// success without having written anything. Nothing may be answered from that.
func (c *committer) checkFailed(id int) {
	tx, err := c.store.db.Begin(false)
	if err != nil {
		return // and so it is for everybody from now on
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	if tx.ID() < id {
		return
	}
	c.store.unsure.Store(true)
	c.store.log.Error("data can be neither read nor written until the next start", "err", errUnsure)
}

// report logs when commits begin to fail and when they succeed again.
func (c *committer) report(err error) {
	failing := err != nil
	if failing == c.failing {
		return
	}
	c.failing = failing
	if failing {
		c.store.log.Error("data cannot be written", "err", err)
		return
	}
	c.store.log.Info("data can be written again")
}
