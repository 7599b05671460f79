package run

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/run/shim"
)

// startRunToBeKilled starts a process that runs three programs. The function lines reads
// what they write, kill kills it, and r is at its end when nothing is left.
func startRunToBeKilled(t *testing.T, text string, env ...string) (lines func(n int) string, kill func(), r *os.File) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), "RUN_TEST_RUN="+text, "RUN_TEST_SCRATCH="+t.TempDir()), env...)
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	in := bufio.NewReader(r)
	return func(n int) (all string) {
		for range n {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("after %q: %v", all, err)
			}
			all += line
		}
		return all
	}, kill, r
}

// clingers is what does its best to stay.
const clingers = `sleep 1000 & (trap '' TERM HUP INT; while :; do sleep 0.01; done) &
	(setsid sh -c 'setsid sleep 1000 & sleep 1000' &); (setsid sh -c "trap '' TERM; while :; do sleep 0.01; done" &); `

// Whatever is killed with SIGKILL, nothing is left: the run, shims, programs, in any order
// and together. Only the run and all its shims at one blow leave nobody to clean up.
func TestKilledAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for range 12 {
		lines, killRun, r := startRunToBeKilled(t, clingers+"echo shim $PPID. pid $$,; wait")
		text := lines(3)
		var victims []func()
		for _, m := range regexp.MustCompile(`[0-9]+`).FindAllString(text, -1) {
			pid, err := strconv.Atoi(m)
			if err != nil {
				t.Fatal(err)
			}
			victims = append(victims, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		}
		last := len(victims) - 2
		victims = slices.Delete(victims, last, last+1+dice.IntN(2)) // the last shim survives
		victims = append(victims, killRun)
		dice.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		for _, kill := range victims[:1+dice.IntN(len(victims))] {
			kill()
		}
		wantEOF(t, r)
		killRun()
	}
}

// What has left the group of a program is found though the shim is killed.
func TestShimKilledWithStrays(t *testing.T) {
	o := testOptions(t)
	o.KeepGoing = true
	r, w := pipe(t)
	out := newHeard()
	a := script("a", clingers+"echo shim $PPID. >&2; wait", w)
	a.Stderr = out
	l := newTold()
	o.Tell = l.tell
	ended := make(chan error)
	signals := make(chan os.Signal)
	o.Signals = signals
	go func() { ended <- All([]Program{a, stays("b", nil)}, o) }()
	out.until(t, ".\n")
	if err := syscall.Kill(shimIn(t, out), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := l.until(t, "a", StateEnded, 1); e.Left != 1 {
		t.Errorf("told %+v", e)
	}
	w.Close()
	wantEOF(t, r) // though the run goes on
	signals <- syscall.SIGTERM
	wantExit(t, <-ended, "a", 126)
}

// A process that has escaped from everybody may write for ever: the run ends all the same.
func TestEscapedProcessWrites(t *testing.T) {
	for name, text := range map[string]string{"now and then": "echo word; sleep 0.01", "without a pause": "echo word"} {
		t.Run(name, func(t *testing.T) {
			out := newHeard()
			a := script("a", "env -i setsid sh -c 'echo escaped $$. >&2; while :; do "+text+"; done' & echo shim $PPID. >&2; wait", io.Discard)
			a.Stderr = out
			ended := make(chan error, 1)
			o := testOptions(t)
			go func() { ended <- All([]Program{a}, o) }()
			out.until(t, "shim")
			out.until(t, "escaped")
			escaped, err := strconv.Atoi(regexp.MustCompile(`escaped ([0-9]+)\.`).FindStringSubmatch(out.String())[1])
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(escaped, syscall.SIGKILL) })
			if err := syscall.Kill(shimIn(t, out), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				wantExit(t, err, "a", 126)
			case <-time.After(time.Minute):
				_ = syscall.Kill(escaped, syscall.SIGKILL)
				t.Errorf("the run goes on as long as what escaped from it: %v", <-ended)
			}
		})
	}
}

// A command that is run once goes with its caller, too.
func TestOnceKilled(t *testing.T) {
	lines, kill, r := startRunToBeKilled(t, clingers+"echo up; wait", "RUN_TEST_ONCE=1")
	lines(1)
	kill()
	wantEOF(t, r)
}

// startTempRunToBeKilled is startRunToBeKilled for a run with a temporary directory, and
// returns where that is.
func startTempRunToBeKilled(t *testing.T, text string) (lines func(n int) string, kill func(), r *os.File, temp string) {
	temp = t.TempDir()
	lines, kill, r = startRunToBeKilled(t, text, "RUN_TEST_TEMP=1", "TMPDIR="+temp)
	return lines, kill, r, temp
}

// untilEmpty waits until nothing is left in a directory.
func untilEmpty(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		left, err := os.ReadDir(dir)
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v, left behind: %v", err, left)
		}
	}
}

// The directory of a run that is killed goes, also if no shim is left that could remove it,
// because some programs or all of them have ended before.
func TestTempDirOfRunWhoseProgramsHaveEnded(t *testing.T) {
	for name, text := range map[string]string{
		"one": "[ $0 != a ] || { echo end; exit 0; }; echo up; exec sleep 1000",
		"all": "trap '' TERM; echo up; sleep 1000 & exit 0", // a shim waits for what is left
	} {
		t.Run(name, func(t *testing.T) {
			lines, kill, r, temp := startTempRunToBeKilled(t, text)
			lines(3)
			kill()
			wantEOF(t, r)
			untilEmpty(t, temp)
		})
	}
}

// If a run with a temporary directory and all its shims are killed at one blow, the shim of
// the directory ends what is left.
func TestAllShimsKilled(t *testing.T) {
	lines, kill, r, temp := startTempRunToBeKilled(t, clingers+"echo shim $PPID.; wait")
	text := lines(3)
	kill()
	for _, m := range regexp.MustCompile(`[0-9]+`).FindAllString(text, -1) {
		pid, err := strconv.Atoi(m)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	wantEOF(t, r)
	untilEmpty(t, temp)
}

// The next one who knows the mark ends what is left, too.
func TestEndLeftovers(t *testing.T) {
	mark := NewMark()
	r, w := pipe(t)
	out := newHeard()
	o := testOptions(t)
	o.Mark = mark
	p := script("a", "setsid sleep 1000 & echo up >&2; exec sleep 1000", w)
	p.Stderr = out
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Once(ctx, p, o) }()
	out.until(t, "up\n")
	for len(Leftovers(mark)) < 2 { // sh takes a moment to become setsid
		<-time.After(time.Millisecond)
	}
	if err := EndLeftovers(mark, -shim.Margin); err != nil { // though the shim is still there
		t.Error(err)
	}
	cancel()
	<-ended // in whatever way
	w.Close()
	wantEOF(t, r)
	if left := Leftovers(mark); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A run whose executable is replaced, as by an upgrade, starts programs as before.
func TestExecutableIsReplaced(t *testing.T) {
	o := testOptions(t)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 9\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.ShimPath = other
	out := newHeard()
	p := script("a", "echo up", out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	p.Passed = []*os.File{f} // for which a shim starts itself, too
	if err := All([]Program{p}, o); err != nil || out.String() != "up\n" {
		t.Errorf("%v, %q", err, out)
	}
}
