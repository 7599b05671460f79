//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground reports whether the program is in the terminal's foreground, and not
// one started with '&'.
func inForeground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// OpenFileLimit returns how many files the program may have open, if that is limited.
func OpenFileLimit() (int, bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	const plenty = 1 << 30
	return int(min(uint64(limit.Cur), plenty)), true //nolint:unconvert // signed on some systems
}
