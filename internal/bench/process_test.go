package bench_test

import (
	"io"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/internal/guard"
)

// A process tells what it uses, and ends when nobody asks any more.
func TestProcess(t *testing.T) {
	p := start(t, must[[]*identity.Node](t)(few())[0].Keys(), bench.Memory)
	begun, err := p.CPU()
	if err != nil || begun <= 0 {
		t.Fatalf("processor time %v, %v", begun, err)
	}
	if err := p.Decrypt(50); err != nil {
		t.Fatal(err)
	}
	if ended, err := p.CPU(); err != nil || ended <= begun {
		t.Errorf("processor time %v after decryptions, %v before, %v", ended, begun, err)
	}
	begunCollections, err := p.Collections()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Memory(); err != nil || n < 1<<20 || n > 1<<30 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := p.Collections(); err != nil || n <= begunCollections {
		t.Errorf("%d collections after one was asked for, %d before, %v", n, begunCollections, err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A process that cannot start says why.
func TestProcessThatDoesNotStart(t *testing.T) {
	_, err := bench.Start(self(t), must[[]*identity.Node](t)(few())[0].Keys(), "paper", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `store "paper"`) {
		t.Errorf("got %v", err)
	}
}

func TestServeRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {bench.Memory}, {"paper", "dir"}, {bench.Bbolt, "/nonexistent/dir"}, {bench.Memory, t.TempDir()}} {
		if err := bench.Serve(args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// What is promised leaves room for the sessions beside a crowd.
func TestMostConnections(t *testing.T) {
	if all := guard.DefaultLimits().Connections; bench.MostConnections+2*bench.Clients > all {
		t.Errorf("%d connections of %d", bench.MostConnections, all)
	}
}
