package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/xlattice/xlreg/internal/atomicfile"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt/boltfile"
	"github.com/xlattice/xlreg/internal/store/group"
)

// driver is the group.Driver of an open file.
type driver struct {
	path string
	file os.FileInfo // of the file that was opened
	db   *bbolt.DB
	log  *slog.Logger
	feed *store.Feed

	failing bool        // the last commit failed; owned by the committer
	unsure  atomic.Bool // what the file shows may not be what is on disk
	stuck   atomic.Bool // bbolt holds a lock that it will not give back

	failOnce sync.Once
	failed   chan struct{} // closed once nothing can be relied on any more
	why      error         // set before failed is closed
}

var _ group.Driver = (*driver)(nil)

func openDriver(path string, o Options) (*driver, error) {
	d := &driver{path: path, log: o.Logger, feed: store.NewFeed(), failed: make(chan struct{})}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if err := d.prepare(o.MustExist); err != nil {
		return nil, err
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	var err error
	d.db, err = openDB(path, func(name string, flag int, mode os.FileMode) (*os.File, error) {
		return d.openFile(name, flag, mode, timeout)
	})
	if err != nil {
		return nil, err
	}
	if err := checkSchema(d.db); err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	return d, nil
}

// prepare sees that there is a file to open.
func (d *driver) prepare(mustExist bool) error {
	if err := atomicfile.RemoveLeftovers(d.path); err != nil {
		return err
	}
	err := regular(d.path)
	if mustExist || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return create(d.path)
}

// create makes an empty data file beside its place and moves it there when it is
// whole: a first start that runs out of disk leaves nothing that a later one would
// take for a data file. The folder is synced because a file whose name is lost is
// lost with all that was promised to be in it.
func create(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), atomicfile.Pattern(filepath.Base(path)))
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone if all went well
	if err := f.Close(); err != nil {
		return err
	}
	db, err := openDB(f.Name(), os.OpenFile)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(makeBuckets), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// openDB leaves the list of free pages in the file, so that opening reads no more
// than that list however large the file is. Each commit writes it in order, for
// which bbolt would have to sort it if it were a map: with 76,000 free pages that
// takes ten times as long as the rest of a commit.
func openDB(path string, openFile func(string, int, os.FileMode) (*os.File, error)) (db *bbolt.DB, err error) {
	guardErr := guarded(func() {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      defaultTimeout,
			FreelistType: bbolt.FreelistArrayType,
			NoStatistics: true,
			OpenFile:     openFile,
		})
	})
	if guardErr != nil {
		return nil, guardErr
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, store.ErrInUse
	}
	return db, err
}

// openFile opens the file, locks it and looks at it, before bbolt sees any of it.
func (d *driver) openFile(path string, flag int, mode os.FileMode, timeout time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if err := d.admit(f, timeout); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *driver) admit(f *os.File, timeout time.Duration) error {
	if err := lock(f, timeout); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	d.file = info
	head, err := boltfile.ReadHead(f, info.Size())
	if err != nil || head.Size() > verifiedAtOnce {
		return err
	}
	return verify(func(visit visitor) error { return head.Verify(f, visit) })
}

// lock takes the lock that bbolt will take, on the same open file, so that nobody
// writes to the file while it is looked at.
func lock(f *os.File, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		err := filelock.Take(f)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil // bbolt's own lock has to do
		}
		if !errors.Is(err, filelock.ErrLocked) {
			return err
		}
		pause := time.NewTimer(timeout / 10)
		select {
		case <-ctx.Done():
			pause.Stop()
			return store.ErrInUse
		case <-pause.C:
		}
	}
}

// View implements group.Driver.
func (d *driver) View(_ context.Context, f func(store.Reader) error) error {
	tx, err := d.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	r, err := d.newReader(tx)
	if err != nil {
		return err
	}
	return f(r)
}

// Watch implements group.Driver.
func (d *driver) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return d.feed.Watch(ctx, prefix, f)
}

// Close implements group.Driver. A file in which bbolt came to grief half way
// through a change cannot be closed, since bbolt would wait for itself; it ends with
// the process.
func (d *driver) Close() error {
	d.feed.Close()
	if d.stuck.Load() {
		return fmt.Errorf("close data file: %w", d.failure())
	}
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
	r, err := d.newReader(tx)
	if err != nil {
		return nil, errors.Join(err, d.rollback(tx))
	}
	return &transaction{r}, nil
}

func (d *driver) begin(writable bool) (tx *bbolt.Tx, err error) {
	if err := d.failure(); err != nil {
		return nil, err
	}
	if d.unsure.Load() {
		return nil, errUnsure
	}
	if guardErr := guarded(func() { tx, err = d.db.Begin(writable) }); guardErr != nil {
		d.stuck.Store(true)
		return nil, d.fail(guardErr)
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return nil, store.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	return tx, nil
}

// rollback ends a change of which nothing is kept.
func (d *driver) rollback(tx *bbolt.Tx) (err error) {
	if guardErr := guarded(func() { err = tx.Rollback() }); guardErr != nil {
		d.stuck.Store(true)
		return d.fail(guardErr)
	}
	return err
}

// inPlace sees that the file at the path is the one that is open, and as long.
func (d *driver) inPlace() error {
	now, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is gone", ErrMoved, d.path)
	case err != nil:
		return nil //nolint:nilerr // whether it is there cannot be told, so it is not for this to judge
	case !os.SameFile(now, d.file):
		return fmt.Errorf("%w: %s is another file", ErrMoved, d.path)
	case now.Size() < d.file.Size():
		return fmt.Errorf("%w: it was cut short while it was open", ErrDamaged)
	}
	return nil
}

// fail notes that nothing can be relied on any more, and returns why.
func (d *driver) fail(why error) error {
	d.failOnce.Do(func() {
		d.why = why
		close(d.failed)
		d.log.Error("data can be neither read nor written any more", "err", why)
	})
	return d.why
}

// failure returns what was given to fail first; nil if nothing was.
func (d *driver) failure() error {
	select {
	case <-d.failed:
		return d.why
	default:
		return nil
	}
}

func syncDir(path string) error {
	if err := atomicfile.SyncDir(path); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
