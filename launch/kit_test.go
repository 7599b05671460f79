package launch

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/xlregtest"
)

// TestMain lets the test binary be a shim, or a process that runs programs and is
// to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		if err := Shim(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if script := os.Getenv("LAUNCH_TEST_RUN"); script != "" {
		os.Exit(runToBeKilled(script))
	}
	// With the race detector each shim would sleep a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func testOptions(t interface{ Fatal(...any) }) Options {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{ShimPath: self, ShimArgs: []string{os.Args[0], "shim"}, Grace: time.Minute, Linger: time.Minute}
}

// heard is what programs have written, for tests to wait for.
type heard struct {
	mu      sync.Mutex
	text    strings.Builder // guarded by mu
	changed chan struct{}
}

func newHeard() *heard { return &heard{changed: make(chan struct{}, 1)} }

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// until waits for a text.
func (h *heard) until(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for !strings.Contains(h.String(), text) {
		select {
		case <-h.changed:
		case <-timeout:
			t.Fatalf("no %q in %q", text, h.String())
		}
	}
}

// script is a program for sh.
func script(name, text string, out io.Writer) Program {
	return Program{Name: name, Path: "/bin/sh", Args: []string{"sh", "-c", text}, Stdout: out, Stderr: out}
}

// dataOf returns a cluster as one of its members sees it.
func dataOf(t *testing.T, m *xlregtest.Member, dir string) *Data {
	t.Helper()
	d, err := NewData(m.Roster(), m.Self().Token.ID, dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
