package notify

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// monotonicUsec returns the time of CLOCK_MONOTONIC in microseconds.
func monotonicUsec() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return now.Nano() / int64(time.Microsecond), nil
}
