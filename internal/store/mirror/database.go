// Package mirror makes a driver of a database that several servers share over a
// network. Closures run on a mirror in memory of what the database has told, without
// asking it; then one round trip compares what they have read with what there is,
// and makes their changes if nothing has moved. What has moved comes back with the
// refusal, so that the closures run again on the present state.
//
// A database has one revision, which each change raises, and for each value its
// version: the revision that put it there.
package mirror

import (
	"context"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// How often a Database gives a sign of life while nothing changes, and how long what a
// server announces outlives it.
const (
	Heartbeat   = time.Second
	AnnounceTTL = 30 * time.Second
)

// Database is what a mirror stands on: one space of keys that all servers see alike.
// Its methods may be called from any goroutine.
type Database interface {
	// Commit compares and changes in one step, linearizable with every other step of
	// any server. Nothing is read from a state that may be old.
	//
	// The error wraps store.ErrUnknown if the changes may have been made. After every
	// other error they have not been. One that wraps ErrUnreachable may be gone in a
	// moment, so the Txn is tried again within the timeout. A Txn without changes
	// never ends with store.ErrUnknown. Nothing in here runs a Txn with changes a
	// second time after an unknown outcome.
	Commit(ctx context.Context, t Txn) (Answer, error)

	// Follow calls f with what changes, in the order of revisions. The first call says
	// from which revision on nothing is missed, and has no events. From then on it
	// calls f at least once in a Heartbeat, with no events if there is nothing to say;
	// so silence means that the connection is lost. It returns nil when ctx ends, and
	// an error when something was or may have been missed. f does not block.
	Follow(ctx context.Context, f func(News)) error

	// Announce keeps a value under a key for as long as this server lives, until ctx
	// ends: then it removes it, or the database does within the AnnounceTTL if it
	// cannot be reached. It comes back after an interruption. The key is told by
	// Follow like any other; no guard goes with it.
	Announce(ctx context.Context, key string, value []byte) error

	// Close ends everything under way. It may be called again.
	Close() error
}

// Txn is what a transaction has read, and what it wants to change.
type Txn struct {
	Keys    []KeyRead      // each key once
	Ranges  []RangeRead    // each prefix once; its guard is among the Keys, too
	Changes []store.Change // each key once; a nil value deletes. Empty: only compare
}

// Unknown is a version that no key has. A Txn that compares one with it does not hold
// and brings all that it has asked for.
const Unknown = -1

// KeyRead says that a key had this version: 0 if it had no value.
type KeyRead struct {
	Key     string
	Version int64
}

// RangeRead says that nothing longer than Prefix that begins with it was put after
// Revision, and that there were Count keys.
//
// The count is compared at least in a Txn without changes, because what a View scans
// has no guard. In one with changes a database may leave it out: there the guard says
// whether anything was removed.
type RangeRead struct {
	Prefix   string
	Revision int64
	Count    int
}

// Answer is what the database says to a Txn.
type Answer struct {
	// Held says that what was read still held, and that the changes were made.
	Held bool
	// Revision is the one that the changes have, or 0 if Follow will not tell it because
	// they changed nothing. If there were none or not Held it is one at which all that
	// was compared, and all that follows, was true.
	Revision int64

	// Only if not Held: what there is, complete.
	Keys   []Record   // those of Txn.Keys that have a value, in any order
	Ranges [][]Record // for each of Txn.Ranges all that is in it, in the order of keys
}

// Record is a key with its value.
type Record struct {
	Key     string
	Value   []byte
	Version int64
}

// News is all that has changed up to a revision and was not told before. A revision
// is never told in parts.
type News struct {
	Revision int64
	Events   []Event // in the order of revisions
}

// Event is one change.
type Event struct {
	Record       // a nil Value: it was removed, at the revision in Version
	Created bool // the key had no value before
}

// Limits is what a database takes in one transaction at most; 0 is no limit. One that
// a single closure within store.MaxReads, MaxWrites and MaxBytes reaches is too small.
type Limits struct {
	Compares int // keys and ranges together; at most so many are answered, too
	Changes  int
	Bytes    int // of the keys, once where compared and once where changed, and the values
}
