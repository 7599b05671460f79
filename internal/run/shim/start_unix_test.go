//go:build unix

package shim

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestExplainStart(t *testing.T) {
	if err := ExplainStart(nil); err != nil {
		t.Error(err)
	}
	for cause, explained := range map[error]bool{syscall.EAGAIN: true, syscall.ENOENT: false} {
		err := ExplainStart(&os.PathError{Op: "fork/exec", Path: "x", Err: cause})
		if !errors.Is(err, cause) || strings.Contains(err.Error(), "ulimit -u") != explained {
			t.Errorf("got %v", err)
		}
	}
}
