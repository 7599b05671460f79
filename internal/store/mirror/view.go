package mirror

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// A comparison without changes is first given this part of the timeout, so that one
// machine of the database that does not answer is no reason to fail. Each further try
// gets twice as long, because the answer may be large, and all together get twice the
// timeout.
const firstTry = 3

// retryPause is how soon a database that was not reachable is tried again.
const retryPause = 20 * time.Millisecond

// View implements group.Driver. f runs on the cache, and what it has read is compared
// afterwards. If that does not hold, f runs on what the database has answered, which
// was true after View was called: if it reads nothing else, that was it.
func (d *driver) View(ctx context.Context, f func(store.Reader) error) error {
	var found *facts
	for {
		snap, err := d.settled(ctx)
		if err != nil {
			return err
		}
		r := &reader{snapshot: snap, facts: found, reads: newReads()}
		result := f(r)
		if r.reads.empty() || found != nil && !r.beyond {
			return result
		}
		if over(r.reads.compares(), d.limits.Compares) {
			return fmt.Errorf("%w for the database: %d comparisons", store.ErrTooLarge, r.reads.compares())
		}
		if found, err = d.ask(ctx, r.reads); err != nil {
			return err
		}
		if found == nil {
			return result
		}
	}
}

// look is what somebody wants to have compared.
type look struct {
	reads *reads
	done  chan outcome // holds one
}

type outcome struct {
	facts *facts // nil: it held
	err   error
}

// ask returns what the database says to what was read; nil if it holds.
func (d *driver) ask(ctx context.Context, r *reads) (*facts, error) {
	l := &look{reads: r, done: make(chan outcome, 1)}
	select {
	case d.looks <- l:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.closing:
		return nil, store.ErrClosed
	}
	select {
	case o := <-l.done:
		return o.facts, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.closing:
		return nil, store.ErrClosed
	}
}

// lookAll carries out rounds until the store closes: all who wait when one ends share
// the next.
func (d *driver) lookAll(ctx context.Context) {
	var kept *look // did not fit into the round before
	for {
		first := kept
		if first == nil {
			select {
			case <-ctx.Done():
				return
			case first = <-d.looks:
			}
		}
		kept = d.round(ctx, first)
	}
}

// round is one comparison for all who wait, except one who did not fit.
func (d *driver) round(ctx context.Context, first *look) (kept *look) {
	union := newReads()
	union.add(first.reads)
	sharing := []*look{first}
	runtime.Gosched() // whoever is about to look shares this round
	for kept == nil {
		var next *look
		select {
		case next = <-d.looks:
		default:
		}
		if next == nil {
			break
		}
		if over(union.compares()+next.reads.compares(), d.limits.Compares) {
			kept = next
			break
		}
		union.add(next.reads)
		sharing = append(sharing, next)
	}
	found, err := d.compare(ctx, union.txn(nil))
	for _, l := range sharing {
		l.done <- outcome{found, err}
	}
	return kept
}

// compare tries until the database answers, or time is up.
func (d *driver) compare(ctx context.Context, t Txn) (*facts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*d.timeout, errSlow)
	defer cancel()
	defer context.AfterFunc(d.hopeNow(), cancel)()
	for patience := d.timeout / firstTry; ; patience = min(2*patience, 2*d.timeout) {
		d.counts.looks.Add(1)
		shown := d.shownNow()
		a, err := d.tryOnce(ctx, t, patience)
		if err == nil && a.Held {
			return nil, nil
		}
		if err == nil {
			d.counts.misses.Add(1)
			return d.takeIn(&t, &a, shown), nil
		}
		if wait(ctx, retryPause); ctx.Err() != nil {
			return nil, unreachable(err)
		}
	}
}

func unreachable(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

func (d *driver) tryOnce(ctx context.Context, t Txn, patience time.Duration) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.db.Commit(ctx, t)
}
