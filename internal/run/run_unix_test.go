//go:build unix

package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func wantExit(t *testing.T, err error, name string, status int) {
	t.Helper()
	var e *ExitError
	if !errors.As(err, &e) || e.Name != name || e.Status() != status {
		t.Errorf("got %v, want %s with status %d", err, name, status)
	}
}

func TestRunToTheEnd(t *testing.T) {
	out := newHeard()
	m := NewMergers(out)[0]
	var programs []Program
	for i, name := range []string{"a", "b", "c"} {
		p := script(name, `echo "$WHO in $(pwd)"; printf "no end" >&2; cat`, nil)
		p.Stdout, p.Stderr = m.Line(name+": "), m.Line(name+": ")
		p.Env = []string{"WHO=" + strconv.Itoa(i)}
		programs = append(programs, p)
	}
	if err := All(programs, testOptions(t)); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a", "b", "c"} {
		for _, line := range []string{fmt.Sprintf("%s: %d in %s\n", name, i, here), name + ": no end\n"} {
			if strings.Count(out.String(), line) != 1 {
				t.Errorf("no %q in %q", line, out)
			}
		}
	}
}

// Whichever fails first is the error, and stops those that would go on.
func TestFirstFailureStopsTheOthers(t *testing.T) {
	out := newHeard()
	ready := makeFIFO(t)
	err := All([]Program{
		script("a", fmt.Sprintf("trap 'echo stopped; exit 0' TERM; echo x >'%s'; while :; do sleep 0.01; done", ready), out),
		script("b", fmt.Sprintf("read x <'%s'; exit 7", ready), out),
		script("c", "exec sleep 1000", out),
	}, testOptions(t))
	wantExit(t, err, "b", 7)
	if !strings.Contains(out.String(), "stopped\n") { // sh may say more
		t.Errorf("a wrote %q", out)
	}
}

func TestKilledProgramFails(t *testing.T) {
	err := All([]Program{script("a", "kill -SEGV $$", nil)}, testOptions(t))
	wantExit(t, err, "a", 128+int(syscall.SIGSEGV))
}

func TestGoodEndStopsTheOthersAfterAWhile(t *testing.T) {
	o := testOptions(t)
	o.Linger = time.Millisecond
	if err := All([]Program{script("a", "exit 0", nil), script("b", "exec sleep 1000", nil)}, o); err != nil {
		t.Error(err)
	}
}

func TestKeepGoing(t *testing.T) {
	fifo := makeFIFO(t)
	o := testOptions(t)
	o.KeepGoing = true
	out := newHeard()
	err := All([]Program{
		script("a", "exit 3", out),
		script("b", "exit 0", out),
		script("c", fmt.Sprintf("echo go >'%s'", fifo), out),
		script("d", fmt.Sprintf("read x <'%s'; echo done", fifo), out),
	}, o)
	wantExit(t, err, "a", 3)
	if out.String() != "done\n" {
		t.Errorf("d wrote %q", out)
	}
}

func makeFIFO(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhoDoesNotHearIsKilled(t *testing.T) {
	o := testOptions(t)
	o.Grace = 100 * time.Millisecond
	out := newHeard()
	ready := makeFIFO(t)
	err := All([]Program{
		script("deaf", fmt.Sprintf("trap '' TERM; echo x >'%s'; while :; do sleep 0.01; done", ready), out),
		script("b", fmt.Sprintf("read x <'%s'; exit 2", ready), out),
	}, o)
	wantExit(t, err, "b", 2)
}

// deaf hears no SIGTERM, and makes the file deaf once that is so.
const (
	deaf      = "(trap '' TERM; : >deaf; while :; do sleep 0.01; done)"
	untilDeaf = "\nuntil [ -e deaf ]; do sleep 0.01; done"
)

// What a program leaves behind goes with it, wherever it has put itself.
func TestNothingIsLeftBehind(t *testing.T) {
	left := map[string]string{
		"child":   "sleep 1000 &",
		"deaf":    deaf + " &" + untilDeaf,
		"stopped": "sleep 1000 & kill -STOP $!",
	}
	if canAdopt { // elsewhere what leaves the group is out of reach
		left["session"] = "setsid sleep 1000 &"
		left["daemon"] = "(setsid sh -c 'setsid sleep 1000 & sleep 1000' &)"
		left["deaf away"] = "(setsid sh -c \"" + deaf + "\" &)" + untilDeaf
	}
	for name, background := range left {
		t.Run(name, func(t *testing.T) {
			r, w := pipe(t)
			o := testOptions(t)
			o.Grace = 100 * time.Millisecond
			p := script("a", "cd '"+t.TempDir()+"'\n"+background+"\nexit 5", w)
			wantExit(t, All([]Program{p}, o), "a", 5)
			w.Close()
			wantEOF(t, r)
		})
	}
}

// pipe returns a pipe whose writing end programs get. Its other end is at its end
// when all that have it are gone.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func wantEOF(t *testing.T, r *os.File) {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("somebody is still there: %v", err)
	}
}

func TestSignals(t *testing.T) {
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	a, b := newHeard(), newHeard()
	text := "trap 'echo interrupted' INT; echo up; while :; do sleep 0.01; done"
	ended := make(chan error)
	go func() { ended <- All([]Program{script("a", text, a), script("b", text, b)}, o) }()
	a.until(t, "up")
	b.until(t, "up")
	signals <- os.Interrupt
	a.until(t, "interrupted")
	b.until(t, "interrupted")
	select {
	case err := <-ended:
		t.Fatalf("after the first signal: %v", err)
	case <-time.After(2 * oneSignal):
	}
	signals <- syscall.SIGTERM // the second kills, whichever it is
	var e *ExitError
	if err := <-ended; !errors.As(err, &e) || e.Signal != syscall.SIGKILL {
		t.Errorf("after the second signal: %v", err)
	}
}

// Signals that come at the same time are one, by when they came and not by when there is time
// for them.
func TestSignalsAtOneTime(t *testing.T) {
	signals := make(chan os.Signal, 2)
	s := newSupervisor(nil, Options{Signals: signals})
	s.started = true
	began := time.Now()
	signals <- syscall.SIGTERM // is there before the first is handled
	s.interrupt(syscall.SIGTERM, began)
	s.interrupt(syscall.SIGTERM, began.Add(oneSignal))
	if s.killing || len(signals) > 0 {
		t.Errorf("killing %v, %d more signals", s.killing, len(signals))
	}
	s.interrupt(syscall.SIGTERM, began.Add(oneSignal+1))
	if !s.killing {
		t.Error("a second signal does not kill")
	}
}

// A signal that ends the program is its end, and its status that of shells.
func TestInterrupted(t *testing.T) {
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals = signals
	out := newHeard()
	ended := make(chan error)
	go func() { ended <- All([]Program{script("a", "echo up; exec sleep 1000", out)}, o) }()
	out.until(t, "up")
	signals <- os.Interrupt
	wantExit(t, <-ended, "a", 130)
}

// The ports are held until right before the start.
func TestRelease(t *testing.T) {
	ports, err := Reserve("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := ports.Addrs()[0]
	o := testOptions(t)
	o.Release = func() error {
		if _, err := net.Listen("tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("the port is not held: %v", err)
		}
		return ports.Close()
	}
	if err := All([]Program{script("a", "exit 0", nil), script("b", "exit 0", nil)}, o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is still held: %v", err)
	}
	l.Close()

	o.Release = func() error { return errors.New("no") }
	out := newHeard()
	if err := All([]Program{script("a", "echo started", out)}, o); err == nil || err.Error() != "no" || out.String() != "" {
		t.Errorf("after a release that failed: %v, %q", err, out)
	}
}

// The open sockets have the numbers from 3, and LISTEN_PID is the very process
// that gets them. It has no other files.
// A program that is given files and cannot be started has failed like any other, and that is
// told once.
func TestPassedListenersOfNoProgram(t *testing.T) {
	ports, err := Reserve("127.0.0.1", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o700); err != nil {
		t.Fatal(err)
	}
	out := newHeard()
	p := Program{Name: "a", Path: junk, Args: []string{junk}, Stdout: out, Stderr: out}
	if p.Passed, err = ports.Files(); err != nil {
		t.Fatal(err)
	}
	err = All([]Program{p}, testOptions(t))
	var e *ExitError
	if !errors.As(err, &e) || e.Status() != codeCannotRun || !strings.Contains(err.Error(), "exec format error") || out.String() != "" {
		t.Errorf("got %v, and it wrote %q", err, out)
	}
}

func TestPassedListeners(t *testing.T) {
	ports, err := Reserve("127.0.0.1", 2)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ports.Files()
	if err != nil {
		t.Fatal(err)
	}
	out := newHeard()
	p := script("a", `
		[ "$LISTEN_PID" = $$ ] || echo "LISTEN_PID is $LISTEN_PID, and this is $$"
		echo "$LISTEN_FDS passed, args $0 $1"
		cd /proc/self/fd && for fd in [3-9]; do readlink $fd; done | grep -c socket:
		cd /proc/self/fd && for fd in [3-9]; do readlink $fd; done | grep -v -e socket: -e /fd
		exec sleep 1000`, out)
	p.Args = append(p.Args, "zero", "-- one")
	p.Env = []string{"LISTEN_PID=1", "LISTEN_FDS=77"} // not what somebody else was passed
	p.Passed = files
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals, o.Release = signals, ports.Close
	ended := make(chan error)
	go func() { ended <- All([]Program{p}, o) }()
	out.until(t, "\n2\n")
	for _, e := range ports.Addrs() {
		c, err := net.Dial("tcp", e) // nobody accepts, but somebody listens
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	signals <- syscall.SIGTERM
	wantExit(t, <-ended, "a", 143)
	if want := "2 passed, args zero -- one\n2\n"; out.String() != want {
		t.Errorf("the program wrote %q, want %q", out, want)
	}
	for _, e := range ports.Addrs() {
		if c, err := net.Dial("tcp", e); err == nil {
			c.Close()
			t.Errorf("somebody still listens at %s", e)
		}
	}
}

func TestProgramThatCannotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("\x7fELF and no more"), 0o700); err != nil {
		t.Fatal(err)
	}
	out := newHeard()
	err := All([]Program{{Name: "a", Path: path, Args: []string{"a"}}, script("b", "exec sleep 1000", out)}, testOptions(t))
	wantExit(t, err, "a", 126)
	if !strings.Contains(err.Error(), "exec format error") {
		t.Error(err)
	}
	o := testOptions(t)
	o.ShimArgs = []string{"\x00"} // no program can be given that
	if err := All([]Program{script("a", "exit 0", nil)}, o); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("without a shim: %v", err)
	}
}

// runToBeKilled is what TestRunKilled kills.
func runToBeKilled(text string) int {
	o := testOptions(nil)
	o.Grace, o.Scratch = 100*time.Millisecond, os.Getenv("RUN_TEST_SCRATCH")
	if os.Getenv("RUN_TEST_TEMP") != "" {
		o.Mark = NewMark()
		d, err := NewTempDir("x-", o)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer d.Close()
		o.Scratch = d.Path()
	}
	var programs []Program
	for _, name := range []string{"a", "b", "c"} {
		p := script(name, text, os.Stdout)
		p.Args = append(p.Args, name)
		p.Shared = strings.Fields(os.Getenv("RUN_TEST_SHARED"))
		programs = append(programs, p)
	}
	start := All
	if os.Getenv("RUN_TEST_ONCE") != "" {
		start = func(programs []Program, o Options) error { return Once(context.Background(), programs[0], o) }
	}
	if err := start(programs, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Whoever kills the process that runs programs ends them too, with all that they
// have started, and their files are removed.
func TestRunKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	background := "sleep 1000 & (trap '' TERM; while :; do sleep 0.01; done) &"
	if canAdopt {
		background += " (setsid sh -c 'setsid sleep 1000 & sleep 1000' &)"
	}
	scratch := filepath.Join(t.TempDir(), "scratch")
	for _, name := range []string{"a", "b", "c"} {
		if err := os.MkdirAll(filepath.Join(scratch, name, "key"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r, w := pipe(t)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "RUN_TEST_RUN="+background+"\necho up; wait", "RUN_TEST_SCRATCH="+scratch)
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewReader(r)
	for range 3 {
		if line, err := lines.ReadString('\n'); line != "up\n" {
			t.Fatalf("the program wrote %q, %v", line, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wantEOF(t, r)
	if _, err := os.Stat(scratch); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of keys is still there: %v", err)
	}
}

// Arguments and variables reach a program as they are: they need not be UTF-8.
func TestBytesThatAreNoText(t *testing.T) {
	out := newHeard()
	p := script("a", `printf '%s %s' "$0" "$STRANGE"`, out)
	p.Args, p.Env = append(p.Args, "arg\xff\xfe"), []string{"STRANGE=value\xe9\x80"}
	if err := All([]Program{p}, testOptions(t)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "arg\xff\xfe value\xe9\x80" {
		t.Errorf("the program was given %q", got)
	}
}

// A shim that no supervisor started says so, and does nothing.
func TestShimAlone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "shim", "a").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "only a supervisor calls it") {
		t.Errorf("%v, %s", err, out)
	}
}
