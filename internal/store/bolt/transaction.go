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
	driver *driver
	tx     *bbolt.Tx
	values *bbolt.Bucket
}

func (d *driver) newReader(tx *bbolt.Tx) (r reader, err error) {
	if err := guarded(func() { r = reader{d, tx, tx.Bucket([]byte(valueBucket))} }); err != nil {
		return r, d.fail(err)
	}
	if r.values == nil {
		return r, d.fail(fmt.Errorf("%w: it has no bucket %q any more", ErrDamaged, valueBucket))
	}
	return r, nil
}

// Get implements store.Reader.
func (r reader) Get(key string) (value []byte, err error) {
	if err := guarded(func() { value = r.values.Get([]byte(key)) }); err != nil {
		return nil, r.driver.fail(err)
	}
	if value == nil {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// Scan implements store.Reader.
func (r reader) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		var cursor *bbolt.Cursor
		start := []byte(prefix)
		next := func() (key, value []byte) {
			if cursor != nil {
				return cursor.Next()
			}
			cursor = r.values.Cursor()
			return cursor.Seek(start)
		}
		for {
			item, more, err := r.step(next, start)
			switch {
			case err != nil:
				yield(store.Item{}, err)
				return
			case !more:
				return
			case len(item.Key) > len(start) && !yield(item, nil):
				return
			}
		}
	}
}

// step takes one step of a cursor; more is false behind the last key with the prefix.
func (r reader) step(next func() (key, value []byte), prefix []byte) (item store.Item, more bool, err error) {
	err = guarded(func() {
		key, value := next()
		more = bytes.HasPrefix(key, prefix)
		item = store.Item{Key: string(key), Value: value}
	})
	if err != nil {
		return item, false, r.driver.fail(err)
	}
	return item, more, nil
}

// transaction is the group.Tx of a batch.
type transaction struct{ reader }

// Commit implements group.Tx. Nobody else writes to the file, so what was read holds.
func (t *transaction) Commit(changes []store.Change) error {
	d := t.driver
	if len(changes) == 0 {
		return d.rollback(t.tx)
	}
	if err := d.inPlace(); err != nil {
		return errors.Join(d.fail(err), d.rollback(t.tx))
	}
	if err := t.write(changes); err != nil {
		return fmt.Errorf("put values: %w", errors.Join(err, d.rollback(t.tx)))
	}
	id := t.tx.ID()
	var err error
	if guardErr := guarded(func() { err = t.tx.Commit() }); guardErr != nil {
		d.stuck.Store(true)
		return fmt.Errorf("%w: %w", store.ErrUnknown, d.fail(guardErr))
	}
	d.report(err)
	if err != nil {
		return d.checkFailed(id, fmt.Errorf("commit: %w", err))
	}
	// Looked at again, since the file may have gone between the first look and the
	// commit. From here on it is on disk, and whoever takes it away takes it away.
	if err := d.inPlace(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, d.fail(err))
	}
	d.feed.Publish(changes...)
	return nil
}

func (t *transaction) write(changes []store.Change) (err error) {
	guardErr := guarded(func() { err = t.writeAll(changes) })
	if guardErr != nil {
		return t.driver.fail(guardErr)
	}
	return err
}

// writeAll writes the changes, and what they make of the sum over all values.
func (t *transaction) writeAll(changes []store.Change) error {
	meta := t.tx.Bucket([]byte(metaBucket))
	total, err := parseTotal(meta.Get([]byte(totalKey)))
	if err != nil {
		return err
	}
	for _, c := range changes {
		key := []byte(c.Key)
		if old := t.values.Get(key); old != nil {
			total.remove(key, old)
		}
		if c.Value == nil {
			err = t.values.Delete(key)
		} else {
			total.add(key, c.Value)
			err = t.values.Put(key, c.Value)
		}
		if err != nil {
			return err
		}
	}
	return meta.Put([]byte(totalKey), total.marshal())
}

// checkFailed looks at what a failed commit left, and returns the error to answer.
// Almost always the file shows the state before, and the next commit may fare
// better. If it shows the new one, the last sync failed: nobody can tell what is on
// disk, and a second sync would claim success without having written anything. So
// nothing is answered from that file any more.
func (d *driver) checkFailed(id int, cause error) error {
	tx, err := d.begin(false)
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
