package guard

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

// New limits count for whoever comes next; those who are there stay.
func TestAdmissionWithOtherLimits(t *testing.T) {
	from := SourceOf(netip.MustParseAddr("192.0.2.1"))
	l := Limits{Connections: 10, ConnectionsPerAddress: 2, Hello: time.Second}.WithDefaults()
	a := NewAdmission(&l)
	enter := func(want bool) {
		t.Helper()
		if _, ok := a.Enter(from); ok != want {
			t.Errorf("with %d open: %v, want %v", a.Open(), ok, want)
		}
	}
	enter(true)
	enter(true)
	enter(false)
	more := l
	more.ConnectionsPerAddress, more.Hello = 3, time.Minute
	a.SetLimits(&more)
	if hello, ok := a.Enter(from); !ok || hello != time.Minute {
		t.Errorf("%v for a hello, %v", hello, ok)
	}
	enter(false)
	a.SetLimits(&l)
	if a.Open() != 3 {
		t.Errorf("%d open", a.Open())
	}
	a.Leave(from)
	enter(false)
	a.Leave(from)
	enter(true)
	l.Connections = 1 // the caller's own
	enter(false)
	a.Leave(from)
	enter(true)
}

func TestRefusalsWithOtherLimits(t *testing.T) {
	from := SourceOf(netip.MustParseAddr("192.0.2.1"))
	few, many := Limits{Connections: 1}, Limits{Connections: 16384}
	r := NewRefusals(&few)
	if !r.Enter(from) || r.Enter(from) {
		t.Error("want one")
	}
	r.SetLimits(&many)
	if !r.Enter(from) {
		t.Error("want more than one")
	}
}

// A source keeps what it has left, up to what it may have at once by the new rate.
func TestQuotaWithAnotherRate(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	known, strange := SourceOf(netip.MustParseAddr("192.0.2.1")), SourceOf(netip.MustParseAddr("192.0.2.2"))
	q := NewQuota(Rate{Source: 60, Loopback: 60})
	claim := func(from Source, n int) bool {
		c := q.Claim(from, now, n)
		return c.Allowed()
	}
	if !claim(known, 50) {
		t.Fatal("refused within the quota")
	}
	q.SetRate(Rate{Source: 600, Loopback: 60, Total: 1000}, now)
	if claim(known, 11) || !claim(known, 10) {
		t.Error("what was left has changed")
	}
	now = now.Add(time.Second) // ten more, by the new rate
	if !claim(known, 10) || claim(known, 1) {
		t.Error("the new rate does not count for a source that was known")
	}
	if !claim(strange, 600) || claim(strange, 1) {
		t.Error("the new rate does not count for a source that is new")
	}
	if claim(SourceOf(netip.MustParseAddr("192.0.2.3")), 600) {
		t.Error("the new total does not count")
	}
	now = now.Add(time.Hour)
	q.SetRate(Rate{Source: 6, Loopback: 60}, now)
	if !claim(known, 6) || claim(known, 1) {
		t.Error("a lower rate does not count")
	}
}

// Limits change while they are in use.
func TestChangesBesideClaims(t *testing.T) {
	from := SourceOf(netip.MustParseAddr("192.0.2.1"))
	l := DefaultLimits()
	a, q := NewAdmission(&l), NewQuota(Rate{Source: 60})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				if _, ok := a.Enter(from); ok {
					a.Leave(from)
				}
				c := q.Claim(from, time.Now(), 1)
				_ = c.Settle(true, nil)
				if i%100 == 0 {
					a.SetLimits(&l)
					q.SetRate(Rate{Source: 60 + i, Total: i}, time.Now())
				}
			}
		})
	}
	all.Wait()
	if a.Open() != 0 {
		t.Errorf("%d open", a.Open())
	}
}
