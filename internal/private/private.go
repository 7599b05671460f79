// Package private tells whether files and directories are under the control of the
// user who runs the program, or whether somebody else could have put them there or
// could replace them.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// groupOrOthers are the permissions to write that only the owner should have.
const groupOrOthers = 0o022

// Dir makes sure that nobody else can change what is in a directory: it belongs to
// the user or to root, and only its owner may write to it.
func Dir(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", path)
	}
	if err := Owner(path, info); err != nil {
		return err
	}
	switch {
	case Perm(info)&groupOrOthers == 0:
		return nil
	case info.Mode()&os.ModeSticky != 0: // as /tmp, which is meant for everybody
		return fmt.Errorf("others may write to %s: use a directory of your own, which can be in it", path)
	}
	return fmt.Errorf("others may write to %s: run chmod 700 %s", path, path)
}

// Read returns what is in a file that holds a secret, at most so many bytes of it. It
// refuses a file that others may read.
func Read(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := Owner(path, info); err != nil {
		return nil, err
	}
	if Perm(info)&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read it: run chmod 600 %s", path, path)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// Owner makes sure that a file, or a directory, belongs to the user or to root. It
// is no exception that the user is root: a file that root did not make is somebody
// else's.
func Owner(path string, info fs.FileInfo) error {
	uid, known := ownerOf(info)
	if !known {
		return nil
	}
	return checkOwner(path, uid, os.Geteuid())
}

func checkOwner(path string, uid, self int) error {
	if uid == 0 || uid == self {
		return nil
	}
	return fmt.Errorf("%s belongs to another user (uid %d), who can change it: run this as that user, as with sudo -u %s, "+
		"or use one of your own, or run chown %d %s if you trust it and it is not in use", path, uid, nameOf(uid), self, path)
}

// nameOf returns a user in the form that sudo -u takes.
func nameOf(uid int) string {
	known, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("'#%d'", uid)
	}
	return known.Username
}

// Place makes sure that nobody else can replace a directory that is, or will be, at
// path: others must not be able to write to the directory that it is in, unless that
// one is sticky, as /tmp is.
func Place(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for {
		parent := filepath.Dir(path)
		info, err := os.Stat(parent)
		if errors.Is(err, fs.ErrNotExist) && parent != path {
			path = parent
			continue
		}
		if err != nil {
			return err
		}
		if openToOthers(info) {
			return fmt.Errorf("others may write to %s and replace what is in it: choose another place, or run chmod go-w %s", parent, parent)
		}
		return nil
	}
}

// openToOthers reports whether others may rename what is in a directory. The user's
// own group is not among them: where each user has one, directories are usually open
// to it.
func openToOthers(info fs.FileInfo) bool {
	perm := Perm(info)
	if info.Mode()&fs.ModeSticky != 0 {
		return false
	}
	return perm&0o002 != 0 || perm&0o020 != 0 && !ownGroup(info)
}
