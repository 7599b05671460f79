//go:build unix

package lifecmd

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSignal is the highest that there is on any system.
const maxSignal = 127

// parseSignal reads a signal: KILL, SIGKILL, kill or 9.
func parseSignal(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= maxSignal {
		return n, nil
	}
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")); sig != 0 {
		return int(sig), nil
	}
	return 0, errors.New("want the name or the number of a signal, such as TERM or 15")
}
