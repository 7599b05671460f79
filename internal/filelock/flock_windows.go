package filelock

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// flock locks every byte that the file could have. Elsewhere a lock keeps nobody from
// reading the file; here it would, so it covers bytes far beyond any content instead.
func flock(f *os.File) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	at := windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return err
}
