package postgres

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/xlattice/xlreg/internal/store"
)

// page is how many records of a scan are read at a time.
const page = 1000

// beginSQL begins a transaction and, by reading, takes the state that it shows.
const beginSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT current_setting('default_transaction_read_only')`

// Snapshot is a mirror.Snapshot.
type Snapshot struct {
	query func(statement string, arguments ...any) ([]store.Item, error)
	get   string
	scan  string
	close func()
}

// Snapshot implements mirror.Database. The Snapshot has a connection to itself until it
// is closed.
func (d *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	ctx, finish, err := d.calls.begin(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := d.beginSnapshot(ctx)
	if err != nil {
		finish()
		return nil, explain("snapshot", err)
	}
	return &Snapshot{
		query: func(statement string, arguments ...any) ([]store.Item, error) {
			ctx, cancel := context.WithTimeout(ctx, d.timeout)
			defer cancel()
			items, err := queryItems(ctx, conn.Conn(), statement, arguments)
			return items, explain("snapshot", err)
		},
		get:  d.sql.get,
		scan: d.sql.scan,
		close: func() {
			d.endSnapshot(ctx, conn)
			finish()
		},
	}, nil
}

func (d *DB) beginSnapshot(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	results, err := conn.Conn().PgConn().Exec(ctx, beginSQL).ReadAll()
	if err == nil && isOn(results) {
		err = errReadOnly
	}
	if err != nil {
		d.endSnapshot(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func isOn(results []*pgconn.Result) bool {
	last := results[len(results)-1].Rows
	return len(last) != 1 || string(last[0][0]) != "off"
}

func (d *DB) endSnapshot(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Conn().Close(ctx) // it is of no more use
	}
	conn.Release()
}

func queryItems(ctx context.Context, conn *pgx.Conn, statement string, arguments []any) ([]store.Item, error) {
	rows, err := conn.Query(ctx, statement, arguments...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Item, error) {
		var key []byte
		var item store.Item
		err := row.Scan(&key, &item.Value)
		item.Key = string(key)
		return item, err
	})
}

// Get implements store.Reader.
func (s *Snapshot) Get(key string) ([]byte, error) {
	items, err := s.query(s.get, []byte(key))
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, store.ErrNotFound
	}
	return items[0].Value, nil
}

// Scan implements store.Reader. A page is read whole before any of it is handed out, so
// more may be read meanwhile.
func (s *Snapshot) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		after := prefix
		for {
			items, err := s.query(s.scan, []byte(after), above(prefix), page)
			if err != nil {
				yield(store.Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
				after = item.Key
			}
			if len(items) < page {
				return
			}
		}
	}
}

// Close gives the connection back. It may be called again.
func (s *Snapshot) Close() {
	s.close()
	s.close = func() {}
	s.query = func(string, ...any) ([]store.Item, error) { return nil, errSnapshotClosed }
}

var errSnapshotClosed = errors.New("the snapshot is closed")
