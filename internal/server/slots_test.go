package server

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func src(s string) source { return sourceOf(netip.MustParseAddr(s)) }

// queue puts a waiter into line and returns what it waits for.
func queue(t *testing.T, s *slots, from source) *turn {
	t.Helper()
	w := s.enter(from)
	if granted(w) {
		t.Fatal("a slot was free")
	}
	return w
}

// takeSlot returns a turn that has its slot.
func takeSlot(t *testing.T, s *slots, from source) *turn {
	t.Helper()
	w := s.enter(from)
	if !granted(w) {
		t.Fatal("no slot was free")
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
	held := takeSlot(t, s, src("127.0.0.9"))
	var flood []*turn
	for range 100 {
		flood = append(flood, queue(t, s, src("127.0.0.2")))
	}
	honest := []*turn{queue(t, s, src("127.0.0.1")), queue(t, s, src("127.0.0.1"))}
	for i, want := range []struct{ flood, honest int }{{1, 0}, {1, 1}, {2, 1}, {2, 2}, {3, 2}} {
		s.release(held) // whose slot it was is all the same
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
	release, err := s.acquire(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.acquire(ctx, from); err == nil {
		t.Fatal("a slot although there is none")
	}
	late := queue(t, s, from)
	release()
	s.abandon(late) // its slot came too late: it goes back
	if s.free != 1 {
		t.Errorf("%d slots free, want the one there is", s.free)
	}
	if s.first.order.Len() != 0 || len(s.first.queues) != 0 {
		t.Errorf("%d sources still queued", len(s.first.queues))
	}
}

// Who comes last is served first: in a flood the others have given up.
func TestNewestFirstWithinASource(t *testing.T) {
	s := newSlots(1)
	from := src("10.0.0.1")
	held := takeSlot(t, s, from)
	old, newest := queue(t, s, from), queue(t, s, from)
	s.release(held)
	if !granted(newest) || granted(old) {
		t.Error("the older one was served first")
	}
	s.release(newest)
	if !granted(old) {
		t.Error("the older one is not served at all")
	}
}

// All suspects together have half of the slots, and wait for everybody else.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(4)
		bad, worse, good := src("10.0.0.1"), src("10.0.0.2"), src("10.0.0.3")
		var held []*turn
		for range 4 {
			held = append(held, takeSlot(t, s, good))
		}
		waiting := []*turn{queue(t, s, bad), queue(t, s, bad)}
		s.suspect(bad) // and what it has queued already
		s.suspect(worse)
		waiting = append(waiting, queue(t, s, worse))
		behind := queue(t, s, good)
		s.release(held[0])
		if !granted(behind) || count(waiting) != 0 {
			t.Error("a suspect was served before another")
		}
		for _, h := range held[1:] {
			s.release(h)
		}
		if n := count(waiting); n != 2 {
			t.Errorf("suspects have %d of 4 slots, want 2", n)
		}
		takeSlot(t, s, good) // one is left, for others
		for _, w := range waiting {
			if granted(w) {
				s.release(w)
				break
			}
		}
		if n := count(waiting); n != 3 {
			t.Errorf("%d of 3 served when one has done", n)
		}
		s.release(behind)
		if w := s.enter(bad); granted(w) {
			t.Error("a suspect has a third slot")
		}
		<-time.After(suspectFor)
		takeSlot(t, s, bad) // it has served its time
	})
}

// A suspect waits for so many turns and no more: its oldest are dropped.
func TestSuspectsTurnsAreBounded(t *testing.T) {
	s := newSlots(1)
	bad := src("10.0.0.1")
	held := takeSlot(t, s, src("10.0.0.2"))
	oldest := queue(t, s, bad)
	s.suspect(bad)
	var newest *turn
	for range suspectTurns {
		newest = queue(t, s, bad)
	}
	if !oldest.isDropped() {
		t.Error("the oldest still waits")
	}
	s.abandon(oldest) // it had no slot to give back
	if s.free != 0 {
		t.Errorf("%d slots free, all are held", s.free)
	}
	s.release(held)
	if !granted(newest) || granted(oldest) {
		t.Error("not the newest was served")
	}
}

// Suspects are forgotten, however many there are.
func TestSuspectsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		for i := range 3 * sweepBeyond {
			s.suspect(sourceOf(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})))
			if i == 2*sweepBeyond {
				<-time.After(suspectFor + time.Second)
			}
		}
		if n := len(s.suspects); n > sweepBeyond+1 {
			t.Errorf("%d suspects kept", n)
		}
	})
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
