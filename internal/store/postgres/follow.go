package postgres

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// look is how long the feed waits before it looks for itself, which is its sign of life
// and finds what it was not told.
const look = mirror.Heartbeat / 2

var (
	errPurged = errors.New("what was removed meanwhile is already forgotten")
	errBack   = errors.New("the database has gone back to an earlier state")
)

// Follow implements mirror.Database. It has a connection to itself. As long as it runs it
// also removes what has expired, and forgets what was removed long ago.
func (d *DB) Follow(ctx context.Context, f func(mirror.News)) error {
	outer := ctx
	ctx, finish, err := d.calls.begin(ctx)
	if err != nil {
		return err
	}
	defer finish()
	err = d.with(ctx, func(conn *pgxpool.Conn) error { return d.follow(ctx, conn.Conn(), f) })
	switch {
	case outer.Err() != nil:
		return nil
	case d.calls.ended():
		return store.ErrClosed
	}
	return explain("follow", err)
}

func (d *DB) follow(ctx context.Context, conn *pgx.Conn, f func(mirror.News)) error {
	defer func() { // it listens, which nobody else wants it to
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	w := &follower{db: d, conn: conn, tell: f, expired: make(chan struct{}, 1)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.run(ctx) })
	g.Go(func() error { return w.tidy(ctx) })
	return g.Wait()
}

// follower is one Follow under way.
type follower struct {
	db    *DB
	conn  *pgx.Conn
	tell  func(mirror.News)
	shown int64 // the revision that was told last

	seen    atomic.Int64  // shown, for others to read
	expired chan struct{} // holds a token if something has
}

func (w *follower) run(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	for {
		if err := w.wait(ctx); err != nil {
			return err
		}
		news, err := w.ask(ctx)
		if err != nil {
			return err
		}
		w.tell(news)
	}
}

// begin listens before it looks, so that nothing is missed in between.
func (w *follower) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.db.timeout)
	defer cancel()
	if _, err := w.conn.Exec(ctx, "LISTEN "+w.db.sql.channel); err != nil {
		return err
	}
	w.shown = math.MaxInt64 // nothing that is there is news
	news, err := w.ask(ctx)
	if err != nil {
		return err
	}
	w.tell(news)
	return nil
}

// wait returns when there is something to ask for, or it is time for a sign of life.
func (w *follower) wait(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	for {
		told, err := w.conn.WaitForNotification(patience)
		switch {
		case err == nil && w.isOld(told.Payload):
			continue
		case err == nil, patience.Err() != nil && ctx.Err() == nil && !w.conn.IsClosed():
			return nil
		}
		return err
	}
}

// isOld reports whether what a notification tells was asked for already.
func (w *follower) isOld(payload string) bool {
	revision, err := strconv.ParseInt(payload, 10, 64)
	return err == nil && revision <= w.shown
}

// ask gets what there is since the last time.
func (w *follower) ask(ctx context.Context) (mirror.News, error) {
	ctx, cancel := context.WithTimeout(ctx, w.db.timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, w.db.sql.news, w.shown)
	if err != nil {
		return mirror.News{}, err
	}
	defer rows.Close()
	var s state
	var news mirror.News
	for rows.Next() {
		event, ok, err := s.read(rows, w.shown)
		if err != nil {
			return mirror.News{}, err
		}
		if ok {
			news.Events = append(news.Events, event)
		}
	}
	if err := rows.Err(); err != nil {
		return mirror.News{}, err
	}
	if err := w.accept(s); err != nil {
		return mirror.News{}, err
	}
	news.Revision = s.revision
	return news, nil
}

// state is what each row of news says beside the event.
type state struct {
	revision, compacted int64
	readOnly, expired   bool
}

// read reads a row, which has an event in it if anything has changed since shown.
func (s *state) read(rows pgx.Rows, shown int64) (e mirror.Event, ok bool, err error) {
	var key []byte
	var version, created *int64
	err = rows.Scan(&s.revision, &s.compacted, &s.readOnly, &s.expired, &key, &e.Value, &version, &created)
	if err != nil || version == nil {
		return mirror.Event{}, false, err
	}
	e.Key, e.Version = string(key), *version
	e.Created = e.Value != nil && *created > shown
	return e, true, nil
}

// accept takes note of a state, unless news of it would have gaps.
func (w *follower) accept(s state) error {
	first := w.shown == math.MaxInt64
	switch {
	case s.revision == 0:
		return errors.New("the database has no state")
	case s.readOnly:
		return errReadOnly
	case !first && s.compacted > w.shown:
		return errPurged
	case !first && s.revision < w.shown:
		return errBack
	}
	w.shown = s.revision
	w.seen.Store(s.revision)
	if s.expired {
		select {
		case w.expired <- struct{}{}:
		default:
		}
	}
	return nil
}

// Purging keeps up to this much: what was removed between two looks, at least.
const (
	purgeEvery = time.Minute
	purgeMost  = 1000 // at a time, since others wait for the lock
)

// tidy removes what has expired and forgets what was removed. That it fails is no news:
// it is tried again, here or by another server.
func (w *follower) tidy(ctx context.Context) error {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	var before int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.expired:
			_, _ = w.db.alone(ctx, w.db.sql.expire)
		case <-ticker.C:
			_ = w.db.purge(ctx, before)
			before = w.seen.Load()
		}
	}
}

// purge forgets what was removed up to a revision.
func (d *DB) purge(ctx context.Context, revision int64) error {
	for {
		n, err := d.alone(ctx, d.sql.purge, revision, purgeMost)
		if err != nil || n < purgeMost {
			return err
		}
	}
}
