package storetest

import (
	"context"
	"iter"
	"sync"

	"github.com/xlattice/xlreg/internal/store"
)

// Usage is what one run of a closure has used. The first three are what
// store.MaxReads, store.MaxWrites and store.MaxBytes bound.
type Usage struct {
	Reads, Writes, Bytes int

	Scans, Scanned int // calls of Scan, and keys that they yielded
}

// Meter is a Store that counts what the closures given to it use of the Store below.
type Meter struct {
	store.Store

	mu           sync.Mutex
	view, update Usage // the most so far; guarded by mu
}

// NewMeter returns a Meter over s.
func NewMeter(s store.Store) *Meter { return &Meter{Store: s} }

// Take returns the most that one View and one Update have used, each figure by
// itself, since Take was last called.
func (m *Meter) Take() (view, update Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	view, update = m.view, m.update
	m.view, m.update = Usage{}, Usage{}
	return view, update
}

// View implements store.Store.
func (m *Meter) View(ctx context.Context, f func(store.Reader) error) error {
	return m.Store.View(ctx, func(r store.Reader) error {
		c := &counter{Bounded: store.Bounded{Writer: readOnly{Reader: r}}}
		defer m.note(&m.view, c)
		return f(c)
	})
}

// Update implements store.Store.
func (m *Meter) Update(ctx context.Context, f func(store.Writer) error) error {
	return m.Store.Update(ctx, func(w store.Writer) error {
		c := &counter{Bounded: store.Bounded{Writer: w}}
		defer m.note(&m.update, c)
		return f(c)
	})
}

func (m *Meter) note(most *Usage, c *counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	most.Reads = max(most.Reads, c.Reads)
	most.Writes = max(most.Writes, c.Writes)
	most.Bytes = max(most.Bytes, c.Bytes)
	most.Scans = max(most.Scans, c.scans)
	most.Scanned = max(most.Scanned, c.scanned)
}

// counter counts scans beside what store.Bounded counts.
type counter struct {
	store.Bounded
	scans, scanned int
}

func (c *counter) Scan(prefix string) iter.Seq2[store.Item, error] {
	c.scans++
	return func(yield func(store.Item, error) bool) {
		for item, err := range c.Bounded.Scan(prefix) {
			if err == nil {
				c.scanned++
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// readOnly lets what wraps a Writer wrap a Reader. Nobody can reach its writes.
type readOnly struct {
	store.Reader
	store.Writer
}

func (r readOnly) Get(key string) ([]byte, error) { return r.Reader.Get(key) }

func (r readOnly) Scan(prefix string) iter.Seq2[store.Item, error] { return r.Reader.Scan(prefix) }
