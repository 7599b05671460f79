package host

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// checkWhole refuses a store that has a part of a registry: one that was being copied, or
// whose revisions were being raised, when that came to an end.
func checkWhole(s store.Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), announceTime)
	defer cancel()
	var work records.Work
	err := s.View(ctx, func(tx store.Reader) (err error) {
		work, err = records.NewReader(tx).Unfinished()
		return err
	})
	if records.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the store: %w", err)
	}
	return fmt.Errorf("%w: a 'store %s' was begun there and not finished, see 'xlreg store %[2]s --help'", records.ErrUnfinished, work.Name)
}
