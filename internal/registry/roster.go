package registry

import (
	"context"
	"fmt"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// maxRosters bounds the rosters kept for the next reader, each of which may
// take some 100 KiB.
const maxRosters = 128

// Roster is who is in a cluster. Until the cluster changes every reader gets
// the same one, so that what is derived from it can be kept with it.
type Roster struct {
	xlreg.Roster
	Revision uint64 // the same cluster and revision is the same roster
}

// Roster returns the cluster with its members. A change of a cluster wakes many who
// read it at once; one of them reads the seats, and the others get the same roster.
func (r *Registry) Roster(ctx context.Context, ref xlreg.ClusterRef) (*Roster, error) {
	var c records.Cluster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		c, err = find(tx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	if kept := r.rosters.get(&c); kept != nil {
		return kept, nil
	}
	key := fmt.Sprint(string(c.ID), c.Revision)
	read, err, shared := r.reading.Do(key, func() (any, error) { return r.readRoster(ctx, c.ID) })
	if err != nil && shared {
		return r.readRoster(ctx, c.ID) // it was the other one's context that ended
	}
	if err != nil {
		return nil, err
	}
	return read.(*Roster), nil
}

// readRoster reads the seats of a cluster. What it returns is no older than what its
// caller knows of the cluster: the store shows every change that it has shown before.
func (r *Registry) readRoster(ctx context.Context, id xlreg.ClusterID) (*Roster, error) {
	var roster *Roster
	err := r.view(ctx, func(tx records.Reader) error {
		c, err := tx.Cluster(id)
		if err != nil {
			return orKind(err, xlreg.ErrNoSuchClusterID)
		}
		if roster = r.rosters.get(&c); roster != nil {
			return nil // somebody has read it since
		}
		members, err := tx.Seats(id)
		roster = &Roster{Roster: xlreg.Roster{Cluster: c.Cluster, Members: members}, Revision: c.Revision}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.rosters.put(roster), nil
}

// Cluster returns the cluster that ref names.
func (r *Registry) Cluster(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	var c records.Cluster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		c, err = find(tx, ref)
		return err
	})
	return c.Cluster, err
}

// rosterCache keeps the newest roster of some clusters. Whether one still holds
// is for the reader's transaction to say, by the cluster's revision.
type rosterCache struct {
	mu      sync.Mutex
	rosters map[xlreg.ClusterID]*Roster // guarded by mu
}

func (rc *rosterCache) get(c *records.Cluster) *Roster {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if kept := rc.rosters[c.ID]; kept != nil && kept.Revision == c.Revision {
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
	if kept != nil && kept.Revision == roster.Revision {
		return kept
	}
	if kept != nil && kept.Revision > roster.Revision {
		return roster
	}
	if rc.rosters == nil {
		rc.rosters = make(map[xlreg.ClusterID]*Roster)
	}
	rc.evict()
	rc.rosters[id] = roster
	return roster
}

// evict makes room for one more. Which one goes does not matter: it costs its
// next reader one look at the store.
func (rc *rosterCache) evict() {
	for id := range rc.rosters {
		if len(rc.rosters) < maxRosters {
			return
		}
		delete(rc.rosters, id)
	}
}
