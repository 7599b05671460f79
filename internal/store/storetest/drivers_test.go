package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

// twisted is a sound store whose closures get another Reader or Writer.
type twisted struct {
	store.Store
	reader func(store.Reader) store.Reader
	writer func(base store.Writer, own *store.Overlay) store.Writer
}

func (s twisted) View(ctx context.Context, f func(store.Reader) error) error {
	return s.Store.View(ctx, func(r store.Reader) error { return f(s.reader(r)) })
}

func (s twisted) Update(ctx context.Context, f func(store.Writer) error) error {
	return s.Store.Update(ctx, func(w store.Writer) error {
		own := store.NewOverlay(w)
		if err := f(s.writer(w, own)); err != nil {
			return err
		}
		return write(w, own.Changes())
	})
}

func write(w store.Writer, changes []store.Change) error {
	for _, c := range changes {
		var err error
		if c.Value == nil {
			err = w.Delete(c.Key)
		} else {
			err = w.Put(c.Key, c.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func twistWriter(writer func(base store.Writer, own *store.Overlay) store.Writer) func() store.Store {
	same := func(r store.Reader) store.Reader { return r }
	return func() store.Store { return twisted{memory.New(), same, writer} }
}

// getter, scanner and deleter replace one method.
type getter struct {
	store.Writer
	get func(key string) ([]byte, error)
}

func (g getter) Get(key string) ([]byte, error) { return g.get(key) }

type scanFunc func(prefix string) iter.Seq2[store.Item, error]

type scanner struct {
	store.Writer
	scan scanFunc
}

func (s scanner) Scan(prefix string) iter.Seq2[store.Item, error] { return s.scan(prefix) }

type deleter struct{ store.Writer }

func (d deleter) Delete(key string) error {
	_, err := d.Get(key)
	return errors.Join(err, d.Writer.Delete(key))
}

func blindGet(base store.Writer, own *store.Overlay) store.Writer { return getter{own, base.Get} }

func blindScan(base store.Writer, own *store.Overlay) store.Writer { return scanner{own, base.Scan} }

func fussyDelete(_ store.Writer, own *store.Overlay) store.Writer { return deleter{own} }

// twistScan replaces how Views and Updates scan.
func twistScan(scan func(r store.Reader, prefix string, yield func(store.Item, error) bool)) func() store.Store {
	by := func(r store.Reader) scanFunc {
		return func(prefix string) iter.Seq2[store.Item, error] {
			return func(yield func(store.Item, error) bool) { scan(r, prefix, yield) }
		}
	}
	return func() store.Store {
		return twisted{
			memory.New(),
			func(r store.Reader) store.Reader { return scanner{store.NewOverlay(r), by(r)} },
			func(_ store.Writer, own *store.Overlay) store.Writer { return scanner{own, by(own)} },
		}
	}
}

func items(r store.Reader, prefix string) []store.Item {
	var found []store.Item
	for item, err := range r.Scan(prefix) {
		if err != nil {
			return nil
		}
		found = append(found, item)
	}
	return found
}

func yieldItems(found []store.Item, yield func(store.Item, error) bool) {
	for _, item := range found {
		if !yield(item, nil) {
			return
		}
	}
}

func backwards(r store.Reader, prefix string, yield func(store.Item, error) bool) {
	found := items(r, prefix)
	slices.Reverse(found)
	yieldItems(found, yield)
}

func withPrefix(r store.Reader, prefix string, yield func(store.Item, error) bool) {
	found := items(r, prefix)
	if value, err := r.Get(prefix); err == nil {
		found = slices.Insert(found, 0, store.Item{Key: prefix, Value: value})
	}
	yieldItems(found, yield)
}

// withNeighbours takes b0 for one that is below b/, as does whoever compares less
// than the whole prefix.
func withNeighbours(r store.Reader, prefix string, yield func(store.Item, error) bool) {
	if len(prefix) > 1 {
		prefix = prefix[:len(prefix)-1]
	}
	yieldItems(items(r, prefix), yield)
}

// endAtFF ends where the last byte of the prefix is one more, which after 0xff is 0.
func endAtFF(r store.Reader, prefix string, yield func(store.Item, error) bool) {
	end := prefix[:len(prefix)-1] + string([]byte{prefix[len(prefix)-1] + 1})
	yieldItems(slices.DeleteFunc(items(r, prefix), func(i store.Item) bool { return i.Key >= end }), yield)
}

func counted(r store.Reader, prefix string, yield func(store.Item, error) bool) {
	for i, item := range items(r, prefix) {
		if i == store.MaxReads {
			yield(store.Item{}, store.ErrTooLarge)
			return
		}
		if !yield(item, nil) {
			return
		}
	}
}

// undead only marks what is deleted, and forgets to leave it out of scans.
func undead() store.Store {
	const mark = "deleted"
	get := func(r store.Reader) func(string) ([]byte, error) {
		return func(key string) ([]byte, error) {
			value, err := r.Get(key)
			if string(value) == mark {
				return nil, store.ErrNotFound
			}
			return value, err
		}
	}
	return twisted{
		memory.New(),
		func(r store.Reader) store.Reader { return getter{store.NewOverlay(r), get(r)} },
		func(_ store.Writer, own *store.Overlay) store.Writer { return marker{getter{own, get(own)}, mark} },
	}
}

type marker struct {
	store.Writer
	mark string
}

func (m marker) Delete(key string) error { return m.Put(key, []byte(m.mark)) }

// careless is two servers whose transactions compare less than they must.
func careless(compare func(tx group.Tx, all store.Reader) store.Reader) func() store.Store {
	return func() store.Store {
		b := optimistic.NewBackend()
		one := carelessDriver{b.Driver(), compare}
		two := carelessDriver{b.Driver(), compare}
		return storetest.NewServers(group.New(one), group.New(two))
	}
}

type carelessDriver struct {
	group.Driver
	compare func(tx group.Tx, all store.Reader) store.Reader
}

func (d carelessDriver) Begin() (group.Tx, error) {
	var all store.Reader // which compares nothing
	err := d.View(context.Background(), func(r store.Reader) error { all = r; return nil })
	if err != nil {
		return nil, err
	}
	tx, err := d.Driver.Begin()
	if err != nil {
		return nil, err
	}
	return carelessTx{d.compare(tx, all), tx}, nil
}

type carelessTx struct {
	store.Reader
	tx group.Tx
}

func (t carelessTx) Commit(changes []store.Change) error { return t.tx.Commit(changes) }

// parts is a Reader of two.
type parts struct {
	get  func(string) ([]byte, error)
	scan scanFunc
}

func (p parts) Get(key string) ([]byte, error) { return p.get(key) }

func (p parts) Scan(prefix string) iter.Seq2[store.Item, error] { return p.scan(prefix) }

func compareAll(tx group.Tx, _ store.Reader) store.Reader { return tx }

func compareNothing(_ group.Tx, all store.Reader) store.Reader { return all }

func compareScans(tx group.Tx, all store.Reader) store.Reader { return parts{all.Get, tx.Scan} }

func compareReads(tx group.Tx, all store.Reader) store.Reader { return parts{tx.Get, all.Scan} }

// compareYielded reads one by one what a scan yields, and not the guard.
func compareYielded(tx group.Tx, all store.Reader) store.Reader {
	return parts{tx.Get, func(prefix string) iter.Seq2[store.Item, error] {
		for _, item := range items(all, prefix) {
			_, _ = tx.Get(item.Key)
		}
		return all.Scan(prefix)
	}}
}

// compareGuards reads the guard, and not what the scan yields.
func compareGuards(tx group.Tx, all store.Reader) store.Reader {
	return parts{tx.Get, func(prefix string) iter.Seq2[store.Item, error] {
		_, _ = tx.Get(prefix)
		return all.Scan(prefix)
	}}
}

// neverClosed works on after Close.
type neverClosed struct {
	store.Store
}

func (*neverClosed) Close() error { return nil }
