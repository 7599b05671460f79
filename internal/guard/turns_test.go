package guard

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// wait queues a ticket for which there is no turn yet.
func wait(t *testing.T, turns *Turns, from Source) *ticket {
	t.Helper()
	k := turns.enter(from)
	if called(k) {
		t.Fatal("a turn was free")
	}
	return k
}

// take takes a turn that is free.
func take(t *testing.T, turns *Turns, from Source) *ticket {
	t.Helper()
	k := turns.enter(from)
	if !called(k) {
		t.Fatal("no turn was free")
	}
	return k
}

func called(k *ticket) bool {
	select {
	case <-k.called:
		return true
	default:
		return false
	}
}

func count(tickets []*ticket) (n int) {
	for _, k := range tickets {
		if called(k) {
			n++
		}
	}
	return n
}

// A source that queued a hundred handshakes first gets every other turn, not the
// next hundred.
func TestTurnsGoRoundAmongSources(t *testing.T) {
	turns := NewTurns(1)
	held := take(t, turns, src("127.0.0.9"))
	var flood []*ticket
	for range 100 {
		flood = append(flood, wait(t, turns, src("127.0.0.2")))
	}
	honest := []*ticket{wait(t, turns, src("127.0.0.1")), wait(t, turns, src("127.0.0.1"))}
	for i, want := range []struct{ flood, honest int }{{1, 0}, {1, 1}, {2, 1}, {2, 2}, {3, 2}} {
		turns.release(held) // whose turn it was makes no difference
		if f, h := count(flood), count(honest); f != want.flood || h != want.honest {
			t.Errorf("after %d releases the flood has had %d and the others %d, want %+v", i+1, f, h, want)
		}
	}
}

func TestTurnsThatNobodyWaitsForAnyMore(t *testing.T) {
	turns := NewTurns(1)
	from := src("10.0.0.1")
	release, err := turns.Wait(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turns.Wait(ctx, from); err == nil {
		t.Fatal("a turn although there is none")
	}
	late := wait(t, turns, from)
	release()
	turns.abandon(late) // its turn came too late: it goes back
	if turns.free != 1 {
		t.Errorf("%d turns free, want the one there is", turns.free)
	}
	checkNobodyWaits(t, turns)
}

func checkNobodyWaits(t *testing.T, turns *Turns) {
	t.Helper()
	if n := len(turns.queues) + turns.trusted.Len() + turns.suspected.Len(); n != 0 {
		t.Errorf("queues that nobody waits in are left: %d, %d in rounds", len(turns.queues), n-len(turns.queues))
	}
}

// The last to come is served first: in a flood the others have given up.
func TestNewestFirstWithinASource(t *testing.T) {
	turns := NewTurns(1)
	from := src("10.0.0.1")
	held := take(t, turns, from)
	old, newest := wait(t, turns, from), wait(t, turns, from)
	turns.release(held)
	if !called(newest) || called(old) {
		t.Error("the older one was served first")
	}
	turns.release(newest)
	if !called(old) {
		t.Error("the older one is not served at all")
	}
}

// All suspects together have half of the turns, and wait for everybody else.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(4)
		bad, worse, good := src("10.0.0.1"), src("10.0.0.2"), src("10.0.0.3")
		var held []*ticket
		for range 4 {
			held = append(held, take(t, turns, good))
		}
		waiting := []*ticket{wait(t, turns, bad), wait(t, turns, bad)}
		turns.Wasted(bad) // which goes for what it has waiting already, too
		turns.Wasted(worse)
		waiting = append(waiting, wait(t, turns, worse))
		behind := wait(t, turns, good)
		turns.release(held[0])
		if !called(behind) || count(waiting) != 0 {
			t.Error("a suspect was served before another")
		}
		for _, h := range held[1:] {
			turns.release(h)
		}
		if n := count(waiting); n != 2 {
			t.Errorf("suspects have %d of 4 turns, want 2", n)
		}
		take(t, turns, good) // one is left, for others
		for _, k := range waiting {
			if called(k) {
				turns.release(k)
				break
			}
		}
		if n := count(waiting); n != 3 {
			t.Errorf("%d of 3 served when one has done", n)
		}
		turns.release(behind)
		if k := turns.enter(bad); called(k) {
			t.Error("a suspect has a third turn")
		}
		<-time.After(suspectFor)
		take(t, turns, bad) // it is no suspect any more
	})
}

// A source that becomes a suspect and is trusted again has its place in the round
// once, not twice.
func TestFormerSuspectsHaveOnePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1)
		bad, good := src("10.0.0.1"), src("10.0.0.2")
		held := take(t, turns, good)
		early := wait(t, turns, bad)
		turns.Wasted(bad)
		turns.abandon(early)
		checkNobodyWaits(t, turns)
		<-time.After(suspectFor)
		former := []*ticket{wait(t, turns, bad), wait(t, turns, bad)}
		other := wait(t, turns, good)
		turns.release(held)
		turns.release(held)
		if count(former) != 1 || !called(other) {
			t.Errorf("of two turns the former suspect had %d", count(former))
		}
	})
}

// A suspect that has many tickets keeps the order, newest first, when it becomes one.
func TestSuspectsKeepTheirOrder(t *testing.T) {
	turns := NewTurns(1)
	bad := src("10.0.0.1")
	held := take(t, turns, src("10.0.0.2"))
	var waiting []*ticket
	for range 3 {
		waiting = append(waiting, wait(t, turns, bad))
	}
	turns.Wasted(bad)
	for i := range waiting {
		turns.release(held)
		held = waiting[len(waiting)-1-i]
		if !called(held) || count(waiting) != i+1 {
			t.Fatalf("turn %d did not go to the newest", i)
		}
	}
}

// Suspects are forgotten when their time is over, a few with each call, so that no
// call takes longer than another.
func TestSuspectsAreForgotten(t *testing.T) {
	const many = 3000
	s := newSuspects()
	now := time.Unix(1_700_000_000, 0)
	for i := range many {
		s.add(numbered(i), now)
	}
	if !s.has(numbered(0), now.Add(suspectFor-1)) || len(s.places) != many {
		t.Error("forgotten too early")
	}
	later := now.Add(suspectFor)
	if s.has(numbered(many-1), later) {
		t.Error("a suspect for too long")
	}
	if n := len(s.places); n < many-2 {
		t.Errorf("one call dropped %d", many-n)
	}
	for i := range many {
		s.add(numbered(i%2), later)
	}
	if len(s.places) != 2 || s.order.Len() != 2 {
		t.Errorf("%d suspects and %d places in the order are left, want the 2 new ones", len(s.places), s.order.Len())
	}
}

func numbered(i int) Source { return SourceOf(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})) }

// The oldest of too many handshakes of a suspect is dropped, and has no turn that it
// could give back.
func TestSuspectMayNotWaitWithoutBound(t *testing.T) {
	turns := NewTurns(1)
	good, bad := src("10.0.0.1"), src("10.0.0.2")
	held := take(t, turns, good)
	turns.Wasted(bad)
	var waiting []*ticket
	for range suspectWaits {
		waiting = append(waiting, wait(t, turns, bad))
	}
	newest := wait(t, turns, bad)
	oldest := waiting[0]
	if !called(oldest) || !oldest.dropped || count(waiting) != 1 {
		t.Fatalf("%d of the older ones ended, want the oldest alone", count(waiting))
	}
	turns.abandon(oldest)
	if turns.free != 0 {
		t.Error("the dropped one gave back a turn that it never had")
	}
	for _, k := range append(waiting[1:], newest) {
		turns.abandon(k)
	}
	turns.release(held)
	if turns.free != 1 {
		t.Errorf("%d turns free, want the one there is", turns.free)
	}
	checkNobodyWaits(t, turns)
}
