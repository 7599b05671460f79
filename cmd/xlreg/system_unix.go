//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground reports whether the program has the terminal to itself, and was
// not put aside with '&'.
func inForeground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// openFileLimit returns how many files the program may have open.
func openFileLimit() (int, bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	const plenty = 1 << 30
	return int(min(uint64(limit.Cur), plenty)), true //nolint:unconvert // signed on some systems
}
