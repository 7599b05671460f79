package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// Commit implements mirror.Database.
func (d *DB) Commit(ctx context.Context, t mirror.Txn) (answer mirror.Answer, err error) {
	ctx, finish, err := d.calls.begin(ctx)
	if err != nil {
		return mirror.Answer{}, err
	}
	defer finish()
	ctx, cancel := d.within(ctx)
	defer cancel()
	run, doing := compare, "compare"
	if len(t.Changes) > 0 {
		run, doing = change, "commit"
	}
	err = d.with(ctx, func(conn *pgxpool.Conn) error {
		answer, err = run(ctx, conn.Conn(), t)
		return err
	})
	if err != nil {
		return mirror.Answer{}, explain(doing, err)
	}
	return answer, nil
}

// within bounds a call whose caller has set no bound.
func (d *DB) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.timeout)
}

// compare needs no lock: one statement sees one state, and none that is old.
func compare(ctx context.Context, conn *pgx.Conn, t mirror.Txn) (mirror.Answer, error) {
	rows, err := conn.Query(ctx, compareName, readArguments(t)...)
	if err != nil {
		return mirror.Answer{}, err
	}
	return readAnswer(rows, t)
}

// change sends the lock and the change at once. That makes one transaction, since there
// is no Sync between them; it commits at the Sync behind them, so only the error of
// Close says how it went. Nobody holds the lock while it waits for a client.
func change(ctx context.Context, conn *pgx.Conn, t mirror.Txn) (mirror.Answer, error) {
	keys, values := make([][]byte, len(t.Changes)), make([][]byte, len(t.Changes))
	for i, c := range t.Changes {
		keys[i], values[i] = []byte(c.Key), c.Value
	}
	batch := &pgx.Batch{}
	batch.Queue(lockName)
	batch.Queue(changeName, append(readArguments(t), keys, values)...)
	if err := ctx.Err(); err != nil {
		return mirror.Answer{}, err
	}
	results := conn.SendBatch(ctx, batch)
	answer, err := changeAnswer(results, t)
	if err := cmp.Or(err, results.Close()); err != nil {
		return mirror.Answer{}, settle(err)
	}
	return answer, nil
}

func changeAnswer(results pgx.BatchResults, t mirror.Txn) (mirror.Answer, error) {
	if _, err := results.Exec(); err != nil {
		return mirror.Answer{}, err
	}
	rows, err := results.Query()
	if err != nil {
		return mirror.Answer{}, err
	}
	return readAnswer(rows, t)
}

// readArguments are the parameters 1 to 6 of statements.
func readArguments(t mirror.Txn) []any {
	keys, versions := make([][]byte, len(t.Keys)), make([]int64, len(t.Keys))
	for i, k := range t.Keys {
		keys[i], versions[i] = []byte(k.Key), k.Version
	}
	n := len(t.Ranges)
	lows, highs, revisions, counts := make([][]byte, n), make([][]byte, n), make([]int64, n), make([]int64, n)
	for i, r := range t.Ranges {
		lows[i], highs[i], revisions[i], counts[i] = []byte(r.Prefix), above(r.Prefix), r.Revision, int64(r.Count)
	}
	return []any{keys, versions, lows, highs, revisions, counts}
}

// above returns what all keys that begin with prefix lie below. Above 0xff there is
// nothing to count up to; but no key is longer than store.MaxKey.
func above(prefix string) []byte {
	high := []byte(prefix)
	for len(high) > 0 && high[len(high)-1] == 0xff {
		high = high[:len(high)-1]
	}
	if len(high) == 0 {
		return slices.Repeat([]byte{0xff}, store.MaxKey+1)
	}
	high[len(high)-1]++
	return high
}

var errNoVerdict = errors.New("the answer has no verdict")

func readAnswer(rows pgx.Rows, t mirror.Txn) (mirror.Answer, error) {
	defer rows.Close()
	a := mirror.Answer{Ranges: make([][]mirror.Record, len(t.Ranges))}
	found := false
	for rows.Next() {
		r, err := readRow(rows)
		switch {
		case err != nil:
			return mirror.Answer{}, err
		case r.readOnly:
			return mirror.Answer{}, errReadOnly
		case r.part == 0:
			a.Keys = append(a.Keys, r.Record)
		case r.part > len(t.Ranges):
			return mirror.Answer{}, fmt.Errorf("the answer has a range %d of %d", r.part, len(t.Ranges))
		case r.part > 0:
			a.Ranges[r.part-1] = append(a.Ranges[r.part-1], r.Record)
		default:
			found, a.Held, a.Revision = true, r.held, r.Version
		}
	}
	if err := rows.Err(); err != nil {
		return mirror.Answer{}, err
	}
	if !found {
		return mirror.Answer{}, errNoVerdict
	}
	if a.Held {
		return mirror.Answer{Held: true, Revision: a.Revision}, nil
	}
	for _, records := range a.Ranges { // nothing says in which order they come
		slices.SortFunc(records, func(x, y mirror.Record) int { return strings.Compare(x.Key, y.Key) })
	}
	return a, nil
}

// row is one of an answer.
type row struct {
	mirror.Record // of the verdict only the version, which is the revision

	part           int
	held, readOnly bool
}

func readRow(rows pgx.Rows) (row, error) {
	var r row
	var key []byte
	err := rows.Scan(&r.part, &key, &r.Value, &r.Version, &r.held, &r.readOnly, nil) // the last is of no interest
	r.Key = string(key)
	return r, err
}
