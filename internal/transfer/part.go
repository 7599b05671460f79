package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// What is read at a time, and so is in memory. A part of a store that has more is read in
// several.
const (
	partRecords = 4096
	partBytes   = 16 << 20
	partPlaces  = 32 // a transaction reads at most store.MaxReads keys
)

// errLarge says that there is more in a part than is read at a time.
var errLarge = errors.New("too much for one transaction")

// part is some places among the keys, in their order.
type part []place

// place is one key, and perhaps all that begin with it.
type place struct {
	key   string
	below bool
}

// everything returns parts that all keys are in, each in one.
func everything() []part { return below("") }

// below returns parts that all keys are in that are longer than a prefix and begin with it.
func below(prefix string) []part {
	var parts []part
	var now part
	for next := range 256 {
		if len(now) == partPlaces {
			parts, now = append(parts, now), nil
		}
		now = append(now, place{prefix + string([]byte{byte(next)}), true})
	}
	return append(parts, now)
}

// split returns smaller parts in the place of p, which has more than one key.
func (p part) split() []part {
	if len(p) > 1 {
		return []part{p[:len(p)/2], p[len(p)/2:]}
	}
	return append([]part{{place{key: p[0].key}}}, below(p[0].key)...)
}

// read returns what a store has in a part, less what is about those who use it now, or
// errLarge.
func (p part) read(ctx context.Context, s store.Store) (items []store.Item, err error) {
	err = s.View(ctx, func(tx store.Reader) error {
		items = nil
		size := 0
		return p.each(tx, func(item store.Item) error {
			if records.IsPassing(item.Key) {
				return nil
			}
			items = append(items, store.Item{Key: strings.Clone(item.Key), Value: bytes.Clone(item.Value)})
			if size += len(item.Value); len(items) > partRecords || size > partBytes {
				return errLarge
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return items, nil
}

// each calls f for each record in a part, in the order of the keys, until it fails.
func (p part) each(tx store.Reader, f func(store.Item) error) error {
	for _, place := range p {
		if err := place.each(tx, f); err != nil {
			return err
		}
	}
	return nil
}

func (p place) each(tx store.Reader, f func(store.Item) error) error {
	value, err := tx.Get(p.key)
	if err == nil {
		err = f(store.Item{Key: p.key, Value: value})
	}
	if err != nil && !records.IsNotFound(err) {
		return err
	}
	if !p.below {
		return nil
	}
	for item, err := range tx.Scan(p.key) {
		if err == nil {
			err = f(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walk goes through some stores together.
type walk struct {
	stores []store.Store
	f      func(found [][]store.Item) error // with what each store has in the same part
	told   func(records int)
	read   int
}

// each calls f with the records of each part of some stores, in the order of the keys.
func (w *work) each(ctx context.Context, step string, f func(found [][]store.Item) error, stores ...store.Store) error {
	through := &walk{stores: stores, f: f, told: func(n int) { w.o.Progress(step, n) }}
	for _, p := range everything() {
		if err := through.part(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) part(ctx context.Context, p part) error {
	found := make([][]store.Item, len(w.stores))
	for i, s := range w.stores {
		var err error
		found[i], err = p.read(ctx, s)
		if errors.Is(err, errLarge) {
			return w.split(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	w.read += len(found[0])
	w.told(w.read)
	return w.f(found)
}

func (w *walk) split(ctx context.Context, p part) error {
	for _, smaller := range p.split() {
		if err := w.part(ctx, smaller); err != nil {
			return err
		}
	}
	return nil
}
