//go:build !unix

package lifecmd

import (
	"context"

	"github.com/xlattice/xlreg/internal/run"
)

// become is for Unix only: no run is started here.
func (p *place) become(context.Context, string, []string, []string) error { return run.ErrUnixOnly }
