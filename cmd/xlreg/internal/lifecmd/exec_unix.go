//go:build unix

package lifecmd

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/run/proc"
)

// become replaces this process by a command. It returns only if that fails.
func (p *place) become(_ context.Context, path string, args, env []string) error {
	err := syscall.Exec(path, args, proc.MergeEnv(os.Environ(), env...)) //nolint:gosec // starting what it is told to is what it is for
	return &run.ExitError{Name: args[0], Code: 126, Err: fmt.Errorf("cannot be run: %w", err)}
}
