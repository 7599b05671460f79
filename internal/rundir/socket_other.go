//go:build !linux

package rundir

import (
	"os"
	"syscall"
)

// closeToOthers does nothing: the mode of a socket's file is set once there is one.
func closeToOthers(string, string, syscall.RawConn) error { return nil }

// socketPath returns a name of the socket in a directory that is short enough for every
// system call. It is valid until done is called.
func socketPath(dir *os.File) (path string, done func(), err error) { return linkedPath(dir.Name()) }
