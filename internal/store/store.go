// Package store is the contract between the rules of the registry and what
// keeps their data. Its drivers are in the folders below it; every driver
// passes the suite in store/storetest.
//
// The contract is one that an optimistic transaction over a network can fulfil
// as well as a lock in this process: closures may run more than once, nothing
// is read but through the transaction, and news of a change may come from
// another server.
package store

import (
	"context"
	"errors"

	"github.com/xlattice/xlreg"
)

var (
	// ErrNotFound says that the record asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrInUse says that another process has the data open.
	ErrInUse = errors.New("data is in use by another process")
	// ErrNewerSchema says that the data was written by a later program.
	ErrNewerSchema = errors.New("data was written by a newer version of this program")
)

// Cluster is the record of a cluster. It is small, and written again with each
// change of a seat; the seats themselves are records of their own.
type Cluster struct {
	xlreg.Cluster
	Taken    xlreg.Seats // the indexes that have a seat record
	Revision uint64      // grows by one with each change of a seat
}

// Store keeps nodes, clusters and seats. All methods may be called from any
// goroutine. Of an error that is neither from the closure nor one of this
// package's, a caller knows only that the change may or may not be kept.
type Store interface {
	// View calls f with one consistent state of the store, which includes every
	// Update that returned before View was called. It returns f's error as it is.
	// Like that of Update, f must not block or call the Store.
	View(ctx context.Context, f func(Reader) error) error

	// Update calls f, and makes what it put last: all of it or nothing. When
	// Update returns nil the change is as durable as the driver makes things.
	// If f returns an error nothing is changed and that error is returned as it
	// is. f may be called several times, of which the last counts, so it must
	// set, not add to, what it hands out. It must not block or call the Store.
	// A panic in f changes nothing and reaches Update's caller. If ctx ends
	// first Update returns its error, and the change may still happen.
	Update(ctx context.Context, f func(Writer) error) error

	// Watch calls f for each change of a cluster's seats by this or any other
	// server, after View shows it, until ctx ends (then nil) or the store is
	// closed (then ErrClosed). It begins with a zero Change as soon as no later
	// change can be missed, and sends one again whenever some may have been.
	// Several changes of one cluster may come as one. f is never called twice at
	// a time for one Watch, and may call View.
	Watch(ctx context.Context, f func(Change)) error

	// Close ends everything under way and frees what the store holds. It may be
	// called again, and returns the same then.
	Close() error
}

// Change says that the seats of a cluster are no longer what they were; with an
// empty Cluster, that those of any cluster may not be.
type Change struct {
	Cluster xlreg.ClusterID
}

// Reader reads inside a transaction. What it returns is shared: it must not be
// changed, and stays valid after the transaction. All but Seats return
// ErrNotFound for what does not exist.
type Reader interface {
	// Node returns what the node last registered.
	Node(id xlreg.NodeID) (xlreg.Token, error)
	// Cluster returns the cluster with this ID.
	Cluster(id xlreg.ClusterID) (Cluster, error)
	// ClusterByName returns the cluster with this name.
	ClusterByName(name xlreg.Name) (Cluster, error)
	// Seats returns who sits in the cluster, in the order of the indexes; none
	// if there is no such cluster.
	Seats(id xlreg.ClusterID) ([]xlreg.Member, error)
}

// Sink takes changes. What is put must not be changed afterwards. Of a token,
// DigSig is not kept, nor are the parts of Joined below a millisecond and its
// time zone; an empty slice comes back as nil. IDs must be 20 or 32 bytes long,
// a cluster's name a valid one, and an index one of xlreg.AllSeats.
type Sink interface {
	// PutNode makes or replaces the record of the node with the token's ID.
	PutNode(node xlreg.Token) error
	// PutCluster makes or replaces the record of the cluster with this ID, and
	// binds its name to it. A cluster's name never changes.
	PutCluster(c Cluster) error
	// PutSeat makes or replaces the seat with the member's index.
	PutSeat(id xlreg.ClusterID, m xlreg.Member) error
	// DeleteSeat removes a seat; removing one that does not exist does nothing.
	DeleteSeat(id xlreg.ClusterID, index int) error
}

// Writer reads and writes inside an Update. It reads what it has put.
type Writer interface {
	Reader
	Sink
}
