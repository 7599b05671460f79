package host

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
)

// TestTimeouts holds the second table of docs/timeouts.md against the values in use. That
// they do what the table says is for the tests of internal/session and internal/server
// (TestSlowHandshake, TestSlowLine, TestSlowReader, TestIdle) to show, and for those of
// internal/partition.
func TestTimeouts(t *testing.T) {
	l := guard.DefaultLimits()
	inUse := map[string]time.Duration{
		"the Hello of a new connection, or the ClientHello": l.Hello,
		"the rest of a TLS handshake":                       3 * l.Hello,
		"the next byte of a request that has begun":         l.Message,
		"the next request":                                  l.Idle,
		"the peer to take the next byte of an answer":       l.Write,
		"the members that a request waits for":              xlreg.DefaultMaxWait,
		"a peer that is gone without a word":                deadPeer,
		"requests under way when it is told to stop":        l.Drain,
	}
	b, err := os.ReadFile("../../docs/timeouts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "## What a registry waits for")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.Contains(line, "---") || strings.TrimSpace(cells[1]) == "step" {
			continue
		}
		rows++
		step := strings.TrimSpace(cells[1])
		says, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(cells[2]), " ", ""))
		if err != nil || says != inUse[step] {
			t.Errorf("%q: the table says %s, in use is %v", step, cells[2], inUse[step])
		}
	}
	if rows != len(inUse) {
		t.Errorf("%d rows, want %d", rows, len(inUse))
	}
}
