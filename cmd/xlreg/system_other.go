//go:build !unix

package main

import "os"

// Elsewhere there is no group of processes that a terminal belongs to, and no
// limit of open files to ask for.

func inForeground(*os.File) bool { return true }

func openFileLimit() (int, bool) { return 0, false }
