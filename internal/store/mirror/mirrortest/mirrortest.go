// Package mirrortest is a database in memory for tests of what stands on package
// mirror. Several servers connect to it, and a test decides for each when requests,
// answers and news arrive, and what gets lost.
package mirrortest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// ErrCut is what a server is told whose Follow a test ends.
var ErrCut = errors.New("the feed was cut")

// Database is what the servers share.
type Database struct {
	mu       sync.Mutex
	values   btree.Map[string, mirror.Record] // guarded by mu, like all that follows
	revision int64
	feeds    map[*feed]struct{}
}

// feed is the news that waits for one Follow.
type feed struct {
	wake  chan struct{} // holds one token
	queue []mirror.News // guarded by the Database's mu
	cut   bool          // likewise
}

// New returns an empty Database.
func New() *Database { return &Database{revision: 1, feeds: make(map[*feed]struct{})} }

// Revision returns the present revision.
func (d *Database) Revision() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revision
}

// Rollback sets the revision back, as restoring an older state does.
func (d *Database) Rollback(revision int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revision = revision
}

// Faults are where a test holds things up, or loses them: a function that returns an
// error makes it the outcome. Each may be nil.
type Faults struct {
	Request func(ctx context.Context, t *mirror.Txn) error                   // before the database sees it
	Answer  func(ctx context.Context, t *mirror.Txn, a *mirror.Answer) error // before the server sees it
	News    func(ctx context.Context, n *mirror.News) error                  // likewise
}

// Server is one server's connection.
type Server struct {
	db     *Database
	faults Faults

	mu     sync.Mutex
	feed   *feed // of the Follow that runs; guarded by mu
	closed chan struct{}
	close  func()
}

var _ mirror.Database = (*Server)(nil)

// Connect returns a connection for one more server.
func (d *Database) Connect(f Faults) *Server {
	s := &Server{db: d, faults: f, closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	return s
}

// Cut ends the Follow that runs, with ErrCut.
func (s *Server) Cut() {
	s.mu.Lock()
	f := s.feed
	s.mu.Unlock()
	if f == nil {
		return
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	f.cut = true
	f.ring()
}

func (f *feed) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Commit implements mirror.Database. An error of Faults.Answer after changes that were
// made is up to the test to wrap as store.ErrUnknown.
func (s *Server) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	if err := errors.Join(ctx.Err(), call(ctx, s.faults.Request, &t)); err != nil {
		return mirror.Answer{}, err
	}
	select {
	case <-s.closed:
		return mirror.Answer{}, store.ErrClosed
	default:
	}
	a := s.db.commit(&t)
	if s.faults.Answer != nil {
		if err := s.faults.Answer(ctx, &t, &a); err != nil {
			return mirror.Answer{}, err
		}
	}
	return a, nil
}

func call[T any](ctx context.Context, f func(context.Context, T) error, v T) error {
	if f == nil {
		return nil
	}
	return f(ctx, v)
}

// commit compares as loosely as a database may: with changes no count, and no guard
// that is not among the keys.
func (d *Database) commit(t *mirror.Txn) mirror.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.holds(t) {
		return d.all(t)
	}
	if len(t.Changes) == 0 {
		return mirror.Answer{Held: true, Revision: d.revision}
	}
	n := mirror.News{Revision: d.revision + 1}
	for _, c := range t.Changes {
		if e, ok := d.change(c, n.Revision); ok {
			n.Events = append(n.Events, e)
		}
	}
	if len(n.Events) == 0 {
		return mirror.Answer{Held: true}
	}
	d.revision = n.Revision
	for f := range d.feeds {
		f.queue = append(f.queue, n)
		f.ring()
	}
	return mirror.Answer{Held: true, Revision: d.revision}
}

func (d *Database) change(c store.Change, revision int64) (mirror.Event, bool) {
	r := mirror.Record{Key: c.Key, Value: c.Value, Version: revision}
	if c.Value == nil {
		_, existed := d.values.Delete(c.Key)
		return mirror.Event{Record: r}, existed
	}
	_, existed := d.values.Set(c.Key, r)
	return mirror.Event{Record: r, Created: !existed}, true
}

func (d *Database) holds(t *mirror.Txn) bool {
	for _, k := range t.Keys {
		if r, _ := d.values.Get(k.Key); r.Version != k.Version {
			return false
		}
	}
	for _, n := range t.Ranges {
		found := d.below(n.Prefix)
		if len(t.Changes) == 0 && len(found) != n.Count {
			return false
		}
		if slices.ContainsFunc(found, func(r mirror.Record) bool { return r.Version > n.Revision }) {
			return false
		}
	}
	return true
}

func (d *Database) below(prefix string) []mirror.Record {
	var found []mirror.Record
	d.values.Ascend(prefix, func(key string, r mirror.Record) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if len(key) > len(prefix) {
			found = append(found, r)
		}
		return true
	})
	return found
}

func (d *Database) all(t *mirror.Txn) mirror.Answer {
	a := mirror.Answer{Revision: d.revision, Ranges: make([][]mirror.Record, len(t.Ranges))}
	for _, k := range t.Keys {
		if r, ok := d.values.Get(k.Key); ok {
			a.Keys = append(a.Keys, r)
		}
	}
	for i, n := range t.Ranges {
		a.Ranges[i] = d.below(n.Prefix)
	}
	return a
}

// Follow implements mirror.Database.
func (s *Server) Follow(ctx context.Context, f func(mirror.News)) error {
	own := &feed{wake: make(chan struct{}, 1)}
	first := s.db.subscribe(own)
	defer s.db.unsubscribe(own)
	s.mu.Lock()
	s.feed = own
	s.mu.Unlock()
	heartbeat := time.NewTicker(mirror.Heartbeat / 2)
	defer heartbeat.Stop()
	for next := []mirror.News{first}; ; {
		for i := range next {
			if err := call(ctx, s.faults.News, &next[i]); err != nil {
				return err
			}
			f(next[i])
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.closed:
			return store.ErrClosed
		case <-heartbeat.C:
		case <-own.wake:
		}
		var cut bool
		if next, cut = s.db.take(own); cut {
			return ErrCut
		}
		if len(next) == 0 {
			next = []mirror.News{{}} // a sign of life
		}
	}
}

func (d *Database) subscribe(f *feed) mirror.News {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.feeds[f] = struct{}{}
	return mirror.News{Revision: d.revision}
}

func (d *Database) unsubscribe(f *feed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.feeds, f)
}

func (d *Database) take(f *feed) ([]mirror.News, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := f.queue
	f.queue = nil
	return next, f.cut
}

// Announce implements mirror.Database.
func (s *Server) Announce(ctx context.Context, key string, value []byte) error {
	s.db.commit(&mirror.Txn{Changes: []store.Change{{Key: key, Value: value}}})
	select {
	case <-ctx.Done():
	case <-s.closed:
	}
	s.db.commit(&mirror.Txn{Changes: []store.Change{{Key: key}}})
	return nil
}

// Close implements mirror.Database.
func (s *Server) Close() error {
	s.close()
	return nil
}
