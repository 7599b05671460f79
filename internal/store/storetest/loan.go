package storetest

import (
	"bytes"
	"errors"
	"iter"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

// holes is a Reader to which some records are missing.
type holes struct {
	store.Reader
	missing func() bool
}

func (h holes) Get(key string) ([]byte, error) {
	if h.missing() {
		return nil, store.ErrNotFound
	}
	return h.Reader.Get(key)
}

func (h holes) Scan(prefix string) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		for item, err := range h.Reader.Scan(prefix) {
			if err == nil && h.missing() {
				continue
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// loan is a Writer that lends its values for one run of a closure.
type loan struct {
	store.Writer
	t       testing.TB
	ended   bool
	lent    []lent
	scanned map[string]bool
}

type lent struct {
	key                string
	original, borrowed []byte
}

func newLoan(t testing.TB, w store.Writer) *loan {
	return &loan{Writer: w, t: t, scanned: make(map[string]bool)}
}

var errLate = errors.New("used after the closure has returned")

func (l *loan) late() bool {
	if l.ended {
		l.t.Error("a Reader or Writer is used after its closure has returned")
	}
	return l.ended
}

func (l *loan) lend(key string, value []byte) []byte {
	borrowed := bytes.Clone(value)
	l.lent = append(l.lent, lent{key, bytes.Clone(value), borrowed})
	return borrowed
}

func (l *loan) Get(key string) ([]byte, error) {
	if l.late() {
		return nil, errLate
	}
	value, err := l.Writer.Get(key)
	if err != nil {
		return nil, err
	}
	return l.lend(key, value), nil
}

func (l *loan) Scan(prefix string) iter.Seq2[store.Item, error] {
	l.scanned[prefix] = true
	return func(yield func(store.Item, error) bool) {
		if l.late() {
			yield(store.Item{}, errLate)
			return
		}
		for item, err := range l.Writer.Scan(prefix) {
			if err == nil {
				item.Value = l.lend(item.Key, item.Value)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (l *loan) Put(key string, value []byte) error {
	if l.late() {
		return errLate
	}
	return l.Writer.Put(key, bytes.Clone(value))
}

func (l *loan) Delete(key string) error {
	if l.late() {
		return errLate
	}
	return l.Writer.Delete(key)
}

// end takes back what was lent, unchanged, and spoils it.
func (l *loan) end() {
	l.ended = true
	for _, v := range l.lent {
		if !bytes.Equal(v.original, v.borrowed) {
			l.t.Errorf("a closure has changed the value of %q that it has read", v.key)
		}
		for i := range v.borrowed {
			v.borrowed[i] = 0xdb
		}
	}
}
