package linear

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store/mirror"
	"github.com/xlattice/xlreg/internal/store/mirror/mirrortest"
)

// crowded is for broken databases: few things, and clients who come and go more often than
// not.
var crowded = crowd{worlds: 1, clients: 6, requests: 30, restless: true}

// brokenTries is how many histories of a broken database may pass for good ones.
const brokenTries = 60

// Each database that is wrong in a way that a driver may be is found out.
func TestBrokenDatabases(t *testing.T) {
	for _, c := range []struct {
		name string
		wrap func(mirror.Database, *dice) mirror.Database
	}{
		{"reads are not linearizable", func(db mirror.Database, _ *dice) mirror.Database { return serializable{db} }},
		{"clusters are no guards of their seats", func(db mirror.Database, _ *dice) mirror.Database { return unguarded{db} }},
		{"the cache is filled late", func(db mirror.Database, _ *dice) mirror.Database { return lateFill{db} }},
		{"what may have been done is done again", func(db mirror.Database, d *dice) mirror.Database { return again{db, d} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := firstSeed(t)
			for i := range uint64(brokenTries) {
				if fleetFoundOut(t, c.wrap, seed+i) {
					t.Logf("found out after %d histories", i+1)
					return
				}
			}
			t.Errorf("%d histories passed for good ones", brokenTries)
		})
	}
}

// fleetFoundOut records a history of servers on a broken database and reports whether that
// shows.
func fleetFoundOut(t *testing.T, wrap func(mirror.Database, *dice) mirror.Database, seed uint64) (found bool) {
	t.Helper()
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		d := newDice(seed)
		f := newFleet(t, inMemory(mirrortest.New(), seed, 2*time.Millisecond, func(db mirror.Database) mirror.Database { return wrap(db, d) }))
		rec, to := newRecorder(), f.target()
		err := errors.Join(f.awaitReady(t.Context()), crowded.run(t.Context(), to, rec, seed))
		switch {
		case errors.Is(err, xlreg.ErrProtocol) || errors.Is(err, xlreg.ErrTryLater):
			t.Logf("an answer that is none: %v", err)
			found = true
		case err != nil:
			t.Fatal(err)
		default:
			found = isWrong(rec, to.rules())
		}
	})
	return found
}

// serializable is a database that compares what a View has read with what it has told
// itself, as a member does that is behind the others and does not ask them.
type serializable struct{ mirror.Database }

// Commit implements mirror.Database.
func (db serializable) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	unknown := func(k mirror.KeyRead) bool { return k.Version == mirror.Unknown }
	if len(t.Changes) > 0 || slices.ContainsFunc(t.Keys, unknown) {
		return db.Database.Commit(ctx, t)
	}
	return mirror.Answer{Held: true}, nil
}

// unguarded is a database that does not compare the record of a cluster, which guards what
// is in it.
type unguarded struct{ mirror.Database }

// Commit implements mirror.Database.
func (db unguarded) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	if len(t.Changes) == 0 {
		return db.Database.Commit(ctx, t)
	}
	loose := t
	loose.Keys = slices.DeleteFunc(slices.Clone(t.Keys), func(k mirror.KeyRead) bool {
		_, ok := records.ClusterAt(k.Key)
		return ok && k.Version != mirror.Unknown
	})
	a, err := db.Database.Commit(ctx, loose)
	if err != nil || a.Held {
		return a, err
	}
	return all(ctx, db.Database, t)
}

// all brings all that a Txn asks for.
func all(ctx context.Context, db mirror.Database, t mirror.Txn) (mirror.Answer, error) {
	t.Keys = slices.Clone(t.Keys)
	t.Keys[0].Version = mirror.Unknown
	return db.Commit(ctx, t)
}

// lateFill is a database whose ranges are older than it says, as they are in a cache that
// is filled with what was read before something was told.
type lateFill struct{ mirror.Database }

// Commit implements mirror.Database.
func (db lateFill) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	a, err := db.Database.Commit(ctx, t)
	if err != nil || a.Held || len(t.Ranges) == 0 {
		return a, err
	}
	<-time.After(3 * time.Millisecond)
	later, err := all(ctx, db.Database, t)
	later.Ranges = a.Ranges
	return later, err
}

// again is a database whose driver sends a transaction once more when its answer is lost.
type again struct {
	mirror.Database
	dice *dice
}

// Commit implements mirror.Database.
func (db again) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	a, err := db.Database.Commit(ctx, t)
	if err == nil && len(t.Changes) > 0 && db.dice.oneIn(4) {
		return db.Database.Commit(ctx, t)
	}
	return a, err
}
