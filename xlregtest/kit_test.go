package xlregtest_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeT is a test that an example or another test runs.
type fakeT struct {
	testing.TB // panics: what is used of it is below

	mu       sync.Mutex
	cleanups []func()
	messages []string
	failed   bool
	ctx      context.Context //nolint:containedctx // as in testing.T
	cancel   context.CancelFunc
}

// inTest is there so that an example has a t, which in a real test is at hand. What
// it returns ends the test.
func inTest() (t *fakeT, end func()) {
	t = new(fakeT)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, t.end
}

func (t *fakeT) end() {
	t.cancel()
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	if t.failed {
		fmt.Println(t.messages)
	}
}

func (t *fakeT) Helper()                  {}
func (t *fakeT) Context() context.Context { return t.ctx }
func (t *fakeT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }

func (t *fakeT) TempDir() string {
	dir, err := os.MkdirTemp("", "xlregtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (t *fakeT) Setenv(name, value string) {
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Unsetenv(name) })
}

func (t *fakeT) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages = append(t.messages, fmt.Sprintf(format, args...))
}

func (t *fakeT) Errorf(format string, args ...any) {
	t.Logf(format, args...)
	t.failed = true
}

func (t *fakeT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *fakeT) Fatal(args ...any) { t.Fatalf("%s", fmt.Sprint(args...)) }

// failure runs a test that fails and returns what it says.
func failure(t *testing.T, run func(t testing.TB)) string {
	t.Helper()
	fake, _ := inTest()
	var done sync.WaitGroup
	done.Go(func() { run(fake) })
	done.Wait()
	if !fake.failed {
		t.Error("the test did not fail")
	}
	said := fmt.Sprint(fake.messages)
	fake.failed = false
	fake.end()
	return said
}
