package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/xlattice/xlreg/internal/store"
)

// announceRetry is how soon an announcement that did not get through is made again.
const announceRetry = time.Second

// Announce implements mirror.Database. It returns nil when ctx ends, and
// store.ErrClosed.
func (d *DB) Announce(ctx context.Context, key string, value []byte) error {
	failing := false
	for {
		_, err := d.alone(ctx, d.sql.announce, []byte(key), value)
		if ctx.Err() != nil {
			return d.withdraw(ctx, key, value)
		}
		if errors.Is(err, store.ErrClosed) || d.calls.ended() {
			return store.ErrClosed
		}
		if (err != nil) != failing {
			failing = err != nil
			d.log.Info("announcement", "through", !failing, "err", err)
		}
		d.pause(ctx, failing)
	}
}

func (d *DB) pause(ctx context.Context, failing bool) {
	wait := d.ttl / 3
	if failing {
		wait = min(wait, announceRetry)
	}
	ctx, finish, err := d.calls.begin(ctx)
	if err != nil {
		return
	}
	defer finish()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// withdraw takes back what was announced. If that does not get through it expires.
func (d *DB) withdraw(ctx context.Context, key string, value []byte) error {
	_, _ = d.alone(context.WithoutCancel(ctx), d.sql.withdraw, []byte(key), value)
	return nil
}

// alone runs one statement under the lock, and returns the number that it gives.
func (d *DB) alone(ctx context.Context, statement string, arguments ...any) (n int64, err error) {
	ctx, finish, err := d.calls.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer finish()
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	err = d.with(ctx, func(conn *pgxpool.Conn) error {
		batch := &pgx.Batch{}
		batch.Queue(lockName)
		batch.Queue(statement, arguments...).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return conn.SendBatch(ctx, batch).Close()
	})
	return n, explain("tidy up", err)
}
