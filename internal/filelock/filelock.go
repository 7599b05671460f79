// Package filelock keeps two processes, or two users within one, from writing to
// the same files. The lock goes with the process that holds it, however it ends.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// ErrLocked says that someone else holds the lock.
var ErrLocked = errors.New("locked by another process")

// File is a lock that is held.
type File struct {
	close func() error
}

// Lock takes the lock that the file path stands for, and makes the file if it is
// not there. It does not wait: a lock that is taken is ErrLocked.
func Lock(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := Take(f); err != nil {
		f.Close()
		return nil, err
	}
	return &File{close: sync.OnceValue(f.Close)}, nil
}

// Create makes a lock in a directory that nobody else writes to. From the moment that the file
// path is there it is locked, so whoever finds it unlocked knows that its maker is gone.
func Create(path string) (*File, error) {
	early := path + ".new"
	f, err := os.OpenFile(early, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = Take(f)
	if err == nil {
		err = os.Rename(early, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(early))
	}
	return &File{close: sync.OnceValue(f.Close)}, nil
}

// Take takes the lock on an open file, which goes when the file is closed. It does
// not wait: a lock that is taken is ErrLocked.
func Take(f *os.File) error {
	if err := flock(f); err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// Close gives the lock up. It may be called again. The file stays, since to remove
// it would let two others hold what they take for the same lock.
func (f *File) Close() error { return f.close() }
