package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// solos is how many transactions carry one closure each after one that was too large
// for the database.
const solos = 32

// How long a server yields to others after a conflict: longer each time it meets one
// again, within a bound.
const (
	maxLosses    = 4
	longestYield = 50 * time.Millisecond
)

// What the database needs for one comparison and one change beside keys and values.
const (
	compareBytes = 64
	changeBytes  = 32
)

// Begin implements group.Driver. What this server has committed is in the cache from
// then on.
func (d *driver) Begin() (group.Tx, error) {
	snap, err := d.settled(context.Background())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	tx := &transaction{driver: d, reader: reader{snapshot: snap, reads: newReads(), guarded: true}}
	if d.solos > 0 {
		d.solos--
		tx.solo = true
	}
	return tx, nil
}

// transaction is the group.Tx of a batch.
type transaction struct {
	reader
	driver *driver
	solo   bool // carries one closure
}

var _ group.Filler = (*transaction)(nil)

// Full implements group.Filler: a quarter of what the database takes is left to the
// closure that comes last.
func (tx *transaction) Full(writes int) bool {
	l := tx.driver.limits
	return tx.solo || past(tx.reads.compares(), l.Compares*3/4) || past(writes, l.Changes*3/4)
}

func past(n, limit int) bool { return limit > 0 && n >= limit }

// Commit implements group.Tx.
func (tx *transaction) Commit(changes []store.Change) error {
	d := tx.driver
	if tx.tooLarge(changes) {
		return tx.split()
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	switch {
	case len(changes) == 0 && tx.reads.empty():
		return nil
	case len(changes) == 0 || tx.reads.sure():
		return tx.look(ctx, len(changes) == 0)
	}
	return d.write(ctx, tx.reads.txn(changes))
}

// look compares without changing anything, together with whoever views.
func (tx *transaction) look(ctx context.Context, all bool) error {
	found, err := tx.driver.ask(ctx, tx.reads)
	if err != nil {
		return err
	}
	if found != nil || !all {
		return group.ErrConflict
	}
	return nil
}

func (tx *transaction) tooLarge(changes []store.Change) bool {
	l := tx.driver.limits
	bytes := 2*tx.reads.size + compareBytes*tx.reads.compares()
	for _, c := range changes {
		bytes += changeBytes + len(c.Key) + len(c.Value)
	}
	return over(tx.reads.compares(), l.Compares) || over(len(changes), l.Changes) || over(bytes, l.Bytes)
}

func over(n, limit int) bool { return limit > 0 && n > limit }

// split lets the closures of a batch that is too large run again one by one.
func (tx *transaction) split() error {
	if tx.solo {
		return fmt.Errorf("%w for the database: %d comparisons", store.ErrTooLarge, tx.reads.compares())
	}
	tx.driver.mu.Lock()
	defer tx.driver.mu.Unlock()
	tx.driver.solos = solos
	return group.ErrConflict
}

// write lets the database compare and change.
func (d *driver) write(ctx context.Context, t Txn) error {
	shown, sent := d.shownNow(), time.Now()
	a, err := d.tryToWrite(ctx, t)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if !a.Held {
		d.counts.conflicts.Add(1)
		d.takeIn(&t, &a, shown)
		d.yield(ctx, time.Since(sent))
		return group.ErrConflict
	}
	d.losses = 0
	d.mu.Lock()
	defer d.mu.Unlock()
	d.committed = max(d.committed, a.Revision)
	if a.Revision != 0 && a.Revision <= shown {
		d.restart(errRolledBack)
	}
	return nil
}

// yield waits for a while, so that servers which change the same keys do not meet again
// and again. What arrives meanwhile goes into the next transaction. took is how long a
// transaction takes at present. Only the committer calls it.
func (d *driver) yield(ctx context.Context, took time.Duration) {
	d.losses = min(d.losses+1, maxLosses)
	wait(ctx, rand.N(min(took<<(d.losses+1), longestYield)+1)) //nolint:gosec // jitter
}

// tryToWrite tries until the database has the transaction. After that it is not tried
// again, whatever becomes of it.
func (d *driver) tryToWrite(ctx context.Context, t Txn) (Answer, error) {
	for {
		d.counts.writes.Add(1)
		a, err := d.db.Commit(ctx, t)
		if err == nil {
			return a, nil
		}
		d.counts.failures.Add(1)
		if errors.Is(err, store.ErrUnknown) || !errors.Is(err, ErrUnreachable) {
			return Answer{}, err
		}
		if wait(ctx, retryPause); ctx.Err() != nil {
			return Answer{}, err
		}
	}
}

// takeIn puts an answer into the cache and returns it as facts. It was shown to the
// database after the cache had shown a revision, and cannot be older than that.
func (d *driver) takeIn(t *Txn, a *Answer, shown int64) *facts {
	f := newFacts(t, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.Revision < shown {
		d.restart(errRolledBack)
		return f
	}
	d.bound()
	d.cache.fill(t, f)
	return f
}
