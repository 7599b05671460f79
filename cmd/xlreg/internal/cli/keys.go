package cli

import (
	"context"
	"fmt"

	"github.com/xlattice/xlreg/internal/testkeys"
	"github.com/xlattice/xlreg/keys"
)

// TakeTestKeys returns the keys of n nodes, and says if they could not be kept for
// the next time.
func (c *Console) TakeTestKeys(ctx context.Context, n int) ([]*keys.Set, error) {
	line := NewStatusLine(c)
	defer line.End()
	line.Show(fmt.Sprintf("getting test keys for %d nodes", n))
	sets, err := Interruptible(ctx, func() ([]*keys.Set, error) { return testkeys.Keys(n) })
	if err != nil {
		return nil, err
	}
	line.End()
	if err := testkeys.Shared().Uncached(); err != nil {
		fmt.Fprintf(c.Err, "test keys are not kept for the next time: %v\n", err)
	}
	return sets, nil
}
