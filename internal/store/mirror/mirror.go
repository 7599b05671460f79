package mirror

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
)

// ErrUnreachable says that the database does not answer. It may do so again soon.
var ErrUnreachable = errors.New("the database is not reachable")

// What Options leave open.
const (
	defaultTimeout    = 3 * time.Second
	defaultCacheBytes = 256 << 20
)

// Options are how a Store deals with its Database.
type Options struct {
	Limits     Limits
	Timeout    time.Duration // of one transaction; 0 is 3 seconds
	CacheBytes int           // of what is kept in memory; past that it is emptied. 0 is 256 MiB
	Logger     *slog.Logger  // nil discards
}

// Counts is what a Store has asked of its Database so far.
type Counts struct {
	Writes    int64 // transactions with changes
	Conflicts int64 // those that did not hold
	Failures  int64 // those that were not answered
	Looks     int64 // comparisons without changes
	Misses    int64 // those that did not hold
}

// Store is a store.Store over a Database.
type Store struct {
	*group.Store
	driver *driver
	close  func() error
}

var _ store.Store = (*Store)(nil)

// Open returns a Store over a database, which it closes when it is closed. It does not
// wait for the database to be reachable.
func Open(db Database, o Options) *Store {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	d := &driver{
		db: db, limits: o.Limits, timeout: o.Timeout, cacheBytes: o.CacheBytes, log: o.Logger,
		feed: store.NewFeed(), looks: make(chan *look), closing: make(chan struct{}), stop: stop,
		cache: newCache(), moved: make(chan struct{}), turned: make(chan struct{}), restart: func(error) {},
	}
	d.running.Go(func() { d.followAll(ctx) })
	d.running.Go(func() { d.lookAll(ctx) })
	s := &Store{Store: group.New(d), driver: d}
	s.close = sync.OnceValue(s.shutdown)
	return s
}

// Close implements store.Store. A commit under way is finished; whoever waits for the
// database to be reachable returns store.ErrClosed.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	close(s.driver.closing)
	return s.Store.Close()
}

// Connected reports whether the database is reachable, and returns a channel that is
// closed when that may have changed.
func (s *Store) Connected() (bool, <-chan struct{}) {
	s.driver.mu.Lock()
	defer s.driver.mu.Unlock()
	return s.driver.connected, s.driver.turned
}

// Announce keeps a value under a key for as long as this server lives, until ctx ends.
func (s *Store) Announce(ctx context.Context, key string, value []byte) error {
	return s.driver.db.Announce(ctx, key, value)
}

// Counts returns what has been asked of the database so far.
func (s *Store) Counts() Counts {
	c := &s.driver.counts
	return Counts{
		Writes: c.writes.Load(), Conflicts: c.conflicts.Load(), Failures: c.failures.Load(),
		Looks: c.looks.Load(), Misses: c.misses.Load(),
	}
}

// driver is the group.Driver over a Database.
type driver struct {
	db         Database
	limits     Limits
	timeout    time.Duration
	cacheBytes int
	log        *slog.Logger
	feed       *store.Feed
	counts     counts

	looks   chan *look
	closing chan struct{} // closed when Close begins
	stop    context.CancelFunc
	running sync.WaitGroup
	losses  int // conflicts in a row; owned by the committer of package group

	mu        sync.Mutex
	cache     cache         // guarded by mu, like all that follows
	connected bool          // the feed runs
	had       bool          // it has run before
	hope      hope          // that it comes back
	committed int64         // the newest revision that this server has made
	moved     chan struct{} // closed and replaced when the feed has told something
	turned    chan struct{} // closed and replaced when connected changes
	restart   func(why error)
	solos     int // so many transactions carry one closure
}

type counts struct{ writes, conflicts, failures, looks, misses atomic.Int64 }

var _ group.Driver = (*driver)(nil)

// Watch implements group.Driver. It begins when the feed does.
func (d *driver) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	for {
		d.mu.Lock()
		connected, turned := d.connected, d.turned
		d.mu.Unlock()
		if connected {
			return d.feed.Watch(ctx, prefix, f)
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return nil
		case <-d.closing:
			return store.ErrClosed
		}
	}
}

// Close implements group.Driver.
func (d *driver) Close() error {
	d.stop()
	d.running.Wait()
	d.feed.Close()
	return d.db.Close()
}
