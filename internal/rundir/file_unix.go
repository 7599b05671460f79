//go:build unix

package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// fileID tells a file from all others on this machine; empty if there is none.
func fileID(info fs.FileInfo) string {
	if info == nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// lives reports whether there is a process of that ID that has not ended.
func lives(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !isZombie(pid)
}
