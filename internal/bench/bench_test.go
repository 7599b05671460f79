package bench_test

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/bench"
	"github.com/xlattice/xlreg/keys"
)

// serverEnv makes the test binary the server process.
const serverEnv = "XLREG_BENCH_SERVER"

// profileEnv names a file that the server process writes a profile of its processor time to.
const profileEnv = "XLREG_BENCH_PROFILE"

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve is the server process. Its processor time is not in the profiles that "go test"
// writes, so it writes its own where it is told to.
func serve() error {
	to := os.Getenv(profileEnv)
	if to == "" {
		return bench.Serve(os.Args[1:], os.Stdin, os.Stdout)
	}
	f, err := os.Create(to + "." + strconv.Itoa(os.Getpid())) // several may be told the same
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return bench.Serve(os.Args[1:], os.Stdin, os.Stdout)
}

// protocols are the carriers.
var protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}

// nodes returns n nodes with keys, certificates and token signatures made.
func nodes(tb testing.TB, n int) []*identity.Node {
	tb.Helper()
	list, err := bench.NewNodes(tb.Context(), n, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// few are nodes for tests that need a few, as keys take long to make.
var few = sync.OnceValues(func() ([]*identity.Node, error) { return bench.NewNodes(context.Background(), 4, nil) })

// start starts a registry in a process of its own, that ends with the benchmark.
func start(tb testing.TB, set *keys.Set, store string) *bench.Process {
	tb.Helper()
	p, err := bench.Start(self(tb), set, store, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// self is how the test binary becomes a server process.
func self(tb testing.TB) bench.Command {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return bench.Command{Path: exe, Args: []string{exe}, Env: []string{serverEnv + "=1"}}
}

// must is for what has an error that ends a benchmark.
func must[T any](tb testing.TB) func(T, error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
