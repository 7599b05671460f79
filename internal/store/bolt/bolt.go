// Package bolt is the driver that keeps everything in one file, on bbolt. An
// Update is on disk when it returns. Updates that come while another is being
// written share the next commit, so that waiting for the disk does not make a
// queue of them; see commits.go.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/xlattice/xlreg/internal/store"
)

// Options are what may be chosen about a Store. The zero value will do.
type Options struct {
	// Logger is told when the file can no longer be written, and when it can
	// again; nil for silence.
	Logger *slog.Logger
	// Timeout is how long to wait for another process to let go of the file.
	// Zero means 100 ms.
	Timeout time.Duration
}

const defaultTimeout = 100 * time.Millisecond

// Store is a store.Store in a file.
type Store struct {
	db   *bbolt.DB
	log  *slog.Logger
	feed *store.Feed

	turns   chan *batch   // the committer offers a turn here, who updates takes it
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed by the committer at its end

	unsure atomic.Bool  // what the file shows may not be what is on disk
	close  func() error // closes once, and says the same each time
}

var _ store.Store = (*Store)(nil)

// Open opens the file at path, which is made with mode 0600 if it does not
// exist. The folder must. It returns store.ErrInUse if another process has the
// file open, and store.ErrNewerSchema if a later program wrote it.
func Open(path string, o Options) (*Store, error) {
	db, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:      db,
		log:     o.Logger,
		feed:    store.NewFeed(),
		turns:   make(chan *batch),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.close = sync.OnceValue(s.shutdown)
	c := &committer{store: s}
	go c.run() // shutdown waits for it
	return s, nil
}

// openFile leaves the list of free pages in the file, so that opening reads no
// more than that list however large the file is. Each commit writes it in order,
// for which bbolt would have to sort it if it were a map: with 76,000 free pages
// that takes ten times as long as the rest of a commit.
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

// prepare makes a new file ready. The folder is synced because a file whose
// name is lost is lost with all that was promised to be in it.
func prepare(db *bbolt.DB, path string) error {
	if err := checkSchema(db); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, f func(store.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	return f(records{tx})
}

// Update implements store.Store. f runs in the caller's goroutine, so a panic
// in it takes its natural course.
func (s *Store) Update(ctx context.Context, f func(store.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return store.ErrClosed
	case b := <-s.turns:
		return b.update(ctx, s, f)
	}
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, f func(store.Change)) error {
	return s.feed.Watch(ctx, f)
}

// Close implements store.Store. A commit under way is finished; Updates that
// wait for their turn return store.ErrClosed.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	close(s.closing)
	<-s.stopped
	s.feed.Close()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close data file: %w", err)
	}
	return nil
}

func (s *Store) begin(writable bool) (*bbolt.Tx, error) {
	if s.unsure.Load() {
		return nil, errUnsure
	}
	tx, err := s.db.Begin(writable)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return nil, store.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	return tx, nil
}
