package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// What one Update of a copy puts at most. It is less than the contract allows, because
// the guards of records come to it.
const (
	batchRecords = 64
	batchBytes   = 256 << 10
)

// Copy puts everything that a registry keeps in one store into another, byte for byte,
// and compares both afterwards. No server may use either, and the other store must be
// empty. What servers say of themselves is not copied.
//
// If it fails, the target has a part of the records and a mark, unless the error is
// ErrServed, ErrNotEmpty or records.ErrUnfinished.
func Copy(ctx context.Context, from, to store.Store, o Options) (Result, error) {
	w := newWork("copy", to, &o)
	if err := w.prepare(ctx, from); err != nil {
		return Result{}, err
	}
	if err := w.copyAll(ctx, from); err != nil {
		return Result{}, err
	}
	result, err := w.compare(ctx, from)
	if err != nil {
		return Result{}, err
	}
	if err := Idle(ctx, from); err != nil {
		return Result{}, fmt.Errorf("what is copied: %w", err)
	}
	if err := records.Upgrade(ctx, to); err != nil {
		return Result{}, err
	}
	if o.Bump {
		if result.Revision, err = w.raiseAll(ctx); err != nil {
			return Result{}, err
		}
	}
	return result, w.end(ctx)
}

// prepare looks whether the copy can be made, and marks the target.
func (w *work) prepare(ctx context.Context, from store.Store) error {
	if err := whole(ctx, from); err != nil {
		return fmt.Errorf("what is copied: %w", err)
	}
	if err := Idle(ctx, from); err != nil {
		return fmt.Errorf("what is copied: %w", err)
	}
	if err := Idle(ctx, w.store); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	if err := whole(ctx, w.store); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	if err := empty(ctx, w.store); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	return w.begin(ctx, unfinished)
}

// whole returns records.ErrUnfinished if something has been begun with a store.
func whole(ctx context.Context, s store.Store) error {
	return s.View(ctx, func(tx store.Reader) error {
		work, err := records.NewReader(tx).Unfinished()
		if records.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return unfinished(work)
	})
}

func unfinished(work records.Work) error {
	return fmt.Errorf("%w: a %s was begun and not finished", records.ErrUnfinished, work.Name)
}

// empty returns ErrNotEmpty if there is anything in a store.
func empty(ctx context.Context, s store.Store) error {
	for _, p := range everything() {
		items, err := p.read(ctx, s)
		if errors.Is(err, errLarge) || len(items) > 0 {
			return ErrNotEmpty
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyAll puts all records into the target.
func (w *work) copyAll(ctx context.Context, from store.Store) error {
	checker := records.NewChecker()
	b := &batch{work: w}
	err := w.each(ctx, "copied", func(found [][]store.Item) error {
		for _, item := range found[0] {
			if err := checker.Add(item.Key, item.Value); err != nil {
				return fmt.Errorf("what is copied: %w", err)
			}
			if err := b.add(ctx, item); err != nil {
				return err
			}
		}
		return nil
	}, from)
	if err != nil {
		return err
	}
	if _, err := checker.Finish(); err != nil {
		return fmt.Errorf("what is copied: %w", err)
	}
	return b.flush(ctx)
}

// batch is what the next Update puts.
type batch struct {
	work  *work
	items []store.Item
	size  int
	guard store.Item // the last record that guards others
}

// add takes the next record, in the order of the keys. A record that is guarded comes
// after its guard, which is put once more if that was in an earlier Update.
func (b *batch) add(ctx context.Context, item store.Item) error {
	if len(b.items) >= batchRecords || b.size+len(item.Value) > batchBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if _, ok := records.ClusterAt(item.Key); ok {
		b.guard = item
	}
	if guard, ok := records.GuardOf(item.Key); ok && guard == b.guard.Key && !b.has(guard) {
		b.put(b.guard)
	}
	b.put(item)
	return nil
}

func (b *batch) put(item store.Item) {
	b.items = append(b.items, item)
	b.size += len(item.Key) + len(item.Value)
}

func (b *batch) has(key string) bool {
	for i := range b.items {
		if b.items[i].Key == key {
			return true
		}
	}
	return false
}

func (b *batch) flush(ctx context.Context) error {
	if len(b.items) == 0 {
		return nil
	}
	err := b.work.change(ctx, func(tx store.Writer) error {
		for _, item := range b.items {
			if err := tx.Put(item.Key, item.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put records: %w", err)
	}
	b.items, b.size = nil, 0
	return nil
}

// compare holds the target against what was copied, and its records against each other.
func (w *work) compare(ctx context.Context, from store.Store) (result Result, err error) {
	checker := records.NewChecker()
	err = w.each(ctx, "compared", func(found [][]store.Item) error {
		for i, item := range found[0] {
			if i >= len(found[1]) || !same(item, found[1][i]) {
				return fmt.Errorf("what was copied, or the copy: %w: they differ at %s", ErrChanged, records.Describe(item.Key))
			}
			result.Records++
			result.Bytes += int64(len(item.Key) + len(item.Value))
			if err := checker.Add(item.Key, item.Value); err != nil {
				return fmt.Errorf("the copy: %w", err)
			}
		}
		if n := len(found[0]); n < len(found[1]) {
			return fmt.Errorf("the copy: %w: it also has %s", ErrChanged, records.Describe(found[1][n].Key))
		}
		return nil
	}, from, w.store)
	if err != nil {
		return Result{}, err
	}
	if result.Counts, err = checker.Finish(); err != nil {
		return Result{}, fmt.Errorf("the copy: %w", err)
	}
	return result, nil
}

func same(a, b store.Item) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }
