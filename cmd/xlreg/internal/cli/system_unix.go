//go:build unix

package cli

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

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

// hasKeys is whether single keys can be read from a terminal here.
const hasKeys = true

// waitForInput reports whether there is something to read, or the end of it, within a time.
func waitForInput(f *os.File, wait time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(wait.Milliseconds()))
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}

// Resized returns a channel that is told when the terminal has got another size, until
// stop is called.
func Resized() (resized <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	return signals, func() { signal.Stop(signals) }
}
