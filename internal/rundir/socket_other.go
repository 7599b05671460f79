//go:build !linux

package rundir

import "os"

// socketPath returns a name of the socket in a directory that is short enough for every
// system call. It is valid until done is called.
func socketPath(dir *os.File) (path string, done func(), err error) { return linkedPath(dir.Name()) }
