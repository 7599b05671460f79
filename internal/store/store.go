// Package store is the contract between the rules of the registry and what keeps
// their data: byte keys in order, each with a value, read and changed in
// transactions, and news of what has changed. It knows no noun; package records
// says what the keys and values mean. Its drivers are in the folders below it, and
// every driver passes the suite in store/storetest.
//
// Each sentence of the contract is one that an optimistic transaction over a
// network can keep as well as a lock in this process can: a closure may run more
// than once, nothing is read but through the transaction, and news of a change may
// come from another server.
package store

import (
	"context"
	"errors"
	"iter"
)

var (
	// ErrNotFound says that the key asked for has no value.
	ErrNotFound = errors.New("not found")
	// ErrUnknown says that a change may or may not have been kept: it was on its way
	// when the answer got lost. Nothing runs its closure again.
	ErrUnknown = errors.New("the change may or may not have been kept")
	// ErrTooLarge says that a closure reads or writes more than the contract allows.
	ErrTooLarge = errors.New("transaction is too large")
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrInUse says that another process has the data open.
	ErrInUse = errors.New("data is in use by another process")
	// ErrNewerSchema says that the data was written by a later program.
	ErrNewerSchema = errors.New("data was written by a newer version of this program")
	// ErrOlderSchema says that the data has a form that this program reads no more.
	ErrOlderSchema = errors.New("data was written by an older version of this program, in a form that this one does not read")
)

// What one closure may do at most, scans aside: as much as fits into one
// transaction of the stores that there are.
const (
	MaxReads  = 100     // calls of Get
	MaxWrites = 100     // calls of Put and Delete
	MaxBytes  = 1 << 20 // of all keys read and written, and all values written
	MaxKey    = 1 << 10 // bytes of one key, and at least one
)

// Store keeps values under keys. Its methods may be called from any goroutine.
//
// A closure given to View or Update may run several times, and only the run that
// counts is the last. In a run that does not count it may see a state that never
// was, such as an index that names a record which is not there. So a closure
// neither loops without bound nor panics over what it reads, it sets what it hands
// out and adds to nothing, and it hands nothing out before View or Update has
// returned: it wakes nobody and sends nothing. It must not block or call the Store.
type Store interface {
	// View calls f with one consistent state, which has in it every Update that
	// returned before View was called. It returns f's error as it is.
	View(ctx context.Context, f func(Reader) error) error

	// Update calls f and makes what it wrote last: all of it or nothing. Once Update
	// has returned nil the change is as durable as the driver makes things, and so
	// is everything that f has read. If f returns an error nothing is changed, and
	// that error is returned as it is. A panic in f changes nothing and reaches
	// Update's caller.
	//
	// ErrUnknown is the one error after which the change may have been kept. It also
	// wraps ctx's error when ctx ended while the change was on its way.
	Update(ctx context.Context, f func(Writer) error) error

	// Watch calls f for each change below or at a prefix, made by this or any other
	// server, after View shows it, until ctx ends (then nil), the store is closed
	// (ErrClosed) or f returns an error (that error). Every key is below the empty
	// prefix. It begins with a zero Change as
	// soon as no later change can be missed, and sends one again whenever some may
	// have been. Several changes of one key may come as one, the newest. f is never
	// called twice at a time for one Watch, and may call View.
	Watch(ctx context.Context, prefix string, f func(Change) error) error

	// Close ends everything under way and frees what the store holds. It may be
	// called again, and returns the same then.
	Close() error
}

// Reader reads inside a transaction. A value that it returns must not be changed
// and is valid only until the closure returns.
type Reader interface {
	// Get returns the value under key, or ErrNotFound.
	Get(key string) ([]byte, error)

	// Scan yields, in the order of their bytes, the keys that begin with prefix and
	// are longer. The prefix is itself a key, so it has at least one byte. A scan ends with
	// the first error that it yields. What the closure writes while it scans may or may
	// not be seen by that scan.
	//
	// What is scanned in an Update is guarded by the record at prefix itself: whoever
	// adds or removes a key below it also puts that record, in the same Update, or
	// deletes it, which is allowed only when nothing is left below it. So a driver that
	// compares versions need compare only those of what was read, which includes what a
	// scan has yielded, and of the guard of what was scanned. A View needs no guard.
	Scan(prefix string) iter.Seq2[Item, error]
}

// Writer reads and writes inside an Update. It reads what it has written.
type Writer interface {
	Reader
	// Put puts value, of at least one byte, under key. Neither may be changed afterwards.
	Put(key string, value []byte) error
	// Delete removes key; one that does not exist is no error.
	Delete(key string) error
}

// Item is a key with its value.
type Item struct {
	Key   string
	Value []byte
}

// Change says what a key's value is now; nil if it has none. The zero Change says
// that any key may have changed. The value must not be changed.
type Change struct {
	Key   string
	Value []byte
}

// IsZero reports whether c stands for changes that are not known one by one.
func (c Change) IsZero() bool { return c.Key == "" }
