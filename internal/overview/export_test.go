package overview

import (
	"context"

	"github.com/xlattice/xlreg/internal/store"
)

// The bounds, for tests that meet them.
const (
	RingLen  = ringLen
	BatchLen = batchLen
	MaxLooks = maxLooks
)

// Changed takes in a change, which only the watch does otherwise.
func (o *Overview) Changed(ctx context.Context, c store.Change) error { return o.changed(ctx, c) }
