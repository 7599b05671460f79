package main

import (
	"io"
	"os"

	"github.com/xlattice/xlreg/internal/run"
)

// shimCommand is the first argument that 'run' and 'join' call this program by, for it to
// look after one program. It is not one of the commands: there is a shim for each program,
// which should start without all that commands need.
const shimCommand = "shim"

func isShim(args []string) bool { return len(args) > 1 && args[1] == shimCommand }

// beShim is the life of a shim. It returns the exit code.
func beShim(args []string, stderr io.Writer) int {
	if err := run.Shim(args[2:]); err != nil {
		tellError(stderr, err, false)
		return exitCode(err)
	}
	return exitDone
}

// launchOptions are those that run and join have in common.
func (g *globals) launchOptions() (run.Options, error) {
	self, err := os.Executable()
	return run.Options{ShimPath: self, ShimArgs: []string{g.Program, shimCommand}}, err
}
