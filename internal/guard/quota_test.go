package guard

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func TestQuota(t *testing.T) {
	q := NewQuota(60, 6000) // one a second, after 60 at once
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for i := range 60 {
		if !q.Claim(from, now).Allowed() {
			t.Fatalf("claim %d of the first minute's 60 refused", i)
		}
	}
	c := q.Claim(from, now)
	err := c.Settle(false, xlreg.ErrTooManyRequests)
	if c.Allowed() || !errors.Is(err, xlreg.ErrTooManyRequests) {
		t.Errorf("claim 61: allowed %v, %v", c.Allowed(), err)
	}
	if retry := xlreg.RetryAfter(err); retry <= 0 || retry > time.Second {
		t.Errorf("retry after %v, want up to a second", retry)
	}
	if !q.Claim(src("192.0.2.2"), now).Allowed() {
		t.Error("another source pays for it")
	}
	if !q.Claim(from, now.Add(time.Second)).Allowed() {
		t.Error("refused although a second has passed")
	}
}

func TestQuotaGivesBackWhatMadeNothing(t *testing.T) {
	q := NewQuota(1, 1)
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for range 3 {
		c := q.Claim(from, now)
		if !c.Allowed() {
			t.Fatal("refused although nothing was made")
		}
		if err := c.Settle(false, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := q.Claim(from, now)
	if err := c.Settle(true, nil); err != nil || !c.Allowed() {
		t.Fatalf("allowed %v, %v", c.Allowed(), err)
	}
	if q.Claim(from, now).Allowed() {
		t.Error("allowed although one was made")
	}
}

func TestQuotaForgetsTheQuiet(t *testing.T) {
	q := NewQuota(60, 60)
	now := time.Unix(1_700_000_000, 0)
	q.Claim(src("192.0.2.1"), now)
	q.Claim(src("192.0.2.2"), now.Add(time.Hour))
	q.sweep(now.Add(time.Hour))
	if len(q.bySource) != 1 {
		t.Errorf("%d sources kept, want the one that was active", len(q.bySource))
	}
}
