package guard

import (
	"testing"
	"time"
)

func TestAdmissionLimits(t *testing.T) {
	l := Limits{Connections: 5, ConnectionsPerAddress: 2, ConnectionsLoopback: 3}.WithDefaults()
	a := NewAdmission(&l)
	enter := func(addr string) bool {
		_, ok := a.Enter(src(addr))
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
	a.Leave(src("192.0.2.1"))
	if !enter("192.0.2.2") {
		t.Error("no room after one has left")
	}
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "127.0.0.1", "127.0.0.1", "127.0.0.1"} {
		a.Leave(src(addr))
	}
	if a.Open() != 0 || len(a.open.bySource) != 0 {
		t.Errorf("%d open, %d sources kept, after all have left", a.Open(), len(a.open.bySource))
	}
}

func TestHelloTimeoutShrinksInACrowd(t *testing.T) {
	l := Limits{Hello: 10 * time.Second, CrowdedHello: 3 * time.Second}.WithDefaults()
	a := NewAdmission(&l)
	from := src("127.0.0.1")
	enter := func() time.Duration {
		hello, ok := a.Enter(from)
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
		a.Greeted()
	}
	if got := enter(); got != l.Hello {
		t.Errorf("%v after most have said hello, want %v", got, l.Hello)
	}
}

// Of the refused so many are told why, a quarter of them of one source.
func TestRefusalsAreBounded(t *testing.T) {
	l := Limits{Connections: 16 * 19}
	r := NewRefusals(&l)
	enter := func(addr string, n int) (entered int) {
		for range n {
			if r.Enter(src(addr)) {
				entered++
			}
		}
		return entered
	}
	for _, tc := range []struct {
		addr string
		want int
	}{{"192.0.2.1", 5}, {"192.0.2.2", 5}, {"127.0.0.1", 5}, {"127.0.0.2", 5}, {"127.0.0.3", 0}} {
		if got := enter(tc.addr, 9); got != tc.want {
			t.Errorf("%d told of %s, want %d", got, tc.addr, tc.want)
		}
	}
	r.Leave(src("192.0.2.1"))
	if got := enter("192.0.2.3", 2); got != 1 {
		t.Errorf("%d told when one has been, want 1", got)
	}
	all := DefaultLimits()
	if got := all.Refusals(); got != maxRefusals {
		t.Errorf("%d told at once by default, want %d", got, maxRefusals)
	}
}

func TestLimitsHaveDefaults(t *testing.T) {
	d := DefaultLimits()
	if got := (Limits{}).WithDefaults(); got != d {
		t.Errorf("no limits become %+v, want %+v", got, d)
	}
	d.Hello, d.Handshakes = time.Hour, 7
	if got := (Limits{Hello: time.Hour, Handshakes: 7}).WithDefaults(); got != d {
		t.Errorf("two limits become %+v, want %+v", got, d)
	}
}
