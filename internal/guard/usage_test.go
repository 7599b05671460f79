package guard_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/guard"
)

func source(addr string) guard.Source { return guard.SourceOf(netip.MustParseAddr(addr)) }

func TestSourcesAsText(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "127.0.0.1": "127.0.0.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := source(addr).String(); got != want {
			t.Errorf("%s is shown as %q, want %q", addr, got, want)
		}
	}
	if got := (guard.Source{}).String(); got != "" {
		t.Errorf("no address is shown as %q", got)
	}
}

func TestAdmissionUsage(t *testing.T) {
	l := guard.DefaultLimits()
	a := guard.NewAdmission(&l)
	want := func(total, ofLoopback, ofOthers int, by string) {
		t.Helper()
		all, loopback, others := a.Usage()
		if all != total || loopback.Used != ofLoopback || others.Used != ofOthers || others.By.String() != by {
			t.Errorf("%d in all, %+v and %+v", all, loopback, others)
		}
	}
	want(0, 0, 0, "")
	for _, from := range []string{"127.0.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "127.0.0.1", "127.0.0.1"} {
		a.Enter(source(from))
	}
	want(6, 3, 2, "192.0.2.2")
	a.Leave(source("192.0.2.2"))
	a.Leave(source("192.0.2.2"))
	want(4, 3, 1, "192.0.2.1")
}

func TestQuotaUsage(t *testing.T) {
	now := time.Now()
	q := guard.NewQuota(guard.Rate{Source: 60, Loopback: 600, Total: 120, Burst: 2 * time.Minute})
	claim := func(from string, n int) {
		c := q.Claim(source(from), now, n)
		_ = c.Settle(true, nil)
	}
	if total, loopback, others := q.Usage(now); total != 0 || loopback.Used != 0 || others.Used != 0 {
		t.Errorf("of a new one %d, %+v and %+v are used", total, loopback, others)
	}
	claim("192.0.2.1", 40)
	claim("192.0.2.2", 10)
	claim("127.0.0.1", 60)
	// One source may have 120 at once, which is what it has in two minutes.
	total, loopback, others := q.Usage(now)
	if total != 50 || others.Used != 20 || others.By != source("192.0.2.1") || loopback.Used != 60 || loopback.By != source("127.0.0.1") {
		t.Errorf("%d in all, %+v and %+v", total, loopback, others)
	}
	total, loopback, others = q.Usage(now.Add(20 * time.Second))
	if total != 10 || others.Used != 10 || loopback.Used != 0 {
		t.Errorf("after a while %d in all, %+v and %+v", total, loopback, others)
	}
}
