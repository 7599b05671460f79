package registry

import (
	"context"
	"errors"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

const (
	forgetPace   = time.Hour            // between two looks at what nobody needs any more
	forgetBatch  = 16                   // records that one Update takes away
	forgetCrowd  = 10_000               // nodes that are looked at together
	stoneLife    = 365 * 24 * time.Hour // of the name and key of a cluster that its owner has deleted
	earliestYear = 2020                 // a clock that says less is wrong, and nothing is forgotten by it
)

// forget takes away what nobody needs any more, until ctx ends: nodes that have no seat
// and have not been seen for long, clusters without members that nobody has asked for,
// and what is left of clusters that are gone.
func (r *Registry) forget(ctx context.Context) {
	for r.pauseOrPurge(ctx) {
		now := r.clock.Now()
		if now.Year() < earliestYear || !r.fleet.leads() {
			continue
		}
		err := errors.Join(r.forgetClusters(ctx, now), r.forgetNodes(ctx, now), r.countAll(ctx))
		if err != nil && ctx.Err() == nil {
			r.log.Error("cannot take away what is to be forgotten, will try again", "err", err)
		}
	}
}

// pauseOrPurge waits for the next look, and takes away the rest of clusters that have gone
// in the meantime.
func (r *Registry) pauseOrPurge(ctx context.Context) bool {
	over := make(chan struct{})
	stop := r.clock.AfterFunc(forgetPace, func() { close(over) })
	defer stop()
	for {
		select {
		case <-over:
			return true
		case id := <-r.purges:
			if err := r.purge(ctx, id); err != nil && ctx.Err() == nil {
				r.log.Error("cannot take away the rest of a cluster, will try again", "cluster_id", id, "err", err)
			}
		case <-ctx.Done():
			return false
		}
	}
}

// drop ends a cluster in the Update that took its last member away, or that an admin has
// ordered. What is left of it is taken away afterwards (gone), since there may be too much
// of it for one Update.
func drop(tx records.Writer, c *records.Cluster, now time.Time) error {
	c.Deleted, c.LastOrder = now, nil // no stone is left of it
	if err := tx.FreeName(c); err != nil {
		return err
	}
	return tx.PutCluster(c)
}

func (r *Registry) purgeSoon(id xlreg.ClusterID) {
	select {
	case r.purges <- id:
	default: // the next look finds it
	}
}

func (r *Registry) forgetClusters(ctx context.Context, now time.Time) error {
	return records.EachPart(func(part records.Part) error {
		var over []records.Cluster
		err := r.view(ctx, func(tx records.Reader) error {
			over = over[:0]
			return tx.EachCluster(ctx, part, func(c *records.Cluster) {
				if r.isOver(c, now) {
					over = append(over, *c)
				}
			})
		})
		for i := range over {
			err = errors.Join(err, r.forgetCluster(ctx, &over[i], now))
		}
		return err
	})
}

// isOver reports whether a cluster is to be forgotten. The stone of one that its owner has
// deleted stays for a year, so that nobody else gets that name and key.
func (r *Registry) isOver(c *records.Cluster, now time.Time) bool {
	switch {
	case !c.Deleted.IsZero():
		return c.Key == "" || c.LastOrder == nil || now.Sub(c.Deleted) > stoneLife
	case c.Key != "" && c.Kept > 0:
		return false
	}
	return c.Taken.IsEmpty() && r.isStale(c.Touched, now)
}

func (r *Registry) isStale(seen, now time.Time) bool {
	return r.bounds.Forget > 0 && now.Sub(seen) > r.bounds.Forget+24*time.Hour // times are days
}

func (r *Registry) forgetCluster(ctx context.Context, c *records.Cluster, now time.Time) error {
	gone, ended := false, false
	err := r.update(ctx, func(tx records.Writer) error {
		gone, ended = false, false
		found, err := tx.Cluster(c.ID)
		if err != nil || !r.isOver(&found, now) {
			return err
		}
		if found.Touched.IsZero() && found.Deleted.IsZero() {
			return touch(tx, &found, now) // written by a version that did not say; its time begins now
		}
		gone = true
		if ended = found.Deleted.IsZero(); ended {
			found.Deleted, found.LastOrder = now, nil
		}
		*c = found
		return errors.Join(tx.FreeName(&found), tx.PutCluster(&found))
	})
	if err != nil || !gone {
		return ignoreNotFound(err)
	}
	r.log.Info("cluster forgotten", "cluster", c.Name, "cluster_id", c.ID, "touched", c.Touched)
	if ended {
		r.happened(Actor{}, EventForgotten, c)
	}
	return r.purge(ctx, c.ID)
}

// purge takes away all that is kept of a cluster that is gone, but for the stone of one
// that its owner has deleted.
func (r *Registry) purge(ctx context.Context, id xlreg.ClusterID) error {
	for done := false; !done; {
		var left []string
		err := r.view(ctx, func(tx records.Reader) (err error) {
			left, err = tx.Remains(id, forgetBatch)
			return err
		})
		if err != nil {
			return err
		}
		done = len(left) < forgetBatch
		err = r.update(ctx, func(tx records.Writer) error {
			c, err := tx.Cluster(id)
			if err != nil || c.Deleted.IsZero() {
				return err
			}
			return tx.Purge(id, left, done && r.isOver(&c, r.clock.Now()))
		})
		if err != nil {
			return ignoreNotFound(err)
		}
	}
	return nil
}

func ignoreNotFound(err error) error {
	if records.IsNotFound(err) {
		return nil
	}
	return err
}

func (r *Registry) forgetNodes(ctx context.Context, now time.Time) error {
	return records.EachPart(func(part records.Part) error {
		stale := make(map[xlreg.KeySum][]xlreg.NodeID)
		found := 0
		err := r.view(ctx, func(tx records.Reader) error {
			clear(stale)
			found = 0
			return tx.EachNode(ctx, part, func(n *records.Node) {
				if r.isStale(n.Seen, now) && found < forgetCrowd {
					sum := keys.KeySum(n.Token.SigKey)
					stale[sum] = append(stale[sum], n.Token.ID)
					found++
				}
			})
		})
		if err != nil || found == 0 {
			return err
		}
		if err := r.spareMembers(ctx, stale); err != nil {
			return err
		}
		return r.forgetEach(ctx, stale, now)
	})
}

// spareMembers takes those out of a set of keys that have a seat.
func (r *Registry) spareMembers(ctx context.Context, stale map[xlreg.KeySum][]xlreg.NodeID) error {
	return r.eachSeat(ctx, func(_ *records.Cluster, s *records.Seat) { delete(stale, keySum(s)) })
}

func (r *Registry) forgetEach(ctx context.Context, stale map[xlreg.KeySum][]xlreg.NodeID, now time.Time) error {
	forgotten := 0
	for sum, ids := range stale {
		for _, id := range ids {
			gone := false
			err := r.update(ctx, func(tx records.Writer) (err error) {
				gone, err = r.forgetNode(tx, sum, id, now)
				return err
			})
			if err != nil {
				return err
			}
			if gone {
				forgotten++
				r.nodeForgotten(Actor{}, id)
			}
		}
	}
	if forgotten > 0 {
		r.log.Info("nodes forgotten", "nodes", forgotten)
	}
	return nil
}

// nodeForgotten tells the observer of a node that is known no more.
func (r *Registry) nodeForgotten(by Actor, id xlreg.NodeID) {
	if r.observe != nil {
		r.observe(Event{Kind: EventForgotten, Time: r.clock.Now(), By: by, Node: id})
	}
}

// forgetNode looks again: the node may have come back.
func (r *Registry) forgetNode(tx records.Writer, sum xlreg.KeySum, id xlreg.NodeID, now time.Time) (gone bool, err error) {
	n, err := tx.Node(id)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	if n.Seen.IsZero() { // written by a version that did not say; its time begins now
		n.Seen = records.Day(now)
		return false, tx.PutNode(&n)
	}
	if !r.isStale(n.Seen, now) {
		return false, nil
	}
	return takeNode(tx, id, sum)
}

// takeNode takes a node away, and that its key is that node, if it is there.
func takeNode(tx records.Writer, id xlreg.NodeID, sum xlreg.KeySum) (gone bool, err error) {
	if _, err := tx.Node(id); err != nil {
		return false, ignoreNotFound(err)
	}
	bound, err := tx.NodeOfKey(sum)
	if err != nil && !records.IsNotFound(err) {
		return false, err
	}
	if bound != id {
		sum = ""
	}
	return true, tx.DeleteNode(id, sum)
}

func keySum(s *records.Seat) xlreg.KeySum { return keys.KeySum(s.Token.SigKey) }
