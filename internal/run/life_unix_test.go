//go:build unix

package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stays is a program that runs until it is told to end.
func stays(name string, out io.Writer) Program { return script(name, "echo up; exec sleep 1000", out) }

// never is a check that nothing passes.
func never(context.Context) error { return errors.New("no") }

func TestFirst(t *testing.T) {
	out := newHeard()
	var tries atomic.Int32
	a := stays("a", nil)
	a.Ready = &Ready{Check: func(context.Context) error {
		if tries.Add(1) < 4 {
			return errors.New("not yet")
		}
		if out.String() != "" {
			t.Errorf("before the first was ready: %q", out)
		}
		return nil
	}}
	o := testOptions(t)
	o.First = true
	l := newTold()
	o.Tell = l.tell
	o.Then = func(context.Context) error {
		out.until(t, "up\nup\n")
		return nil
	}
	if err := All([]Program{a, stays("b", out), stays("c", out)}, o); err != nil {
		t.Fatal(err)
	}
	if tries.Load() != 4 {
		t.Errorf("%d tries", tries.Load())
	}
	ready, started := l.of("a", StateReady), l.of("b", StateStarting)
	if len(ready) != 1 || len(started) != 1 || started[0].At.Before(ready[0].At) {
		t.Errorf("a was ready at %v, and b was started at %v", ready, started)
	}
}

// A program that ends before it is ready ends every wait for that, and nobody waits for
// the time to be up.
func TestEndBeforeReady(t *testing.T) {
	first := func(o *Options) { o.First = true }
	then := func(o *Options) { o.Then = func(context.Context) error { return nil } }
	for name, set := range map[string]func(*Options){
		"first": first, "then": then,
		"first, others go on": func(o *Options) { o.First, o.KeepGoing = true, true },
		"then, others go on":  func(o *Options) { then(o); o.KeepGoing = true },
	} {
		for _, status := range []int{0, 3} {
			t.Run(fmt.Sprintf("%s, status %d", name, status), func(t *testing.T) {
				t.Parallel()
				o := testOptions(t)
				set(&o)
				a := script("a", fmt.Sprintf("exit %d", status), nil)
				a.Ready = &Ready{Check: never, Timeout: time.Hour}
				err := All([]Program{a, stays("b", nil)}, o)
				if status != 0 {
					wantExit(t, err, "a", status)
					return
				}
				var e *NotReadyError
				if !errors.As(err, &e) || !e.Ended || e.Name != "a" {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestNotReadyInTime(t *testing.T) {
	for _, keepGoing := range []bool{false, true} {
		o := testOptions(t)
		o.KeepGoing = keepGoing
		o.Then = func(context.Context) error {
			t.Error("called though not all are ready")
			return nil
		}
		b := stays("b", nil)
		b.Ready = &Ready{Check: never, Timeout: 100 * time.Millisecond, What: "tcp x"}
		err := All([]Program{stays("a", nil), b}, o)
		var e *NotReadyError
		if !errors.As(err, &e) || e.Name != "b" || e.Last == nil || e.Last.Error() != "no" {
			t.Errorf("got %v", err)
		}
	}
}

// Everything that is to follow is called in its order, while the programs run.
func TestAfterReadyAndThen(t *testing.T) {
	var calls []string
	o := testOptions(t)
	r, w := pipe(t)
	o.AfterReady = func(context.Context) error {
		calls = append(calls, "after")
		return nil
	}
	no := errors.New("status of the tests")
	o.Then = func(context.Context) error {
		calls = append(calls, "then")
		return no
	}
	a, b := script("a", "sleep 1000 & echo up; wait", w), script("b", "sleep 1000 & wait", w)
	if err := All([]Program{a, b}, o); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if strings.Join(calls, " ") != "after then" {
		t.Errorf("called: %v", calls)
	}
	w.Close()
	wantEOF(t, r)

	o.AfterReady = func(context.Context) error { return no }
	o.Then = func(context.Context) error {
		t.Error("called after a failure")
		return nil
	}
	if err := All([]Program{stays("a", nil)}, o); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
}

// A failure ends what follows too, and is what counts.
func TestFailureDuringThen(t *testing.T) {
	fifo := makeFIFO(t)
	o := testOptions(t)
	o.Then = func(ctx context.Context) error {
		if err := os.WriteFile(fifo, []byte("x\n"), 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	err := All([]Program{script("a", "read x <'"+fifo+"'; exit 4", nil), stays("b", nil)}, o)
	wantExit(t, err, "a", 4)
}

// With --keep-going the others go on after a failure, and so does what follows, whose
// result counts.
func TestThenGoesOn(t *testing.T) {
	for name, status := range map[string]int{"good end": 0, "failure": 4} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.KeepGoing = status != 0
			o.Linger = time.Millisecond
			l := newTold()
			o.Tell = l.tell
			fifo := makeFIFO(t)
			o.Then = func(ctx context.Context) error {
				if err := os.WriteFile(fifo, []byte("x\n"), 0o600); err != nil {
					return err
				}
				e := l.until(t, "a", StateEnded, 1)
				if e.Left != 1 || (e.Err != nil) != (status != 0) || e.Asked {
					t.Errorf("told %+v", e)
				}
				return ctx.Err()
			}
			a := script("a", fmt.Sprintf("read x <'%s'; exit %d", fifo, status), nil)
			if err := All([]Program{a, stays("b", nil)}, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// A signal ends what follows, and the programs say how they were ended.
func TestSignalDuringThen(t *testing.T) {
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	in := make(chan struct{})
	o.Then = func(ctx context.Context) error {
		close(in)
		<-ctx.Done()
		return nil // as if all had been well
	}
	go func() {
		<-in
		signals <- os.Interrupt
	}()
	wantExit(t, All([]Program{stays("a", nil)}, o), "a", 130)

	in = make(chan struct{})
	go func() {
		<-in
		signals <- os.Interrupt
	}()
	polite := script("a", "trap 'exit 0' INT; while :; do sleep 0.01; done", nil)
	o.Then = func(ctx context.Context) error {
		close(in)
		<-ctx.Done()
		return nil
	}
	polite.Ready = &Ready{Check: func(context.Context) error { return nil }}
	if err := All([]Program{polite}, o); err == nil {
		t.Error("what followed was cut short, and that is no success")
	}
}

// counted is a script that knows how often it was started.
func counted(t *testing.T, name, text string, out io.Writer) Program {
	dir := t.TempDir()
	return script(name, "cd '"+dir+"'; echo x >>starts; n=$(wc -l <starts)\n"+text, out)
}

// closing is a writer that must not be closed before the last output.
type closing struct {
	*heard
	closed atomic.Int32
}

func (c *closing) Close() error {
	c.closed.Add(1)
	return nil
}

func (c *closing) Write(p []byte) (int, error) {
	if c.closed.Load() > 0 {
		return 0, errors.New("closed")
	}
	return c.heard.Write(p)
}

func TestRestart(t *testing.T) {
	ports, err := Reserve("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	out := &closing{heard: newHeard()}
	a := counted(t, "a", `[ "$LISTEN_FDS $LISTEN_PID" = "1 $$" ] && readlink /proc/self/fd/3 | grep -q socket: && echo "start $n"; [ $n -ge 3 ] || exit $n; exec sleep 1000`, nil)
	a.Stdout = out
	if a.Passed, err = ports.Files(); err != nil {
		t.Fatal(err)
	}
	o := testOptions(t)
	o.Restart = Restart{OnFailure: true, Most: 2}
	l := newTold()
	o.Tell = l.tell
	signals := make(chan os.Signal)
	o.Signals = signals
	b := newHeard()
	go func() {
		b.until(t, "up\n")
		out.until(t, "start 3\n")
		signals <- syscall.SIGTERM
	}()
	wantExit(t, All([]Program{a, script("b", "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", b)}, o), "a", 143)
	if out.String() != "start 1\nstart 2\nstart 3\n" || out.closed.Load() != 1 {
		t.Errorf("wrote %q, closed %d times", out, out.closed.Load())
	}
	again := l.of("a", StateRestarting)
	if len(again) != 2 || again[0].Again != 100*time.Millisecond || again[1].Again != 200*time.Millisecond || again[1].Restarts != 1 {
		t.Fatalf("told %+v", again)
	}
	wantExit(t, again[1].Err, "a", 2)
	starts := l.of("a", StateStarting)
	if pause := starts[1].At.Sub(again[0].At); pause < again[0].Again {
		t.Errorf("started again after %v", pause)
	}
	if n := len(l.of("b", StateStarting)); n != 1 {
		t.Errorf("the other was started %d times", n)
	}
}

func TestRestartAtMost(t *testing.T) {
	out := newHeard()
	o := testOptions(t)
	o.Restart = Restart{OnFailure: true, Most: 2}
	err := All([]Program{counted(t, "a", "echo $n; exit $n", out), stays("b", nil)}, o)
	wantExit(t, err, "a", 3)
	if out.String() != "1\n2\n3\n" {
		t.Errorf("wrote %q", out)
	}
	good := counted(t, "a", "echo $n", out)
	o.Linger = time.Millisecond
	if err := All([]Program{good, stays("b", nil)}, o); err != nil || out.String() != "1\n2\n3\n1\n" {
		t.Errorf("after a good end: %v, %q", err, out)
	}
}

// A program that is started again is checked again.
func TestRestartIsChecked(t *testing.T) {
	t.Parallel() // most of it is waiting: the first and the third start have to be ready in time, on a slow machine too
	o := testOptions(t)
	o.Restart = Restart{OnFailure: true}
	l := newTold()
	o.Tell = l.tell
	a := counted(t, "a", `[ $n = 2 ] || : >ready; [ $n != 1 ] || { read x <fifo; exit 1; }; exec sleep 1000`, nil)
	dir := strings.Split(a.Args[2], "'")[1]
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Ready = &Ready{What: "file", Timeout: 10 * time.Second, Check: func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err
	}}
	o.Then = func(context.Context) error {
		if err := os.Remove(filepath.Join(dir, "ready")); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "fifo"), []byte("x\n"), 0o600); err != nil {
			return err
		}
		l.until(t, "a", StateReady, 2) // of the third start, for the second is not ready in time
		return nil
	}
	if err := All([]Program{a, stays("b", nil)}, o); err != nil {
		t.Error(err)
	}
	again := l.of("a", StateRestarting)
	var e *NotReadyError
	if len(again) != 2 || !errors.As(again[1].Err, &e) {
		t.Errorf("told %+v", again)
	}
	if n := len(l.of("b", StateReady)); n != 1 {
		t.Errorf("the other was ready %d times", n)
	}
}

// A shim that is killed is a failure of its program like any other.
func TestRestartAfterShimKilled(t *testing.T) {
	o := testOptions(t)
	o.Restart = Restart{OnFailure: true}
	l := newTold()
	o.Tell = l.tell
	out := newHeard()
	o.Then = func(context.Context) error {
		out.until(t, ".\n")
		if err := syscall.Kill(shimIn(t, out), syscall.SIGKILL); err != nil {
			return err
		}
		l.until(t, "a", StateReady, 2)
		return nil
	}
	if err := All([]Program{script("a", "echo shim $PPID.; exec sleep 1000", out)}, o); err != nil {
		t.Error(err)
	}
}

// A death is told when it happens, and how many are left.
func TestDeathsAreTold(t *testing.T) {
	o := testOptions(t)
	o.KeepGoing = true
	l := newTold()
	o.Tell = l.tell
	fifo := makeFIFO(t)
	a := script("a", "exit 3", nil)
	b := script("b", "kill -9 $$", nil)
	c := script("c", "read x <'"+fifo+"'", nil)
	ended := make(chan error)
	go func() { ended <- All([]Program{a, b, c}, o) }()
	for name, status := range map[string]int{"a": 3, "b": 137} {
		e := l.until(t, name, StateEnded, 1)
		wantExit(t, e.Err, name, status)
		if e.Asked || e.PID != 0 {
			t.Errorf("%s: told %+v", name, e)
		}
	}
	if err := os.WriteFile(fifo, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-ended
	left := map[int]bool{}
	for _, name := range []string{"a", "b", "c"} {
		left[l.until(t, name, StateEnded, 1).Left] = true
	}
	if !maps.Equal(left, map[int]bool{0: true, 1: true, 2: true}) {
		t.Errorf("left were %v", left)
	}
	if e := l.until(t, "c", StateEnded, 1); e.Left != 0 || e.Err != nil || e.Index != 2 {
		t.Errorf("the last: %+v", e)
	}
}

// Whoever is told of the programs has been told that all are ready when the rest begins.
func TestReadyIsToldBeforeWhatFollows(t *testing.T) {
	o := testOptions(t)
	var mu sync.Mutex
	ready := 0
	o.Tell = func(e Event) {
		<-time.After(time.Millisecond) // one who takes his time
		mu.Lock()
		defer mu.Unlock()
		if e.State == StateReady {
			ready++
		}
	}
	var seen int
	o.AfterReady = func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		seen = ready
		return nil
	}
	o.Then = func(context.Context) error { return nil }
	var programs []Program
	for _, name := range []string{"a", "b", "c"} {
		programs = append(programs, script(name, "exec sleep 1000", nil))
	}
	if err := All(programs, o); err != nil || seen != len(programs) {
		t.Errorf("%v, %d were told of", err, seen)
	}
}
