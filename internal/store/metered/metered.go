// Package metered tells how the transactions of a store fare, whatever its driver.
package metered

import (
	"context"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// Transaction is how one View or Update went.
type Transaction struct {
	Update  bool // else it was a View
	Took    time.Duration
	Runs    int   // of its closure: each one after the first had met a conflict
	Err     error // as the caller got it
	Refused bool  // Err is the closure's own, and the store has done its part
}

// New returns a store that calls observe after each transaction of s, from the goroutine
// that ran it.
func New(s store.Store, observe func(Transaction)) store.Store {
	return &metered{s, observe}
}

type metered struct {
	store.Store

	observe func(Transaction)
}

// View implements store.Store.
func (m *metered) View(ctx context.Context, f func(store.Reader) error) error {
	tx, began := Transaction{}, time.Now()
	var own error
	tx.Err = m.Store.View(ctx, func(r store.Reader) error {
		tx.Runs++
		own = f(r)
		return own
	})
	m.tell(&tx, began, own)
	return tx.Err
}

// Update implements store.Store. One that panics is not observed.
func (m *metered) Update(ctx context.Context, f func(store.Writer) error) error {
	tx, began := Transaction{Update: true}, time.Now()
	var own error
	tx.Err = m.Store.Update(ctx, func(w store.Writer) error {
		tx.Runs++
		own = f(w)
		return own
	})
	m.tell(&tx, began, own)
	return tx.Err
}

func (m *metered) tell(tx *Transaction, began time.Time, own error) {
	tx.Took = time.Since(began)
	tx.Refused = own != nil && tx.Err == own //nolint:errorlint // as it is: a store returns a closure's error so
	m.observe(*tx)
}
