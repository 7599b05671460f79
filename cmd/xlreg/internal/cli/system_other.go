//go:build !unix

package cli

import "os"

// Elsewhere there is no group of processes that a terminal belongs to, and no
// limit of open files to ask for.

func inForeground(*os.File) bool { return true }

// OpenFileLimit returns how many files the program may have open, if that is limited.
func OpenFileLimit() (int, bool) { return 0, false }
