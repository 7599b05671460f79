// Package early turns this program into a shim, if it was called as one, while it is still
// being initialized.
//
// 'run' and 'join' start a shim for each program, and some start many programs. Most of what
// a start of xlreg takes is the initialization of packages for databases, networks and
// monitoring, which a shim does without. Go initializes packages in the order of their
// paths, as soon as all that they import is ready (The Go Programming Language
// Specification, Program initialization). This package imports little, so its turn comes
// before theirs. If it did not, a shim would only start more slowly.
package early

import (
	"fmt"
	"os"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// ShimCommand is the first argument that this program is called by to be a shim. It is none
// of the commands.
const ShimCommand = "shim"

func init() {
	if len(os.Args) < 2 || os.Args[1] != ShimCommand {
		return
	}
	if err := shim.Run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "xlreg:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
