//go:build unix && !linux

package run

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// canAdopt says that what a program has started is found wherever it went.
const canAdopt = false

// untilStopped waits until processes have taken SIGSTOP.
func untilStopped(t *testing.T, pids ...int) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	for _, pid := range pids {
		for {
			state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
			if err != nil || time.Now().After(limit) {
				t.Fatalf("%d is not stopped: %q, %v", pid, state, err)
			}
			if strings.HasPrefix(string(state), "T") {
				break
			}
		}
	}
}
