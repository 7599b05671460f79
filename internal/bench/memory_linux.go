package bench

import (
	"os"

	"github.com/xlattice/xlreg/internal/child"
)

// anonymousMemory returns the bytes of anonymous memory that the process has
// resident: what it allocated, without the files that it has mapped.
func anonymousMemory() (int64, error) { return child.AnonymousOf(os.Getpid()) }
