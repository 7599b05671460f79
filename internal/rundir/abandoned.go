package rundir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/xlattice/xlreg/internal/filelock"
)

// RemoveAbandoned removes the temporary directory of a run that was killed together with all
// that could have removed it, and reports whether it did. It leaves alone whatever is not
// certain to be one: what belongs to another user, what others may enter, what somebody holds,
// and what processes may still use. busy is called with the mark of the run and says whether
// such processes are left. If ctx ends first, the rest stays for the next call.
func RemoveAbandoned(ctx context.Context, dir string, busy func(mark string) bool) (removed bool, err error) {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode() != fs.ModeDir|0o700 || !isMine(info) {
		return false, err
	}
	root, err := os.OpenRoot(dir) // nothing in it leads out of it
	if err != nil {
		return false, err
	}
	defer root.Close()
	lock, err := lockAbandoned(root)
	if err != nil {
		if errors.Is(err, filelock.ErrLocked) || isMissing(err) {
			err = nil // a run has it, or has not begun or ended this very moment
		}
		return false, err
	}
	defer lock.Close()
	if !isStill(dir, info, root, lock) || mayBeUsed(dir, busy) {
		return false, nil
	}
	if err := empty(ctx, root, "."); err != nil {
		return false, err
	}
	// The lock goes last: until then the next one to come finds what it needs to go on.
	if err := root.Remove(lockName); err != nil {
		return false, err
	}
	return true, os.Remove(dir)
}

// lockAbandoned takes the lock that is in a directory. It makes none: a run that is about to
// begin is not to be kept from its own.
func lockAbandoned(root *os.Root) (*os.File, error) {
	info, err := root.Lstat(lockName)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	f, err := root.OpenFile(lockName, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := filelock.Take(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isStill reports whether what was looked at, opened and locked is one and the same directory.
func isStill(dir string, seen fs.FileInfo, root *os.Root, lock *os.File) bool {
	now, errNow := os.Lstat(dir)
	opened, errOpened := root.Stat(".")
	held, errHeld := lock.Stat()
	there, errThere := root.Lstat(lockName)
	if errors.Join(errNow, errOpened, errHeld, errThere) != nil {
		return false
	}
	return os.SameFile(seen, now) && os.SameFile(now, opened) && os.SameFile(held, there)
}

// mayBeUsed reports whether processes of the run may be left. If it does not say which they
// are, most likely the machine has lost its power before that was on disk, and they are gone.
func mayBeUsed(dir string, busy func(mark string) bool) bool {
	var h holder
	if err := readJSON(pathIn(dir, holderName), &h); err != nil {
		return !errors.Is(err, ErrDamaged) && !isMissing(err)
	}
	return h.isOutOfSight() || h.Ended.IsZero() && h.isHere() && h.Mark != "" && busy(h.Mark)
}

// isOutOfSight reports whether the process was one of another machine, or of another container
// of this one: what it has started cannot be seen from here.
func (h *holder) isOutOfSight() bool {
	here := thisMachine()
	return h.Machine.Host != here.Host || h.Machine.Boot == here.Boot && h.Machine.Space != here.Space
}

// empty removes all that is in a directory of root, but not the lock.
func empty(ctx context.Context, root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if name == lockName {
			continue
		}
		if e.IsDir() {
			if err := empty(ctx, root, name); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
