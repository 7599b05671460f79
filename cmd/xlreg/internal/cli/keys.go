package cli

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/testkeys"
)

// TakeTestKeys returns the keys of n nodes, and says if they could not be kept for
// the next time.
func (c *Console) TakeTestKeys(ctx context.Context, n int) ([]*identity.Keys, error) {
	line := NewStatusLine(c)
	defer line.End()
	line.Show(fmt.Sprintf("getting test keys for %d nodes", n))
	keys, err := Interruptible(ctx, func() ([]*identity.Keys, error) { return testkeys.Keys(n) })
	if err != nil {
		return nil, err
	}
	line.End()
	if err := testkeys.Shared().Uncached(); err != nil {
		fmt.Fprintf(c.Err, "test keys are not kept for the next time: %v\n", err)
	}
	return keys, nil
}
