package page

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/xlattice/xlreg/internal/admin/admintest"
	"github.com/xlattice/xlreg/internal/admin/api"
)

type fake = admintest.Registry

// halting is a registry that stops once in the middle of a batch.
type halting struct {
	*fake
	halts  atomic.Bool
	halted chan struct{}
	goes   chan struct{}
}

func (h *halting) Registry() api.Registry {
	if h.halts.CompareAndSwap(true, false) {
		close(h.halted)
		<-h.goes
	}
	return h.fake.Registry()
}

// A stream that comes while the last one leaves is told nothing of what that was about to be
// told: it begins with what there is now.
func TestListBeginsAnew(t *testing.T) {
	src := &halting{fake: admintest.New(nil), halted: make(chan struct{}), goes: make(chan struct{})}
	h := newHub(src, slog.New(slog.DiscardHandler))
	if _, err := h.join(t.Context()); err != nil {
		t.Fatal(err)
	}
	src.halts.Store(true)
	src.Create("web", 2)
	<-src.halted
	left := make(chan struct{})
	go func() {
		defer close(left)
		h.leave()
	}()
	for _, there := h.shown(); there; _, there = h.shown() {
		continue // until it has begun to leave
	}
	first, err := h.join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.leave()
	<-first.ready // the first batch of the new list
	close(src.goes)
	<-left
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := first.next; b != nil; b = b.next {
		if b != first.next && b.restart || len(b.changes) > 0 {
			t.Errorf("a batch of the list before: %+v", b)
		}
	}
}
