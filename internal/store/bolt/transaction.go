package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/xlattice/xlreg/internal/store"
)

// errUnsure is what the store answers after a commit of which nobody knows how it
// ended.
var errUnsure = errors.New("an earlier change may or may not be on disk: check the disk and start again")

// reader reads in one bbolt transaction.
type reader struct {
	tx     *bbolt.Tx
	values *bbolt.Bucket
}

func newReader(tx *bbolt.Tx) reader { return reader{tx, tx.Bucket([]byte(valueBucket))} }

// Get implements store.Reader.
func (r reader) Get(key string) ([]byte, error) {
	value := r.values.Get([]byte(key))
	if value == nil {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// Scan implements store.Reader.
func (r reader) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		start := []byte(prefix)
		cursor := r.values.Cursor()
		for key, value := cursor.Seek(start); bytes.HasPrefix(key, start); key, value = cursor.Next() {
			if len(key) > len(start) && !yield(store.Item{Key: string(key), Value: value}, nil) {
				return
			}
		}
	}
}

// transaction is the group.Tx of a batch.
type transaction struct {
	reader
	driver *driver
}

// Commit implements group.Tx. Nobody else writes to the file, so what was read holds.
func (t *transaction) Commit(changes []store.Change) error {
	if len(changes) == 0 {
		return t.tx.Rollback()
	}
	if err := t.write(changes); err != nil {
		return fmt.Errorf("put values: %w", errors.Join(err, t.tx.Rollback()))
	}
	id := t.tx.ID()
	err := t.tx.Commit()
	t.driver.report(err)
	if err != nil {
		return t.driver.checkFailed(id, fmt.Errorf("commit: %w", err))
	}
	t.driver.feed.Publish(changes...)
	return nil
}

func (t *transaction) write(changes []store.Change) error {
	for _, c := range changes {
		var err error
		if c.Value == nil {
			err = t.values.Delete([]byte(c.Key))
		} else {
			err = t.values.Put([]byte(c.Key), c.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFailed looks at what a failed commit left, and returns the error to answer.
// Almost always the file shows the state before, and the next commit may fare
// better. If it shows the new one, the last sync failed: nobody can tell what is on
// disk, and a second sync would claim success without having written anything. So
// nothing is answered from that file any more.
func (d *driver) checkFailed(id int, cause error) error {
	tx, err := d.db.Begin(false)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, cause) // nobody can look any more
	}
	defer tx.Rollback() //nolint:errcheck // a reader has nothing to lose
	if tx.ID() < id {
		return cause
	}
	d.unsure.Store(true)
	d.log.Error("data can be neither read nor written until the next start", "err", errUnsure)
	return fmt.Errorf("%w: %w", store.ErrUnknown, cause)
}

// report logs when commits begin to fail and when they succeed again.
func (d *driver) report(err error) {
	failing := err != nil
	if failing == d.failing {
		return
	}
	d.failing = failing
	if failing {
		d.log.Error("data cannot be written", "err", err)
		return
	}
	d.log.Info("data can be written again")
}
