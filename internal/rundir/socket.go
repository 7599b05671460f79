package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxSocketPath is how long the name of a socket may be on every system.
const maxSocketPath = 103

// errPathTooLong says that a socket cannot be reached.
var errPathTooLong = errors.New("the path is too long for a socket: choose a shorter one")

// linkedPath returns the path of a directory's socket, through a link to the directory if
// it is too long. done removes the link.
func linkedPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	between, err := os.MkdirTemp("", "xlreg-")
	if err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(between) }
	link := filepath.Join(between, "d")
	path = filepath.Join(link, socketName)
	if len(path) > maxSocketPath {
		done()
		return "", nil, fmt.Errorf("%s: %w", dir, errPathTooLong)
	}
	if err := os.Symlink(dir, link); err != nil {
		done()
		return "", nil, err
	}
	return path, done, nil
}
