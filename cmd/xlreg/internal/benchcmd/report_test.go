package benchcmd

import (
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.000", 0.0123: "0.012", 0.9996: "1.00", 1: "1.00", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 12345.6: "12346",
	} {
		if got := figures(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

// No table is wider than a terminal, whatever is in it.
func TestBenchTablesFit(t *testing.T) {
	store, n, ms, bytes := "memory", 64, 12345.6, int64(123<<10)
	r := &resultJSON{
		Operation: waiting, Carrier: "2.0", Store: &store, Members: &n, Connections: &n, PerSecond: 123456,
		P50: ms, P90: ms, P99: ms, ServerCPU: &ms, ClientCPU: &ms, ServerMemory: &bytes,
	}
	for _, kind := range benchKinds {
		for _, line := range []string{titleOf(kind, r) + "\n", layOut(kind, nil), layOut(kind, r)} {
			if n := len(line) - 1; n >= 80 {
				t.Errorf("%d characters: %s", n, line)
			}
		}
		if got, want := len(strings.Fields(layOut(kind, r))), len(columns(kind)); got != want {
			t.Errorf("%s: %d columns, want %d: %s", kind, got, want, layOut(kind, r))
		}
	}
}
