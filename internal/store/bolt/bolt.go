// Package bolt is the driver that keeps everything in one file, on bbolt. An Update
// is on disk when it returns; those that come while another is being written share
// the next commit (package group).
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// Options are what may be chosen about a store. The zero value will do.
type Options struct {
	// Logger is told when the file can no longer be written, and when it can again;
	// nil for silence.
	Logger *slog.Logger
	// Timeout is how long to wait for another process to let go of the file. Zero
	// means 100 ms.
	Timeout time.Duration
}

const defaultTimeout = 100 * time.Millisecond

// Open opens the file at path, which is made with mode 0600 if it does not exist.
// The folder must. It returns store.ErrInUse if another process has the file open,
// and store.ErrNewerSchema or store.ErrOlderSchema if another version of this
// program wrote it, in a form that this one does not read.
func Open(path string, o Options) (*group.Store, error) {
	d, err := openDriver(path, o)
	if err != nil {
		return nil, err
	}
	return group.New(d), nil
}

// driver is the group.Driver of an open file.
type driver struct {
	db      *bbolt.DB
	log     *slog.Logger
	feed    *store.Feed
	failing bool        // the last commit failed; owned by the committer
	unsure  atomic.Bool // what the file shows may not be what is on disk
}

var _ group.Driver = (*driver)(nil)

func openDriver(path string, o Options) (*driver, error) {
	db, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	d := &driver{db: db, log: o.Logger, feed: store.NewFeed()}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

// openFile leaves the list of free pages in the file, so that opening reads no more
// than that list however large the file is. Each commit writes it in order, for
// which bbolt would have to sort it if it were a map: with 76,000 free pages that
// takes ten times as long as the rest of a commit.
func openFile(path string, o Options) (*bbolt.DB, error) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	db, err := openDB(path, &bbolt.Options{
		Timeout:      timeout,
		FreelistType: bbolt.FreelistArrayType,
		NoStatistics: true,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open %q: %w", path, store.ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	if err := prepare(db, path); err != nil {
		return nil, fmt.Errorf("open %q: %w", path, errors.Join(err, db.Close()))
	}
	return db, nil
}

// errDamaged says that the file is not as bbolt left it.
var errDamaged = errors.New("file is damaged")

// openDB is bbolt.Open, which panics over some damage.
func openDB(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			db, err = nil, fmt.Errorf("%w: %v", errDamaged, fault)
		}
	}()
	return bbolt.Open(path, 0o600, o)
}

// prepare makes a new file ready. The folder is synced because a file whose name is
// lost is lost with all that was promised to be in it.
func prepare(db *bbolt.DB, path string) error {
	if err := checkSchema(db); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// View implements group.Driver.
func (d *driver) View(_ context.Context, f func(store.Reader) error) error {
	tx, err := d.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	return f(newReader(tx))
}

// Watch implements group.Driver.
func (d *driver) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return d.feed.Watch(ctx, prefix, f)
}

// Close implements group.Driver.
func (d *driver) Close() error {
	d.feed.Close()
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close data file: %w", err)
	}
	return nil
}

// Begin implements group.Driver.
func (d *driver) Begin() (group.Tx, error) {
	tx, err := d.begin(true)
	if err != nil {
		return nil, err
	}
	return &transaction{reader: newReader(tx), driver: d}, nil
}

func (d *driver) begin(writable bool) (*bbolt.Tx, error) {
	if d.unsure.Load() {
		return nil, errUnsure
	}
	tx, err := d.db.Begin(writable)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return nil, store.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	return tx, nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
