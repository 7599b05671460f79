//go:build unix

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shimIn returns the process ID of a shim, which its program wrote as "shim PID."
func shimIn(t *testing.T, out *heard) int {
	t.Helper()
	pid, err := strconv.Atoi(regexp.MustCompile(`shim ([0-9]+)\.`).FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// leaveGroup is a program that goes to the process group of its shim, and ends when it is
// interrupted.
func leaveGroup() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := syscall.Setpgid(0, os.Getppid()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("up")
	fmt.Println(<-signals)
	select {
	case sig := <-signals:
		fmt.Println("a second signal:", sig)
	case <-time.After(100 * time.Millisecond):
	}
	return 7
}

// Signals reach a program that has gone to another process group, each once.
func TestProgramInAnotherGroup(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]struct {
		by   any // a signal for all, or a command
		told string
	}{
		"interrupted":          {syscall.SIGINT, "up\ninterrupt\n"},
		"stopped":              {Command{Do: DoStop, Name: "a"}, "up\nterminated\n"},
		"killed with a signal": {Command{Do: DoKill, Name: "a", Signal: syscall.SIGINT}, "up\ninterrupt\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out := newHeard()
			o := testOptions(t)
			signals, commands := make(chan os.Signal), make(chan Command)
			o.Signals, o.Commands, o.Grace = signals, commands, 20*time.Second
			ended := make(chan error, 1)
			p := Program{Name: "a", Path: self, Args: []string{self}, Env: []string{"RUN_TEST_LEAVE_GROUP=1"}, Stdout: out, Stderr: out}
			go func() { ended <- All([]Program{p}, o) }()
			out.until(t, "up\n")
			switch by := end.by.(type) {
			case syscall.Signal:
				signals <- by
			case Command:
				commands <- by
			}
			select {
			case <-ended: // how does not matter here
			case <-time.After(time.Minute):
				signals <- syscall.SIGTERM
				t.Errorf("the program was not told: %v", <-ended)
			}
			if out.String() != end.told {
				t.Errorf("the program wrote %q", out)
			}
		})
	}
}

// The first signal ends everything, sooner or later.
func TestFirstSignalEndsAll(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		before func(t *testing.T, out *heard, shim int)
		grace  time.Duration
		by     syscall.Signal
	}{
		"a program that does not hear": {"trap '' TERM; echo shim $PPID.; while :; do sleep 0.01; done", nil, 100 * time.Millisecond, syscall.SIGKILL},
		"a program that is stopped": {"echo shim $PPID.; kill -STOP $$; exec sleep 1000", func(t *testing.T, out *heard, _ int) {
			untilStopped(t, pidsOf(t, out)...)
		}, time.Hour, syscall.SIGTERM},
		"a shim that is stopped": {"echo shim $PPID.; exec sleep 1000", func(t *testing.T, _ *heard, shim int) {
			if err := syscall.Kill(shim, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			untilStopped(t, shim)
		}, 100 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signals := make(chan os.Signal)
			o := testOptions(t)
			o.Signals, o.Grace = signals, c.grace
			out := newHeard()
			r, w := pipe(t)
			p := script("a", "echo pid $$, >&2; "+c.text, w)
			p.Stdout, p.Stderr = out, out
			p.Args[2] = "exec 9<&0; " + p.Args[2] // the pipe is there until all are gone
			p.Stdin = w
			ended := make(chan error)
			go func() { ended <- All([]Program{p}, o) }()
			out.until(t, ".\n")
			if c.before != nil {
				c.before(t, out, shimIn(t, out))
			}
			signals <- syscall.SIGTERM
			err := <-ended
			var e *ExitError
			switch {
			case !errors.As(err, &e):
				t.Errorf("got %v", err)
			case c.by != 0 && e.Signal != c.by, c.by == 0 && e.Err == nil:
				t.Errorf("got %v", err)
			}
			w.Close()
			wantEOF(t, r)
		})
	}
}

// pidsOf returns what was written as "pid PID,".
func pidsOf(t *testing.T, out *heard) []int {
	t.Helper()
	var all []int
	for _, m := range regexp.MustCompile(`pid ([0-9]+),`).FindAllStringSubmatch(out.String(), -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	return all
}

// SIGHUP makes programs read their files again, and begins no end.
func TestHangupIsPassedOn(t *testing.T) {
	heeded := make(chan os.Signal, 1) // a signal that is ignored here, as under nohup, no program would get
	signal.Notify(heeded, syscall.SIGHUP)
	defer signal.Stop(heeded)
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals, o.Grace = signals, 5*time.Second // the program has to end within it, on a slow machine too
	out := newHeard()
	ended := make(chan error)
	text := "trap 'echo again' HUP; echo up; while :; do sleep 0.01; done"
	a := script("a", text, out)
	a.Stderr = nil // where sh says how its sleep ended
	go func() { ended <- All([]Program{a}, o) }()
	out.until(t, "up\n")
	for _, heard := range []string{"again\n", "again\nagain\n", "again\nagain\nagain\n"} {
		signals <- syscall.SIGHUP
		out.until(t, heard)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	case <-time.After(o.Grace + oneSignal):
	}
	signals <- syscall.SIGTERM
	wantExit(t, <-ended, "a", 143)

	o.HangupEnds, o.Grace = true, 100*time.Millisecond // it is killed, as it goes on
	out = newHeard()
	go func() { ended <- All([]Program{script("a", text, out)}, o) }()
	out.until(t, "up\n")
	signals <- syscall.SIGHUP
	wantExit(t, <-ended, "a", 137)
}

// A signal that comes while nothing runs is not forgotten.
func TestSignalInThePause(t *testing.T) {
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	o.Restart = Restart{OnFailure: true}
	l := newTold()
	o.Tell = l.tell
	ended := make(chan error)
	go func() { ended <- All([]Program{script("a", "exit 6", nil)}, o) }()
	l.until(t, "a", StateRestarting, 5) // the pause is 1.6 seconds by now
	signals <- syscall.SIGTERM
	wantExit(t, <-ended, "a", 6)
	if e := l.until(t, "a", StateEnded, 1); !e.Asked {
		t.Errorf("told %+v", e)
	}
}

// A program is told to end once: some take a second SIGTERM for an order to hurry.
func TestOneSIGTERM(t *testing.T) {
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	out := newHeard()
	slow := script("slow", "trap 'echo told' TERM; echo up; while :; do sleep 0.01; done", out)
	slow.Stderr = nil
	fast := script("fast", "echo up; exec sleep 1000", out)
	ended := make(chan error)
	l := newTold()
	o.Tell = l.tell
	go func() { ended <- All([]Program{slow, fast}, o) }()
	out.until(t, "up\nup\n")
	signals <- syscall.SIGTERM
	l.until(t, "slow", StateStopping, 1) // for the end of the other stops this one
	out.until(t, "told\n")
	<-time.After(300 * time.Millisecond) // enough to be told again; on a slow machine less is tested
	signals <- syscall.SIGTERM           // kills the one that goes on
	wantExit(t, <-ended, "fast", 143)
	if n := strings.Count(out.String(), "told\n"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// commanded starts programs that take commands.
func commanded(t *testing.T, o Options, programs ...Program) (do func(Do, string, os.Signal) error, l *told, ended chan error) {
	t.Helper()
	commands := make(chan Command)
	l, ended = newTold(), make(chan error, 1)
	o.Commands, o.Tell = commands, l.tell
	over := make(chan struct{})
	go func() {
		ended <- All(programs, o)
		close(over)
	}()
	t.Cleanup(func() { <-over })
	return func(what Do, name string, sig os.Signal) error {
		done := make(chan error, 1)
		select {
		case commands <- Command{Do: what, Name: name, Signal: sig, Done: done}:
		case <-over:
			return errors.New("over")
		}
		return <-done
	}, l, ended
}

func TestCommands(t *testing.T) {
	out := newHeard()
	m := script("m", "trap 'echo usr' USR1; echo up; while :; do sleep 0.01; done", out)
	do, l, ended := commanded(t, testOptions(t), stays("a", nil), stays("b", nil), stays("c", nil), m)
	for _, name := range []string{"a", "b", "c", "m"} {
		l.until(t, name, StateReady, 1)
	}
	out.until(t, "up")
	if err := do(DoKill, "a", nil); err != nil {
		t.Error(err)
	}
	if e := l.until(t, "a", StateEnded, 1); !e.Asked || e.Err != nil || e.Left != 3 {
		t.Errorf("of the one that was killed: %+v", e)
	}
	if err := do(DoStop, "b", nil); err != nil {
		t.Error(err)
	}
	if e := l.until(t, "b", StateEnded, 1); !e.Asked || e.Err != nil || e.Left != 2 {
		t.Errorf("of the one that was stopped: %+v", e)
	}
	if err := do(DoKill, "m", syscall.SIGUSR1); err != nil {
		t.Error(err)
	}
	out.until(t, "usr\n")
	first := l.until(t, "c", StateStarting, 1).PID
	if err := do(DoRestart, "c", nil); err != nil {
		t.Error(err)
	}
	if e := l.until(t, "c", StateReady, 2); e.PID == first || e.Restarts != 1 || e.Left != 2 {
		t.Errorf("of the one that was restarted: %+v", e)
	}
	if err := do(DoRestart, "a", nil); err != nil { // which was dead
		t.Error(err)
	}
	l.until(t, "a", StateReady, 2)
	for what, err := range map[string]error{
		"a name that is none":     do(DoStop, "nobody", nil),
		"a command that is none":  do("dance", "a", nil),
		"killing one that is not": do(DoKill, "b", nil),
	} {
		if err == nil {
			t.Error(what)
		}
	}
	if err := do(DoStop, "b", nil); err != nil {
		t.Errorf("stopping one that has ended: %v", err)
	}
	if err := do(DoStop, "", nil); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the run was told to end: %v", err)
	}
	if n := len(l.of("m", StateStarting)); n != 1 {
		t.Errorf("the one that was left alone was started %d times", n)
	}
}

// Without a program that runs, or will run, the run is over.
func TestCommandsEndTheRun(t *testing.T) {
	do, l, ended := commanded(t, testOptions(t), stays("a", nil), stays("b", nil))
	l.until(t, "a", StateReady, 1)
	l.until(t, "b", StateReady, 1)
	if err := errors.Join(do(DoKill, "a", syscall.SIGKILL), do(DoStop, "b", nil)); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRestartAllInOrder(t *testing.T) {
	o := testOptions(t)
	o.First = true
	a := stays("a", nil)
	a.Ready = &Ready{Check: func(context.Context) error { return nil }}
	do, l, ended := commanded(t, o, a, stays("b", nil))
	l.until(t, "b", StateReady, 1)
	if err := do(DoRestart, "", nil); err != nil {
		t.Error(err)
	}
	ready, started := l.until(t, "a", StateReady, 2), l.until(t, "b", StateStarting, 2)
	if started.At.Before(ready.At) {
		t.Errorf("b was started at %v, before a was ready at %v", started.At, ready.At)
	}
	if err := do(DoStop, "", nil); err != nil {
		t.Error(err)
	}
	<-ended
}

// Whoever stops the first while others wait for it ends the run.
func TestStopFirst(t *testing.T) {
	o := testOptions(t)
	o.First = true
	a := stays("a", nil)
	a.Ready = &Ready{Check: never}
	do, l, ended := commanded(t, o, a, stays("b", nil))
	l.until(t, "a", StateStarting, 1)
	if err := do(DoStop, "a", nil); err != nil {
		t.Error(err)
	}
	var e *NotReadyError
	if err := <-ended; !errors.As(err, &e) {
		t.Error(err)
	}
}

func TestOnce(t *testing.T) {
	o := testOptions(t)
	if err := Once(t.Context(), script("a", "exit 0", nil), o); err != nil {
		t.Error(err)
	}
	wantExit(t, Once(t.Context(), script("a", "exit 9", nil), o), "a", 9)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := pipe(t)
	out := newHeard()
	p := script("a", "sleep 1000 & echo up >&2; wait", w)
	p.Stderr = out
	go func() {
		out.until(t, "up")
		cancel()
	}()
	if err := Once(ctx, p, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.Close()
	wantEOF(t, r)
	if err := Once(ctx, script("a", "exit 0", nil), o); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}

// Whether a program is ready does not matter any more once it is told to end: a check that
// hangs takes its own time to end meanwhile, and not after the program.
func TestStopEndsCheck(t *testing.T) {
	signals := make(chan os.Signal)
	commands := make(chan Command)
	for name, end := range map[string]func(){
		"command": func() { commands <- Command{Do: DoStop, Name: "a", Done: make(chan error, 1)} },
		"signal":  func() { signals <- syscall.SIGTERM },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Signals, o.Commands = signals, commands
			out := newHeard()
			fifo := makeFIFO(t)
			a := script("a", "trap \"read x <'"+fifo+"'; exit 0\" TERM; echo up; while :; do sleep 0.01; done", out)
			checking := make(chan struct{})
			a.Ready = &Ready{Check: func(ctx context.Context) error {
				close(checking)
				<-ctx.Done() // while the program is still there
				if err := os.WriteFile(fifo, []byte("x\n"), 0o600); err != nil {
					t.Error(err)
				}
				return ctx.Err()
			}}
			ended := make(chan error)
			go func() { ended <- All([]Program{a}, o) }()
			out.until(t, "up\n")
			<-checking
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// Events say by which command a program was ended, and by none if the run ends.
func TestEndsSayByWhat(t *testing.T) {
	o := testOptions(t)
	heard := newHeard()
	c := script("c", "trap 'echo usr' USR1; echo up; while :; do sleep 0.01; done", heard)
	do, l, ended := commanded(t, o, stays("a", nil), stays("b", nil), c)
	for _, name := range []string{"a", "b", "c"} {
		l.until(t, name, StateReady, 1)
	}
	heard.until(t, "up\n")
	if err := errors.Join(do(DoKill, "a", nil), do(DoStop, "b", nil), do(DoKill, "c", syscall.SIGUSR1)); err != nil {
		t.Error(err)
	}
	heard.until(t, "usr\n")
	if err := do(DoStop, "", nil); err != nil {
		t.Error(err)
	}
	<-ended
	for name, want := range map[string]Do{"a": DoKill, "b": DoStop, "c": ""} {
		if e := l.until(t, name, StateEnded, 1); !e.Asked || e.Do != want {
			t.Errorf("%s ended by %q: %+v", name, e.Do, e)
		}
	}
}

// A program that waits for the first goes on waiting when it is restarted.
func TestRestartOfOneThatWaits(t *testing.T) {
	o := testOptions(t)
	o.First = true
	a := stays("a", nil)
	ready := make(chan struct{})
	a.Ready = &Ready{Check: func(ctx context.Context) error {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	do, l, ended := commanded(t, o, a, stays("b", nil))
	l.until(t, "a", StateStarting, 1)
	done := make(chan error, 1)
	go func() { done <- do(DoRestart, "b", nil) }()
	l.until(t, "b", StateRestarting, 1)
	<-time.After(300 * time.Millisecond) // enough for it to start, if nothing keeps it from that
	close(ready)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if began, was := l.until(t, "b", StateStarting, 1), l.until(t, "a", StateReady, 1); began.At.Before(was.At) {
		t.Errorf("b was started at %v, before a was ready at %v", began.At, was.At)
	}
	if err := do(DoStop, "", nil); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
