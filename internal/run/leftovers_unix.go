//go:build unix

package run

import (
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
	"github.com/xlattice/xlreg/internal/run/shim"
)

// Leftovers returns the processes with a mark, whether a shim looks after them or not.
func Leftovers(mark string) []int { return proc.Leftovers(mark) }

// EndLeftovers ends all processes with a mark whose starter was killed. Those that still have
// a shim have some time to end as it tells them to.
func EndLeftovers(mark string, grace time.Duration) error {
	return proc.EndLeftovers(mark, time.Now().Add(grace+shim.Margin))
}

// EndOrphans ends the processes with a mark whose shim is gone, and reports whether there are
// others, which still have one.
func EndOrphans(mark string) (others bool) {
	proc.Sweep(mark, nil)
	return len(proc.Leftovers(mark)) > 0
}
