package server

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
)

// A peer's signatures wait for a turn like a handshake, not for ever, and a bad one
// makes a suspect of its source.
func TestSignaturesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := guard.DefaultLimits()
		s := &Server{turns: guard.NewTurns(2)}
		s.limits.Store(&limits)
		peer := func(addr string) *peerSession {
			return &peerSession{server: s, from: guard.SourceOf(netip.MustParseAddr(addr))}
		}
		bad, good := peer("192.0.2.1"), peer("192.0.2.2")
		release, err := bad.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release(false)
		if release, err = bad.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := bad.turn(t.Context()); xlreg.RetryAfter(err) == 0 {
			t.Errorf("a suspect takes all turns: %v", err)
		}
		other, err := good.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release(true)
		other(true)
	})
}

// To sign a roster takes a turn, too: it is a computation that anybody may ask for.
func TestSigningTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := guard.DefaultLimits()
		s := &Server{turns: guard.NewTurns(1)}
		s.limits.Store(&limits)
		p := &peerSession{server: s, from: guard.SourceOf(netip.MustParseAddr("192.0.2.1"))}
		release, err := p.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.sign(t.Context(), nil); xlreg.RetryAfter(err) == 0 {
			t.Errorf("signed while all turns were taken: %v", err)
		}
		release(true)
	})
}

func TestCostOfATokenIsItsPages(t *testing.T) {
	token := &xlreg.Token{Name: "a", CommsKey: xlreg.CommsKey(make([]byte, 294)), SigKey: xlreg.SigKey(make([]byte, 294))}
	for n, want := range map[int]int{0: 1, 1200: 1, 3507: 2, 4096: 2} {
		token.Labels = make([]byte, n)
		if got := cost(token); got != want {
			t.Errorf("labels of %d bytes: %d writes, want %d", n, got, want)
		}
	}
}
