//go:build unix

package run

import (
	"context"
	"os"
	"sync"
	"syscall"
)

// Once runs one short command to its end. When ctx ends first, the command and all that
// it has started are stopped, and the error is that of ctx. Of the options only those
// that find the shim, and the grace, matter.
func Once(ctx context.Context, p Program, o Options) error {
	signals := make(chan os.Signal, 1)
	ended := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		select {
		case <-ctx.Done():
			signals <- syscall.SIGTERM
		case <-ended:
		}
	})
	err := All([]Program{p}, Options{ShimPath: o.ShimPath, ShimArgs: o.ShimArgs, Grace: o.Grace, Signals: signals})
	close(ended)
	passing.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
