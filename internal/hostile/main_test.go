package hostile

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/child"
)

// TestMain is also the program that attacks, in a process of its own, so that a
// registry's clients in the test do not share a scheduler with its enemies.
func TestMain(m *testing.M) {
	if orders := os.Getenv(ordersVariable); orders != "" {
		if err := attack(orders, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer removePrograms()
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// long reports whether there are minutes to spend.
func long() bool { return os.Getenv("XLREG_LONG") != "" }

// programs is where the program is built, once for all tests.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "xlreg-hostile-") })

var program = sync.OnceValues(func() (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	return child.Build(context.Background(), dir)
})

func removePrograms() {
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir) // what stays is in the way of nobody
	}
}
