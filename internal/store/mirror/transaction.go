package mirror

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// solos is how many transactions carry one closure each after one that was too large
// for the database.
const solos = 32

// mostGivenWay bounds how long others are let go first.
const mostGivenWay = 50 * time.Millisecond

// What the database needs for one comparison and one change beside keys and values.
const (
	compareBytes = 64
	changeBytes  = 32
)

// Begin implements group.Driver. What this server has committed is in the cache from
// then on.
func (d *driver) Begin() (group.Tx, error) {
	d.giveWay()
	snap, err := d.settled(context.Background())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	tx := &transaction{driver: d, reader: reader{snapshot: snap, reads: newReads()}}
	if d.solos > 0 {
		d.solos--
		tx.solo = true
	}
	return tx, nil
}

// giveWay lets others go first after a conflict, for a random part of the time that the
// commit took. Two servers that write the same records would otherwise stay in step, and
// one of them would lose each time. What comes in meanwhile shares the next transaction,
// so less is lost than it seems.
func (d *driver) giveWay() {
	d.mu.Lock()
	most := min(d.outrun, mostGivenWay)
	d.outrun = 0
	d.mu.Unlock()
	if most <= 0 {
		return
	}
	select {
	case <-time.After(rand.N(most)): //nolint:gosec // it may be guessed
	case <-d.closing:
	}
}

// transaction is the group.Tx of a batch.
type transaction struct {
	reader
	driver *driver
	solo   bool // carries one closure
}

var _ group.Filler = (*transaction)(nil)

// Full implements group.Filler: half of what the database takes is left to the closure
// that comes last.
func (tx *transaction) Full(writes int) bool {
	l := tx.driver.limits
	return tx.solo || past(tx.reads.compares(), l.Compares/2) || past(writes, l.Changes/2)
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
	d.counts.writes.Add(1)
	shown := d.shownNow()
	begun := time.Now()
	a, err := d.db.Commit(ctx, t)
	if err != nil {
		d.counts.failures.Add(1)
		return fmt.Errorf("commit: %w", err)
	}
	if !a.Held {
		d.counts.conflicts.Add(1)
		d.takeIn(&t, &a, shown)
		d.setOutrun(time.Since(begun))
		return group.ErrConflict
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.committed = max(d.committed, a.Revision)
	if a.Revision != 0 && a.Revision <= shown {
		d.restart(errRolledBack)
	}
	return nil
}

func (d *driver) setOutrun(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outrun = took
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
	d.cache.fill(t, f)
	d.bound()
	return f
}
