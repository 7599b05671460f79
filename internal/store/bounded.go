package store

import (
	"fmt"
	"iter"
)

// Bounded is a Writer that holds one closure to what the contract allows, whatever
// the driver below would take: so what passes on one driver passes on all.
type Bounded struct {
	Reads, Writes, Bytes int // done so far; see MaxReads, MaxWrites and MaxBytes

	Writer
}

// BoundedReader does for a View what Bounded does for an Update.
type BoundedReader struct {
	Reads, Bytes int // done so far

	Reader
}

// Get implements Reader.
func (b *BoundedReader) Get(key string) ([]byte, error) {
	b.Reads++
	b.Bytes += len(key)
	if err := check(b.Reads, 0, b.Bytes, key); err != nil {
		return nil, err
	}
	return b.Reader.Get(key)
}

// Scan implements Reader.
func (b *BoundedReader) Scan(prefix string) iter.Seq2[Item, error] { return scan(b.Reader, prefix) }

// Get implements Reader.
func (b *Bounded) Get(key string) ([]byte, error) {
	b.Reads++
	b.Bytes += len(key)
	if err := b.check(key); err != nil {
		return nil, err
	}
	return b.Writer.Get(key)
}

// Scan implements Reader.
func (b *Bounded) Scan(prefix string) iter.Seq2[Item, error] { return scan(b.Writer, prefix) }

// Put implements Writer.
func (b *Bounded) Put(key string, value []byte) error {
	if len(value) == 0 {
		return fmt.Errorf("put %q: the value is empty", key)
	}
	b.Writes++
	b.Bytes += len(key) + len(value)
	if err := b.check(key); err != nil {
		return err
	}
	return b.Writer.Put(key, value)
}

// Delete implements Writer.
func (b *Bounded) Delete(key string) error {
	b.Writes++
	b.Bytes += len(key)
	if err := b.check(key); err != nil {
		return err
	}
	return b.Writer.Delete(key)
}

func (b *Bounded) check(key string) error { return check(b.Reads, b.Writes, b.Bytes, key) }

// scan holds the prefix to what a key is, because a record guards it.
func scan(r Reader, prefix string) iter.Seq2[Item, error] {
	if err := checkKey(prefix); err != nil {
		return func(yield func(Item, error) bool) { yield(Item{}, fmt.Errorf("scan: %w", err)) }
	}
	return r.Scan(prefix)
}

func checkKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes: want 1 to %d", len(key), MaxKey)
	}
	return nil
}

func check(reads, writes, bytes int, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if reads > MaxReads || writes > MaxWrites || bytes > MaxBytes {
		return fmt.Errorf("%w: %d reads, %d writes, %d bytes", ErrTooLarge, reads, writes, bytes)
	}
	return nil
}
