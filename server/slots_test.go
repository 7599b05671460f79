package server

import (
	"context"
	"net/netip"
	"testing"
)

func src(s string) source { return sourceOf(netip.MustParseAddr(s)) }

// queue puts a waiter into line and returns what it waits for.
func queue(t *testing.T, s *slots, from source) *turn {
	t.Helper()
	w := s.enter(from)
	if w == nil {
		t.Fatal("a slot was free")
	}
	return w
}

func granted(w *turn) bool {
	select {
	case <-w.granted:
		return true
	default:
		return false
	}
}

// Whoever queued a hundred requests first gets one of every two slots, not the
// next hundred.
func TestSlotsAreHandedOutInTurn(t *testing.T) {
	s := newSlots(1)
	if err := s.acquire(t.Context(), src("127.0.0.9")); err != nil {
		t.Fatal(err)
	}
	var flood []*turn
	for range 100 {
		flood = append(flood, queue(t, s, src("127.0.0.2")))
	}
	honest := []*turn{queue(t, s, src("127.0.0.1")), queue(t, s, src("127.0.0.1"))}
	for i, want := range []struct{ flood, honest int }{{1, 0}, {1, 1}, {2, 1}, {2, 2}, {3, 2}} {
		s.release()
		if f, h := count(flood), count(honest); f != want.flood || h != want.honest {
			t.Errorf("after %d releases the flood has had %d and the others %d, want %+v", i+1, f, h, want)
		}
	}
}

func count(waiters []*turn) (n int) {
	for _, w := range waiters {
		if granted(w) {
			n++
		}
	}
	return n
}

func TestSlotsThatNobodyWaitsForAnyMore(t *testing.T) {
	s := newSlots(1)
	from := src("10.0.0.1")
	if err := s.acquire(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.acquire(ctx, from); err == nil {
		t.Fatal("a slot although there is none")
	}
	late := queue(t, s, from)
	s.release()
	s.abandon(late) // its slot came too late: it goes back
	if s.free != 1 {
		t.Errorf("%d slots free, want the one there is", s.free)
	}
	if s.order.Len() != 0 || len(s.queues) != 0 {
		t.Errorf("%d sources still queued", len(s.queues))
	}
}

// Who comes last is served first: in a flood the others have given up.
func TestNewestFirstWithinASource(t *testing.T) {
	s := newSlots(1)
	from := src("10.0.0.1")
	if err := s.acquire(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	old, newest := queue(t, s, from), queue(t, s, from)
	s.release()
	if !granted(newest) || granted(old) {
		t.Error("the older one was served first")
	}
	s.release()
	if !granted(old) {
		t.Error("the older one is not served at all")
	}
}

func TestSources(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"127.0.0.1", "127.0.0.2", false},
	} {
		if got := src(tc.a) == src(tc.b); got != tc.same {
			t.Errorf("%s and %s the same source: %v, want %v", tc.a, tc.b, got, tc.same)
		}
	}
	if !src("127.0.0.2").loopback || !src("::1").loopback || src("192.0.2.1").loopback {
		t.Error("loopback not told from others")
	}
}
