package guard

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func allowed(q *Quota, from Source, now time.Time) bool {
	c := q.Claim(from, now, 1)
	return c.Allowed()
}

func TestQuota(t *testing.T) {
	q := NewQuota(Rate{Source: 60, Loopback: 6000}) // one a second, after 60 at once
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for i := range 60 {
		if !allowed(q, from, now) {
			t.Fatalf("claim %d of the first minute's 60 refused", i)
		}
	}
	c := q.Claim(from, now, 1)
	err := c.Settle(false, xlreg.ErrTooManyRequests)
	if c.Allowed() || !errors.Is(err, xlreg.ErrTooManyRequests) {
		t.Errorf("claim 61: allowed %v, %v", c.Allowed(), err)
	}
	if retry := xlreg.RetryAfter(err); retry <= 0 || retry > time.Second {
		t.Errorf("retry after %v, want up to a second", retry)
	}
	if !allowed(q, src("192.0.2.2"), now) {
		t.Error("another source pays for it")
	}
	if !allowed(q, from, now.Add(time.Second)) {
		t.Error("refused although a second has passed")
	}
}

func TestQuotaGivesBackWhatMadeNothing(t *testing.T) {
	q := NewQuota(Rate{Source: 1, Loopback: 1})
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for range 3 {
		c := q.Claim(from, now, 1)
		if !c.Allowed() {
			t.Fatal("refused although nothing was made")
		}
		if err := c.Settle(false, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := q.Claim(from, now, 1)
	if err := c.Settle(true, nil); err != nil || !c.Allowed() {
		t.Fatalf("allowed %v, %v", c.Allowed(), err)
	}
	if allowed(q, from, now) {
		t.Error("allowed although one was made")
	}
}

func TestQuotaForgetsTheQuiet(t *testing.T) {
	q := NewQuota(Rate{Source: 60, Loopback: 60})
	now := time.Unix(1_700_000_000, 0)
	q.Claim(src("192.0.2.1"), now, 1)
	q.Claim(src("192.0.2.2"), now.Add(time.Hour), 1)
	q.sweep(now.Add(time.Hour))
	if len(q.bySource) != 1 {
		t.Errorf("%d sources kept, want the one that was active", len(q.bySource))
	}
}

func TestQuotaOfManyUnits(t *testing.T) {
	q := NewQuota(Rate{Source: 60, Loopback: 600})
	now := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		addr  string
		units int
		want  bool
	}{
		{"192.0.2.1", 59, true}, {"192.0.2.1", 2, false}, {"192.0.2.1", 1, true}, // what was refused took nothing
		{"127.0.0.1", 600, true}, {"127.0.0.1", 1, false},
		{"192.0.2.2", 1000, true}, {"192.0.2.2", 1, false}, // more than a minute's worth is that
	} {
		c := q.Claim(src(tc.addr), now, tc.units)
		if c.Allowed() != tc.want {
			t.Errorf("%d units for %s: %v, want %v", tc.units, tc.addr, c.Allowed(), tc.want)
		}
	}
}

// A source that was quiet may have some minutes' worth at once, and in the long run no
// more than others.
func TestQuotaOfBursts(t *testing.T) {
	q := NewQuota(Rate{Source: 60, Loopback: 600, Burst: 4 * time.Minute})
	now := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		addr  string
		after time.Duration
		units int
		want  bool
	}{
		{"192.0.2.1", 0, 240, true},
		{"192.0.2.1", 0, 1, false},
		{"192.0.2.1", time.Minute, 61, false},
		{"192.0.2.1", time.Minute, 60, true},
		{"192.0.2.1", time.Hour, 241, true}, // taken for 240, the most there is
		{"192.0.2.1", time.Hour, 1, false},
		{"127.0.0.1", 0, 600, true}, // loopback has a minute's worth, as ever
		{"127.0.0.1", 0, 1, false},
	} {
		c := q.Claim(src(tc.addr), now.Add(tc.after), tc.units)
		if c.Allowed() != tc.want {
			t.Errorf("%d units for %s after %v: %v, want %v", tc.units, tc.addr, tc.after, c.Allowed(), tc.want)
		}
	}
	q = NewQuota(Rate{Source: 1, Burst: time.Second})
	if !allowed(q, src("192.0.2.1"), now) {
		t.Error("a short burst allows nothing at all")
	}
}

// All sources together have so much, loopback aside; and who is refused for want of
// that pays nothing of its own.
func TestQuotaInTotal(t *testing.T) {
	q := NewQuota(Rate{Source: 2, Loopback: 100, Total: 3})
	now := time.Unix(1_700_000_000, 0)
	for i, tc := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.3", false},
		{"127.0.0.1", true}, {"127.0.0.1", true},
	} {
		if got := allowed(q, src(tc.addr), now); got != tc.want {
			t.Errorf("claim %d from %s: %v, want %v", i, tc.addr, got, tc.want)
		}
	}
	if n := q.bySource[src("192.0.2.3")].TokensAt(now); n != 2 {
		t.Errorf("%v of 2 left to one that was refused", n)
	}
	if !allowed(q, src("192.0.2.3"), now.Add(20*time.Second)) {
		t.Error("refused although a third of a minute has passed")
	}
}
