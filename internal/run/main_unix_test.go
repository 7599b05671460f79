//go:build unix

package run

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// TestMain lets the test binary be a shim, or a process that runs programs and is
// to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shim" {
		if err := shim.Run(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if script := os.Getenv("RUN_TEST_RUN"); script != "" {
		os.Exit(runToBeKilled(script))
	}
	if os.Getenv("RUN_TEST_LEAVE_GROUP") != "" {
		os.Exit(leaveGroup())
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
