package registry

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

const (
	leasePace  = 250 * time.Millisecond // between two looks at what has run out
	leaseRetry = 5 * time.Second        // until a seat is looked at again that could not be freed
	leaseBatch = 256                    // leases that are looked at together
	leaseTurns = 32                     // seats that are freed at once, which a store may do together
)

// expire frees the seats whose leases have run out, until ctx ends.
func (r *Registry) expire(ctx context.Context) {
	for r.pause(ctx, leasePace) {
		for over := r.leases.over(leaseBatch); len(over) > 0; over = r.leases.over(leaseBatch) {
			r.endLeases(ctx, over)
		}
	}
}

func (r *Registry) endLeases(ctx context.Context, over []lease) {
	var ending errgroup.Group
	ending.SetLimit(leaseTurns)
	for i := range over {
		ending.Go(func() error {
			r.endLease(ctx, Actor{}, &over[i], EventLapsed)
			return nil
		})
	}
	_ = ending.Wait() // none fails
}

// pause waits by the registry's clock, and reports whether it has not been ended.
func (r *Registry) pause(ctx context.Context, d time.Duration) bool {
	over := make(chan struct{})
	stop := r.clock.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// End is told that a session's connection has ended. Its seats that were taken for a new
// start which has not come about go with it, so that nobody meets a member that has died.
func (r *Registry) End(ctx context.Context, s *Session) {
	for _, l := range r.leases.ended(s) {
		r.endLease(ctx, s.Actor(), &l, EventDisconnected)
	}
}

// lookAgain is how long a server that keeps no lease of a node believes that there is none.
const lookAgain = time.Second

// Alive notes that the session's node asks for a cluster, which renews its lease. There
// are no leases over a classic carrier.
func (r *Registry) Alive(ctx context.Context, s *Session, id xlreg.ClusterID) {
	if s.sum == "" || s.Protocol.Classic() || r.leases.alive(s, id) || r.fleet.alone() {
		return
	}
	if now := r.clock.Monotonic(); !s.looks(id, now) {
		return
	}
	if err := r.adopt(ctx, s, id); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot take over a lease, and the member may lose its seat", "cluster_id", id, "err", err)
	}
}

// endLease frees the seat of a lease, unless it has been renewed, or has become another's
// since.
func (r *Registry) endLease(ctx context.Context, by Actor, l *lease, kind EventKind) {
	var c records.Cluster
	var freed []records.Seat
	var order uint64
	now := r.clock.Now()
	err := r.update(ctx, func(tx records.Writer) (err error) {
		defer func() { order = r.leases.next() }()
		freed = nil
		if c, err = tx.Cluster(l.cluster); err != nil {
			return err
		}
		if !c.Deleted.IsZero() {
			return errAnothers
		}
		seat, err := tx.SeatAt(&c, l.index)
		if err != nil {
			return err
		}
		if err := r.keepsSeat(l, &c, &seat); err != nil {
			return err
		}
		freed = []records.Seat{seat}
		return free(tx, &c, freed, now)
	})
	switch {
	case err == nil:
		r.freed(by, kind, &c, freed, order)
	case records.IsNotFound(err), errors.Is(err, errAnothers):
		r.leases.drop(l.seatID, order)
	case errors.Is(err, errCompleted):
		r.leases.completed(c.ID, l.epoch)
	case !errors.Is(err, errRenewed) && ctx.Err() == nil:
		r.log.Error("cannot free a seat, will try again", "cluster_id", l.cluster, "index", l.index, "err", err)
	}
}

// keepsSeat returns why the seat of a lease that is over is not to be freed, nil if it is.
func (r *Registry) keepsSeat(l *lease, c *records.Cluster, seat *records.Seat) error {
	lasts := l.asked == 0 || r.clock.Monotonic().Before(l.since.Add(l.asked))
	switch {
	case keySum(seat) != l.sum || seat.Run() != l.run, seat.Token.Seat.Lease != l.asked, l.waiting && !seat.Fresh:
		return errAnothers
	case seat.Keeper != l.keeper, l.keeper != r.fleet.self && r.fleet.isThere(l.keeper):
		return errAnothers
	case !r.leases.still(l):
		return errRenewed
	case l.waiting && seat.Epoch <= c.Completed && lasts:
		return errCompleted
	}
	return nil
}

// Why a lease does not end.
var (
	errRenewed   = errors.New("the seat is in use")
	errAnothers  = errors.New("the seat is another's, or of another Join, which has a lease of its own, or it went with its cluster")
	errCompleted = errors.New("all have come, and the seat needs no connection")
)

// takeStock notes the leases of all seats that no server keeps, each with its whole term:
// what happened while the registry was away is no fault of theirs.
func (r *Registry) takeStock(ctx context.Context) error {
	return r.eachSeat(ctx, func(c *records.Cluster, s *records.Seat) {
		if r.fleet.alone() || !r.fleet.isThere(s.Keeper) {
			r.leases.found(c, s)
		}
	})
}

// eachSeat calls f for each seat there is: for a part of them at a time, so that a large
// store is no matter of one transaction.
func (r *Registry) eachSeat(ctx context.Context, f func(*records.Cluster, *records.Seat)) error {
	type seat struct {
		cluster records.Cluster
		seat    records.Seat
	}
	var found []seat
	return records.EachPart(func(part records.Part) error {
		err := r.view(ctx, func(tx records.Reader) error {
			found = found[:0]
			return tx.EachSeat(ctx, part, func(c *records.Cluster, s *records.Seat) {
				found = append(found, seat{*c, *s})
			})
		})
		if err != nil {
			return err
		}
		for i := range found {
			f(&found[i].cluster, &found[i].seat)
		}
		return nil
	})
}
