package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = time.Minute

// manager receives what a program tells its service manager.
type manager struct {
	t  *testing.T
	nc *net.UnixConn
}

// newManager listens at a path, or at an abstract name, and says so in the environment.
func newManager(t *testing.T, at string) *manager {
	t.Helper()
	name := at
	if strings.HasPrefix(at, "@") {
		name = "\x00" + at[1:]
	}
	nc, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	t.Setenv(envSocket, at)
	t.Setenv(envWatchdog, "")
	t.Setenv(envWatchdogPID, "")
	return &manager{t, nc}
}

// receive returns the lines of the next message.
func (m *manager) receive() []string {
	m.t.Helper()
	if err := m.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := m.nc.Read(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(string(b[:n]), "\n")
}

func open(t *testing.T) *Notifier {
	t.Helper()
	n, err := FromEnvironment()
	if err != nil || n == nil {
		t.Fatal(n, err)
	}
	for _, name := range []string{envSocket, envWatchdog, envWatchdogPID} {
		if value, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left for programs that this one starts", name, value)
		}
	}
	return n
}

func TestMessages(t *testing.T) {
	places := map[string]string{"path": filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		places["abstract"] = fmt.Sprintf("@xlreg-notify-test-%d", os.Getpid())
	}
	for name, at := range places {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, at)
			n := open(t)
			steps := []struct {
				say  func() error
				want []string
			}{
				{func() error { return n.Status("reads\nthe data\x00") }, []string{"STATUS=reads the data "}},
				{func() error { return n.Ready("serves") }, []string{"READY=1", "STATUS=serves"}},
				{func() error { return n.Stopping("ends") }, []string{"STOPPING=1", "STATUS=ends"}},
				{func() error { return n.Status(strings.Repeat("x", 10_000)) }, []string{"STATUS=" + strings.Repeat("x", maxStatus-len("STATUS="))}},
			}
			for _, s := range steps {
				if err := s.say(); err != nil {
					t.Fatal(err)
				}
				if got := m.receive(); !slices.Equal(got, s.want) {
					t.Errorf("said %q, want %q", got, s.want)
				}
			}
		})
	}
}

// The time stands between two that are read before and after, by the same clock.
func TestReloading(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("service managers that want to know the time are on Linux")
	}
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	n := open(t)
	before, err := monotonicUsec()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	got := m.receive()
	after, _ := monotonicUsec()
	if len(got) != 2 || got[0] != "RELOADING=1" {
		t.Fatalf("said %q", got)
	}
	said, err := strconv.ParseInt(strings.TrimPrefix(got[1], "MONOTONIC_USEC="), 10, 64)
	if err != nil || said < before || said > after {
		t.Errorf("said %q, want between %d and %d", got[1], before, after)
	}
}

func TestNobodyWantsToBeTold(t *testing.T) {
	t.Setenv(envSocket, "")
	n, err := FromEnvironment()
	if n != nil || err != nil {
		t.Fatal(n, err)
	}
	if err := errors.Join(n.Ready(""), n.Stopping(""), n.Status("")); err != nil {
		t.Error(err)
	}
	n.Watch(t.Context(), nil, nil) // does not look, and returns at once
}

func TestBadEnvironment(t *testing.T) {
	cases := map[string]map[string]string{
		"relative":        {envSocket: "run/notify"},
		"other transport": {envSocket: "vsock:2:1234"},
		"no number":       {envSocket: "/notify", envWatchdog: "30s"},
		"zero":            {envSocket: "/notify", envWatchdog: "0"},
		"negative":        {envSocket: "/notify", envWatchdog: "-1"},
		"overflow":        {envSocket: "/notify", envWatchdog: "9223372036854775807"},
	}
	for name, env := range cases {
		t.Run(name, func(t *testing.T) {
			for key, value := range env {
				t.Setenv(key, value)
			}
			if n, err := FromEnvironment(); err == nil {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestManagerThatIsGone(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	n := open(t)
	m.nc.Close()
	if err := n.Ready(""); err == nil {
		t.Error("telling nobody is no error")
	}
}

func TestSignsOfLifeOfAnother(t *testing.T) {
	newManager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv(envWatchdog, "1000000")
	t.Setenv(envWatchdogPID, strconv.Itoa(os.Getppid()))
	if n := open(t); n.watchdog != 0 {
		t.Errorf("watchdog %v, which is another's", n.watchdog)
	}
}

// A sign of life is given only after a look that found the program alive, and a status is
// told when it changes.
func TestSignsOfLife(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv(envWatchdog, "20000")
	t.Setenv(envWatchdogPID, strconv.Itoa(os.Getpid()))
	n := open(t)
	ill := errors.New("does not answer")
	steps := []struct {
		status string
		err    error
		want   []string // nil: nothing is said
	}{
		{"one", nil, []string{"WATCHDOG=1", "STATUS=one"}},
		{"one", nil, []string{"WATCHDOG=1"}},
		{"two", nil, []string{"WATCHDOG=1", "STATUS=two"}},
		{"two", ill, nil},
		{"two", nil, []string{"WATCHDOG=1", "STATUS=two"}},
	}
	last := ""
	for i, s := range steps {
		var err error
		last, err = n.tell(t.Context(), time.Second, func(context.Context) (string, error) { return s.status, s.err }, last)
		if !errors.Is(err, s.err) {
			t.Fatalf("step %d: %v, want %v", i, err, s.err)
		}
		if s.want == nil { // what is said next is the first that is heard
			s.want = []string{"STATUS=mark"}
			if err := n.Status("mark"); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.receive(); !slices.Equal(got, s.want) {
			t.Errorf("step %d: said %q, want %q", i, got, s.want)
		}
	}
}

// A program that hangs is not heard of until it goes on, and is complained about when it
// has not answered in time.
func TestWatch(t *testing.T) {
	m := newManager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv(envWatchdog, "20000") // a sign each 10 ms
	n := open(t)
	looks, goOn := make(chan struct{}), make(chan struct{})
	look := func(ctx context.Context) (string, error) {
		select {
		case looks <- struct{}{}:
			<-goOn
		case <-ctx.Done(): // nobody is interested any more
		}
		<-ctx.Done()
		return "late", ctx.Err()
	}
	complaints := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		n.Watch(ctx, look, func(err error) {
			select {
			case complaints <- err:
			default:
			}
		})
	})
	<-looks
	if err := n.Status("mark"); err != nil {
		t.Fatal(err)
	}
	if got := m.receive(); !slices.Equal(got, []string{"STATUS=mark"}) {
		t.Errorf("a program that hangs said %q", got)
	}
	close(goOn)
	if err := <-complaints; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("complaint %v", err)
	}
	stop()
	watching.Wait()
}
