package run

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
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

// A command that is run once goes with its caller, too.
func TestOnceKilled(t *testing.T) {
	lines, kill, r := startRunToBeKilled(t, clingers+"echo up; wait", "RUN_TEST_ONCE=1")
	lines(1)
	kill()
	wantEOF(t, r)
}
