package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xlattice/xlreg/internal/store/bolt"
)

// Stopped is the data of a registry that is not running, and keeps it from starting.
type Stopped struct {
	*bolt.Store
	release func() error
}

// OpenStopped opens the data in a registry's directory, or a data file that lies elsewhere.
// If there are none they are made, unless they must exist.
func OpenStopped(path string, mustExist bool) (*Stopped, error) {
	file, release := path, func() error { return nil }
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file = filepath.Join(path, StoreFile)
		release, err = lock(path)
		if errors.Is(err, ErrRunning) {
			return nil, fmt.Errorf("%s: %w: stop it", path, err)
		}
		if err != nil {
			return nil, err
		}
	}
	st, err := openStopped(file, mustExist)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &Stopped{st, release}, nil
}

func openStopped(file string, mustExist bool) (*bolt.Store, error) {
	if err := Private(file); err != nil {
		return nil, err
	}
	st, err := bolt.Open(file, bolt.Options{MustExist: mustExist})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there", file)
	}
	if err != nil {
		return nil, Advise(file, err)
	}
	return st, nil
}

// Close implements store.Store.
func (s *Stopped) Close() error { return errors.Join(s.Store.Close(), s.release()) }
