package server

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func TestAdmissionLimits(t *testing.T) {
	l := Limits{Connections: 5, ConnectionsPerAddress: 2, ConnectionsLoopback: 3}.withDefaults()
	a := newAdmission(&l)
	enter := func(addr string) bool {
		_, ok := a.enter(src(addr))
		return ok
	}
	for i, tc := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false},
		{"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", false},
		{"192.0.2.2", false}, // the total
	} {
		if got := enter(tc.addr); got != tc.want {
			t.Errorf("connection %d from %s admitted: %v, want %v", i, tc.addr, got, tc.want)
		}
	}
	a.leave(src("192.0.2.1"))
	if !enter("192.0.2.2") {
		t.Error("no room after one has left")
	}
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "127.0.0.1", "127.0.0.1", "127.0.0.1"} {
		a.leave(src(addr))
	}
	if a.open() != 0 || len(a.bySource) != 0 {
		t.Errorf("%d open, %d sources kept, after all have left", a.open(), len(a.bySource))
	}
}

func TestHelloTimeoutShrinksInACrowd(t *testing.T) {
	l := Limits{Hello: 10 * time.Second, CrowdedHello: 3 * time.Second}.withDefaults()
	a := newAdmission(&l)
	from := src("127.0.0.1")
	enter := func() time.Duration {
		hello, ok := a.enter(from)
		if !ok {
			t.Fatal("refused")
		}
		return hello
	}
	for range crowdMin {
		if got := enter(); got != l.Hello {
			t.Fatalf("%v on a quiet server", got)
		}
	}
	if got := enter(); got != l.CrowdedHello {
		t.Errorf("%v while nobody has said hello, want %v", got, l.CrowdedHello)
	}
	for range crowdMin {
		a.greeted()
	}
	if got := enter(); got != l.Hello {
		t.Errorf("%v after most have said hello, want %v", got, l.Hello)
	}
}

func TestQuota(t *testing.T) {
	q := newQuota(60, 6000) // one a second, after 60 at once
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for i := range 60 {
		if !q.claim(from, now).allowed {
			t.Fatalf("claim %d of the first minute's 60 refused", i)
		}
	}
	c := q.claim(from, now)
	err := c.settle(false, xlreg.ErrTooManyRequests)
	if c.allowed || !errors.Is(err, xlreg.ErrTooManyRequests) {
		t.Errorf("claim 61: allowed %v, %v", c.allowed, err)
	}
	if retry := xlreg.RetryAfter(err); retry <= 0 || retry > time.Second {
		t.Errorf("retry after %v, want up to a second", retry)
	}
	if !q.claim(src("192.0.2.2"), now).allowed {
		t.Error("another source pays for it")
	}
	if !q.claim(from, now.Add(time.Second)).allowed {
		t.Error("refused although a second has passed")
	}
}

func TestQuotaGivesBackWhatMadeNothing(t *testing.T) {
	q := newQuota(1, 1)
	now := time.Unix(1_700_000_000, 0)
	from := src("192.0.2.1")
	for range 3 {
		c := q.claim(from, now)
		if !c.allowed {
			t.Fatal("refused although nothing was made")
		}
		if err := c.settle(false, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := q.claim(from, now)
	if err := c.settle(true, nil); err != nil || !c.allowed {
		t.Fatalf("allowed %v, %v", c.allowed, err)
	}
	if q.claim(from, now).allowed {
		t.Error("allowed although one was made")
	}
}

func TestQuotaForgetsTheQuiet(t *testing.T) {
	q := newQuota(60, 60)
	now := time.Unix(1_700_000_000, 0)
	q.claim(src("192.0.2.1"), now)
	q.claim(src("192.0.2.2"), now.Add(time.Hour))
	q.sweep(now.Add(time.Hour))
	if len(q.bySource) != 1 {
		t.Errorf("%d sources kept, want the one that was active", len(q.bySource))
	}
}
