//go:build !unix

package cli

import (
	"errors"
	"os"
	"time"
)

// Elsewhere there is no group of processes that a terminal belongs to, no limit of open
// files to ask for, and no way to wait for a key.

func inForeground(*os.File) bool { return true }

// OpenFileLimit returns how many files the program may have open, if that is limited.
func OpenFileLimit() (int, bool) { return 0, false }

const hasKeys = false

func waitForInput(*os.File, time.Duration) (bool, error) { return false, errors.ErrUnsupported }

// Resized returns a channel that nothing comes from.
func Resized() (resized <-chan os.Signal, stop func()) { return nil, func() {} }
