package store

import (
	"iter"
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// Overlay is a Writer that keeps what is written to itself, over a Reader that it
// leaves as it is. Drivers run each closure of an Update on an Overlay of its own,
// so one that fails leaves nothing behind.
type Overlay struct {
	base    Reader
	written btree.Map[string, []byte] // nil values are deleted keys
}

var _ Writer = (*Overlay)(nil)

// NewOverlay returns an Overlay over base with nothing written.
func NewOverlay(base Reader) *Overlay { return &Overlay{base: base} }

// Empty reports whether nothing has been written.
func (o *Overlay) Empty() bool { return o.written.Len() == 0 }

// Changes returns what was written, in the order of the keys, each key once.
func (o *Overlay) Changes() []Change {
	changes := make([]Change, 0, o.written.Len())
	o.written.Scan(func(key string, value []byte) bool {
		changes = append(changes, Change{Key: key, Value: value})
		return true
	})
	return changes
}

// Merge writes to o what was written to other, whose base o commonly is.
func (o *Overlay) Merge(other *Overlay) {
	other.written.Scan(func(key string, value []byte) bool {
		o.written.Set(key, value)
		return true
	})
}

// Get implements Reader.
func (o *Overlay) Get(key string) ([]byte, error) {
	value, ok := o.written.Get(key)
	switch {
	case !ok:
		return o.base.Get(key)
	case value == nil:
		return nil, ErrNotFound
	}
	return value, nil
}

// Put implements Writer. What a key and a value have to be is for Bounded to see to.
func (o *Overlay) Put(key string, value []byte) error {
	o.written.Set(key, value)
	return nil
}

// Delete implements Writer.
func (o *Overlay) Delete(key string) error {
	o.written.Set(key, nil)
	return nil
}

// Scan implements Reader: it merges two ordered lists, of which its own is the one
// that counts where both have a key.
func (o *Overlay) Scan(prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		own := o.below(prefix)
		for item, err := range o.base.Scan(prefix) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			n, replaced := slices.BinarySearchFunc(own, item.Key, compareKey)
			if !yieldAll(own[:n], yield) {
				return
			}
			if own = own[n:]; replaced {
				item, own = own[0], own[1:]
			}
			if item.Value != nil && !yield(item, nil) {
				return
			}
		}
		yieldAll(own, yield)
	}
}

func compareKey(item Item, key string) int { return strings.Compare(item.Key, key) }

// yieldAll yields the items that are not deleted, and reports whether more are wanted.
func yieldAll(items []Item, yield func(Item, error) bool) bool {
	for _, item := range items {
		if item.Value != nil && !yield(item, nil) {
			return false
		}
	}
	return true
}

// below returns what was written below prefix, in order.
func (o *Overlay) below(prefix string) []Item {
	var items []Item
	o.written.Ascend(prefix, func(key string, value []byte) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		if len(key) > len(prefix) {
			items = append(items, Item{key, value})
		}
		return true
	})
	return items
}
