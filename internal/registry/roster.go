package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// maxKeptMembers bounds the rosters kept for the next reader: so many members, each of
// which may take some 2 KiB, and as many as one for each roster.
const maxKeptMembers = 1 << 14

// Roster is who is in a cluster. Until the cluster changes every reader gets
// the same one, so that what is derived from it can be kept with it.
type Roster struct {
	xlreg.Roster
	Changed []uint64 // of each member, the revision of the cluster at which it last changed
	Sum     keys.Sum

	first uint64    // revision of the cluster; 0: unknown
	read  time.Time // when signs of life were last looked up; zero if no member has a lease
}

// ChangedSince returns the indexes of the members that have changed since a revision,
// and false if the registry does not know.
func (r *Roster) ChangedSince(revision uint64) (changed xlreg.Seats, ok bool) {
	if revision > r.State.Revision || revision < r.first {
		return changed, false
	}
	if revision == r.State.Revision {
		return changed, true
	}
	for i := range r.Members {
		if r.Changed[i] > revision {
			changed = changed.With(r.Members[i].Index)
		}
	}
	return changed, true
}

// Roster returns the cluster with its members. A change of a cluster wakes many who
// read it at once; one of them reads the seats, and the others get the same roster.
func (r *Registry) Roster(ctx context.Context, ref xlreg.ClusterRef, p xlreg.Protocol) (*Roster, error) {
	c, err := r.cluster(ctx, ref, p)
	if err != nil {
		return nil, err
	}
	if c.Taken.IsEmpty() {
		r.touched(ctx, &c)
	}
	if kept := r.rosters.get(&c); kept != nil {
		return kept, nil
	}
	key := fmt.Sprint(string(c.ID), c.State.Revision)
	read, err, shared := r.reading.Do(key, func() (any, error) { return r.readRoster(ctx, c.ID) })
	if err != nil && shared {
		return r.readRoster(ctx, c.ID) // it was the other one's context that ended
	}
	if err != nil {
		return nil, err
	}
	return read.(*Roster), nil
}

// touched notes that somebody has asked for a cluster without members, which is forgotten
// when nobody does. A store that cannot write is no reason not to answer.
func (r *Registry) touched(ctx context.Context, c *records.Cluster) {
	now := r.clock.Now()
	if !records.Day(now).After(c.Touched) {
		return
	}
	err := r.update(ctx, func(tx records.Writer) error {
		found, err := tx.Cluster(c.ID)
		if err != nil {
			return err
		}
		return touch(tx, &found, now)
	})
	if err != nil && !records.IsNotFound(err) {
		r.log.Debug("cannot note that a cluster was asked for", "cluster_id", c.ID, "err", err)
	}
}

// readRoster reads the seats of a cluster. What it returns is no older than what its
// caller knows of the cluster: the store shows every change that it has shown before.
func (r *Registry) readRoster(ctx context.Context, id xlreg.ClusterID) (*Roster, error) {
	var c records.Cluster
	var seats []records.Seat
	var kept *Roster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		if c, err = tx.Cluster(id); err != nil {
			return orKind(err, xlreg.ErrNoSuchClusterID)
		}
		if !c.Deleted.IsZero() {
			return xlreg.ErrNoSuchClusterID // it was deleted since the caller looked
		}
		if kept = r.rosters.get(&c); kept != nil {
			return nil // somebody has read it since
		}
		seats, err = tx.Members(&c)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case kept != nil:
		return kept, nil
	}
	return r.rosters.put(r.newRoster(&c, seats)), nil
}

// newRoster is called outside of the transaction that read the seats: it is most of the
// work, since it sums up every member.
func (r *Registry) newRoster(c *records.Cluster, seats []records.Seat) *Roster {
	roster := &Roster{Roster: xlreg.Roster{Cluster: c.Cluster, State: c.State}, first: c.First}
	roster.Members = make([]xlreg.Member, len(seats))
	roster.Changed = make([]uint64, len(seats))
	for i := range seats {
		roster.Members[i], roster.Changed[i] = seats[i].Member, seats[i].Revision
	}
	roster.Sum = keys.RosterSum(&roster.Roster)
	r.stamp(roster)
	return roster
}

// stamp looks up when there was the last sign of life of each member with a lease.
func (r *Registry) stamp(roster *Roster) {
	for i := range roster.Members {
		state := &roster.Members[i].Token.Seat
		if state.Lease == 0 {
			continue
		}
		roster.read = r.clock.Now()
		state.Seen = r.leases.seenAt(roster.Cluster.ID, keys.KeySum(roster.Members[i].Token.SigKey))
	}
}

// Seen returns a roster with the last sign of life of each member that has a lease, as of
// a moment ago. It is for those who read tokens: news say nothing of it.
func (r *Registry) Seen(roster *Roster) *Roster {
	if roster.read.IsZero() || r.clock.Now().Sub(roster.read) < seenWithin {
		return roster
	}
	again := *roster
	again.Members = slices.Clone(roster.Members)
	r.stamp(&again)
	r.rosters.replace(roster, &again)
	return &again
}

// seenWithin is by how much the times of signs of life in a roster may lag.
const seenWithin = time.Second

// rosterCache keeps the newest roster of some clusters. Whether one still holds
// is for the reader's transaction to say, by the cluster's revision.
type rosterCache struct {
	mu      sync.Mutex
	rosters map[xlreg.ClusterID]*Roster // guarded by mu
	members int                         // guarded by mu; of all of them, and one for each
}

func (rc *rosterCache) get(c *records.Cluster) *Roster {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if kept := rc.rosters[c.ID]; kept != nil && kept.State.Revision == c.State.Revision {
		return kept
	}
	return nil
}

// put keeps roster unless it has a newer or the same one, and returns the one
// that readers of this revision share.
func (rc *rosterCache) put(roster *Roster) *Roster {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	id := roster.Cluster.ID
	kept := rc.rosters[id]
	if kept != nil && kept.State.Revision == roster.State.Revision {
		return kept
	}
	if kept != nil && kept.State.Revision > roster.State.Revision {
		return roster
	}
	if rc.rosters == nil {
		rc.rosters = make(map[xlreg.ClusterID]*Roster)
	}
	rc.remove(id)
	rc.evict(weight(roster))
	rc.rosters[id] = roster
	rc.members += weight(roster)
	return roster
}

// replace puts a roster in the place of one that says the same of an earlier time.
func (rc *rosterCache) replace(kept, roster *Roster) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.rosters[roster.Cluster.ID] == kept {
		rc.rosters[roster.Cluster.ID] = roster
	}
}

// drop forgets a roster that says the same as before of all but times.
func (rc *rosterCache) drop(id xlreg.ClusterID) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.remove(id)
}

// weight is what a roster counts as.
func weight(r *Roster) int { return 1 + len(r.Members) }

// remove is called with mu held.
func (rc *rosterCache) remove(id xlreg.ClusterID) {
	if kept := rc.rosters[id]; kept != nil {
		rc.members -= weight(kept)
		delete(rc.rosters, id)
	}
}

// evict makes room for one more. Which ones go does not matter: each costs its next
// reader one look at the store.
func (rc *rosterCache) evict(room int) {
	for id := range rc.rosters {
		if rc.members+room <= maxKeptMembers {
			return
		}
		rc.remove(id)
	}
}
