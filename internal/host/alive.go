package host

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// Connected reports whether the store can be reached, as far as is known now.
func (h *Host) Connected() bool {
	if h.shared == nil {
		return true
	}
	is, _ := h.shared.Connected()
	return is
}

// Alive returns an error if this process would do better after a new start: connections
// are not accepted where they should be, or the store does not answer. It finds out within
// ctx, and does not return at all if the store hangs.
//
// That a database which others share cannot be reached is no fault of this process, and
// the next one could not reach it either; it is enough that its driver says so.
func (h *Host) Alive(ctx context.Context) error {
	if err := h.server.Alive(ctx); err != nil {
		return err
	}
	err := h.store.View(ctx, func(tx store.Reader) error {
		_, err := tx.Get(records.Schema)
		return err
	})
	if err != nil && h.shared == nil && !records.IsNotFound(err) {
		return fmt.Errorf("read the store: %w", err)
	}
	return nil
}
