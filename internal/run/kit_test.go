package run

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	timeout := time.After(time.Minute)
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
