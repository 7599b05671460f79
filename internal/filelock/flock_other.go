//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelock

import (
	"errors"
	"os"
)

// flock refuses: to go on without a lock would be worse than to stop.
func flock(*os.File) error { return errors.ErrUnsupported }
