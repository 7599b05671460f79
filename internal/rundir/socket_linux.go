package rundir

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// closeToOthers gives a socket its mode before it has a name: nobody else can connect in the
// moment before its file's mode is set.
func closeToOthers(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) }) // the file's mode is what is relied upon
}

// socketPath returns a name of the socket in an open directory that is short enough for
// every system call, however long the directory's own path is. The name is valid while
// the directory is open, even when it has been renamed.
func socketPath(dir *os.File) (path string, done func(), err error) {
	short := fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
	if _, err := os.Stat(short); err == nil {
		return filepath.Join(short, socketName), func() {}, nil
	}
	return linkedPath(dir.Name()) // without /proc
}
