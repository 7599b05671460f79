package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/child"
	"github.com/xlattice/xlreg/keys"
)

func TestMain(m *testing.M) {
	if os.Getenv(runMember) != "" {
		os.Exit(beMember(os.Args[1:]))
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

// either returns the measure of the form that is run.
func either(short, inLong int) int {
	if long() {
		return inLong
	}
	return short
}

// alongside lets a test run together with others in the short form, where it mostly
// waits. In the long one each has the machine for itself.
func alongside(t *testing.T) {
	t.Helper()
	if !long() {
		t.Parallel()
	}
}

// patience is for what must happen, on any machine.
const patience = 3 * time.Minute

// newSeed returns what the clients' choices follow from, and says so.
func newSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64N(1_000_000)
	if given := os.Getenv("XLREG_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("XLREG_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("repeat with XLREG_SEED=%d", seed)
	return seed
}

// programs is where the program is built, once for all tests.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "xlreg-torture-") })

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

// keyPairs is how many pairs all classic nodes share, who are told apart by their names.
const keyPairs = 2

// memberKeys are made once: they are what takes longest.
var memberKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, keyPairs)
	var making sync.WaitGroup
	for i := range all {
		making.Go(func() {
			set, err := keys.Generate(keys.RSA, keys.DefaultBits)
			if err != nil {
				panic(err)
			}
			all[i] = set
		})
	}
	making.Wait()
	return all
})

// modernKeys are those of nodes over 2.0 whom classic readers are to see, as many as a
// formation of waiters has. All have one comms key, since making keys takes long.
var modernKeys = sync.OnceValue(func() []*keys.Set {
	all := make([]*keys.Set, (waiters+2)/3)
	var making sync.WaitGroup
	for i := range all {
		making.Go(func() {
			set, err := keys.Generate(keys.RSA, keys.DefaultBits)
			if err == nil {
				all[i], err = keys.NewSet(memberKeys()[0].Comms, set.Sig)
			}
			if err != nil {
				panic(err)
			}
		})
	}
	making.Wait()
	return all
})

// keysOf returns the keys of the i-th node, which speaks p: over 2.0 a node is its key, so
// there each has one of its own, of the kind that is made in no time.
func keysOf(i int, p xlreg.Protocol) (*keys.Set, error) {
	if p.Classic() {
		return memberKeys()[i%keyPairs], nil
	}
	return keys.Generate(keys.P256, 256)
}

// until looks again and again until ok is true, and returns how long that took.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
