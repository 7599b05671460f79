// Package bolt is the driver that keeps everything in one file, on bbolt. An Update
// is on disk when it returns; those that come while another is being written share
// the next commit (package group).
//
// bbolt maps the file into memory and believes what is there. So the file is looked
// through before it is opened (package boltfile), what is read later is read so that
// a fault in the mapped memory is an error and not the end of the process, and each
// commit keeps a sum over all values, which tells whether one is missing.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt/boltfile"
	"github.com/xlattice/xlreg/internal/store/group"
)

// ErrDamaged says that the file is not as this program left it.
var ErrDamaged = boltfile.ErrDamaged

// ErrMoved says that the open file is no longer the one at its path, so that all
// that is written to it would be gone at the next start.
var ErrMoved = errors.New("the open data file is no longer the one at its path")

// Options are what may be chosen about a store. The zero value will do.
type Options struct {
	// Logger is told when the file can no longer be written, and when it can again;
	// nil for silence.
	Logger *slog.Logger
	// Timeout is how long to wait for another process to let go of the file. Zero
	// means 100 ms.
	Timeout time.Duration
	// MustExist makes it an error that there is no file yet, fs.ErrNotExist.
	MustExist bool
}

const defaultTimeout = 100 * time.Millisecond

// Store is a store.Store in a file.
type Store struct {
	*group.Store
	driver *driver
}

var _ store.Store = (*Store)(nil)

// Open opens the file at path, which is made with mode 0600 if it does not exist.
// The folder must. It returns store.ErrInUse if another process has the file open,
// store.ErrNewerSchema or store.ErrOlderSchema if another version of this program
// wrote it in a form that this one does not read, and ErrDamaged, before anything is
// believed, if the file is cut short or its pages do not fit together. A file of up
// to 64 MiB is gone through as a whole; a larger one by Attend.
func Open(path string, o Options) (*Store, error) {
	d, err := openDriver(path, o)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	return &Store{group.New(d), d}, nil
}

// attendEvery is how often Attend looks whether the file is still there.
const attendEvery = time.Second

// Attend looks after the file while it is in use: it goes through a large one, which
// Open has not done, and sees that the file at the path stays the open one. It
// returns nil when ctx ends, or as soon as the store can no longer be relied on, why.
func (s *Store) Attend(ctx context.Context) error {
	if err := s.driver.verifyLarge(ctx); err != nil {
		return s.driver.fail(err)
	}
	ticker := time.NewTicker(attendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.driver.failed:
			return s.driver.failure()
		}
		if err := s.driver.inPlace(); err != nil {
			return s.driver.fail(err)
		}
	}
}
