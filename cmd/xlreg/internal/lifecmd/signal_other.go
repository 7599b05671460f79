//go:build !unix

package lifecmd

import "github.com/xlattice/xlreg/internal/run"

// parseSignal knows none: no run is started here.
func parseSignal(string) (int, error) { return 0, run.ErrUnixOnly }
