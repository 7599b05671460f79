package guard

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// Whoever meets a limit is refused with its name, and the peer's error says nothing of it.
func TestTheLimitThatIsMet(t *testing.T) {
	names := Names{Source: "source", Loopback: "loopback", Total: "total"}
	now := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		rate Rate
		addr string
		want string
	}{
		{Rate{Source: 1, Loopback: 1, Names: names}, "192.0.2.1", "source"},
		{Rate{Source: 1, Loopback: 1, Names: names}, "127.0.0.1", "loopback"},
		{Rate{Source: 9, Loopback: 1, Total: 1, Names: names}, "192.0.2.1", "total"},
	} {
		q := NewQuota(tc.rate)
		first := q.Claim(src(tc.addr), now, 1)
		if err := first.Settle(true, nil); err != nil {
			t.Fatal(err)
		}
		second := q.Claim(src(tc.addr), now, 1)
		err := second.Settle(false, xlreg.ErrTooManyRequests)
		var met *Met
		if !errors.As(err, &met) || met.Limit != tc.want || !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
			t.Errorf("%s: %v, by %+v, want %s", tc.addr, err, met, tc.want)
		}
		if err.Error() != xlreg.ErrTooManyRequests.Error() {
			t.Errorf("the peer is told %q", err)
		}
	}
}

func TestTheLimitOfConnectionsThatIsMet(t *testing.T) {
	l := Limits{Connections: 4, ConnectionsPerAddress: 1, ConnectionsLoopback: 2}.WithDefaults()
	a := NewAdmission(&l)
	for _, tc := range []struct{ addr, want string }{
		{"192.0.2.1", ""}, {"192.0.2.1", MaxConnectionsPerAddress},
		{"127.0.0.1", ""}, {"127.0.0.1", ""}, {"127.0.0.1", MaxConnectionsLoopback},
		{"192.0.2.2", ""}, {"192.0.2.3", MaxConnections}, {"127.0.0.1", MaxConnections},
	} {
		_, ok := a.Enter(src(tc.addr))
		if ok != (tc.want == "") || !ok && a.Met(src(tc.addr)) != tc.want {
			t.Errorf("from %s: %v, by %s, want %q", tc.addr, ok, a.Met(src(tc.addr)), tc.want)
		}
	}
}
