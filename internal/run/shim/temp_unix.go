//go:build unix

package shim

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/xlattice/xlreg/internal/run/proc"
)

// TempStage is the argument of a shim that looks after a directory. The directory, the mark
// of the programs that use it, and their grace follow.
const TempStage = "temp"

// keepTemp is the life of a shim that looks after a directory: it removes that when the
// process that has started it is gone without a word. Signals are not for it: whoever sends
// one to everything that is called xlreg means that process.
func keepTemp(args []string, in io.Reader) error {
	if len(args) != 3 {
		return errors.New("shim: only a supervisor calls it")
	}
	path, mark := args[0], args[1]
	grace, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if n, _ := in.Read(make([]byte, 1)); n > 0 {
		return nil
	}
	proc.Outlive(mark, time.Now().Add(grace+Margin))
	return os.RemoveAll(path)
}
