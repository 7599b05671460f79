package rundir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// holdVariable makes the test program a run that has a directory until its input ends.
const holdVariable = "RUNDIR_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		if err := hold(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func hold(dir string) error {
	d, err := Open(dir, Owner{Mark: "other"})
	if err != nil {
		return err
	}
	d.Serve(&fake{})
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return d.Close()
}

// otherRun is a process that has a directory.
type otherRun struct {
	*exec.Cmd
	in io.Closer
}

func startOther(t *testing.T, dir string) *otherRun {
	t.Helper()
	cmd := exec.Command(os.Args[0], "a run")
	cmd.Env = append(os.Environ(), holdVariable+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &otherRun{cmd, in}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the other run says %q, %v", line, err)
	}
	return o
}

func (o *otherRun) kill(t *testing.T) {
	t.Helper()
	if err := o.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = o.Wait() // killed
}

// fake is a run that does nothing, and remembers what it was told.
type fake struct {
	mu     sync.Mutex
	orders []Order
	hang   chan struct{} // an order named "hang" waits for it to be closed, or for the end
}

func (f *fake) Status() Status {
	return Status{PID: os.Getpid(), Cluster: "web", Members: []Member{{Name: "m0", State: "ready"}}}
}

func (f *fake) Obey(ctx context.Context, o Order) error {
	f.mu.Lock()
	f.orders = append(f.orders, o)
	f.mu.Unlock()
	switch o.Name {
	case "nobody":
		return errors.New("there is no nobody")
	case "hang":
		select {
		case <-f.hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func open(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := Open(dir, Owner{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func dial(t *testing.T, dir string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// within fails the test if f takes longer than anything here should on the slowest machine.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s takes more than a minute", what)
	}
}

func wantError(t *testing.T, what string, err, kind error, words ...string) {
	t.Helper()
	if err == nil || kind != nil && !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: no %q in %v", what, word, err)
		}
	}
}
