package run

import (
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
)

// untilStopped waits until processes have taken SIGSTOP.
func untilStopped(t *testing.T, pids ...int) {
	t.Helper()
	timeout := time.After(time.Minute)
	for _, pid := range pids {
		for {
			if s, ok := proc.Look(pid); ok && s.State == 'T' {
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-timeout:
				t.Fatalf("%d is not stopped", pid)
			}
		}
	}
}
