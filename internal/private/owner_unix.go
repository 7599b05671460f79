//go:build unix

package private

import (
	"io/fs"
	"os"
	"syscall"
)

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// Perm returns what others may do with a file.
func Perm(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() }

func ownGroup(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Gid) == os.Getegid()
}
