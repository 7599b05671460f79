package run

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/freeport"

	"github.com/xlattice/xlreg/internal/run/proc"
)

// helper makes an executable that does nothing, and returns its path.
func helper(t *testing.T, name string) string {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A helper that one program has started for all stays when that program ends, is not
// started again with it, and ends with the run. Others go with their program.
func TestSharedHelper(t *testing.T) {
	shared, other := helper(t, "helperd-with-a-long-name"), helper(t, "otherd")
	out := newHeard()
	r, w := pipe(t)
	a := counted(t, "a", fmt.Sprintf(`echo pid $$, >&2
		[ $n -gt 1 ] || { setsid '%s' 1000 & echo helper $! >&2; setsid '%s' 1000 & echo other $! >&2; }
		echo up $n >&2; exec sleep 1000`, shared, other), w)
	a.Stderr = out
	a.Shared = []string{"helperd-with-a-long-name"}
	o := testOptions(t)
	o.Restart = Restart{OnFailure: true}
	l := newTold()
	o.Tell = l.tell
	o.Then = func(context.Context) error {
		out.until(t, "up 1")
		var helper, other int
		for line := range strings.Lines(out.String()) {
			_, _ = fmt.Sscanf(line, "helper %d", &helper)
			_, _ = fmt.Sscanf(line, "other %d", &other)
		}
		for n := 1; n <= 2; n++ {
			out.until(t, fmt.Sprintf("up %d", n))
			untilNamed(t, helper, "helperd-with-a-long-name")
			if err := syscall.Kill(pidsOf(t, out)[n-1], syscall.SIGKILL); err != nil {
				return err
			}
			l.until(t, "a", StateReady, n+1)
		}
		if !proc.Lives(helper) {
			t.Error("the helper went with its program")
		}
		if proc.Lives(other) {
			t.Error("what is not shared is still there")
		}
		return nil
	}
	if err := All([]Program{a, stays("b", nil)}, o); err != nil {
		t.Error(err)
	}
	w.Close()
	wantEOF(t, r)
}

// untilNamed waits until a process is what it is to become.
func untilNamed(t *testing.T, pid int, name string) {
	t.Helper()
	for range 6000 {
		if proc.NameOf(pid).Is(name) {
			return
		}
		if err := exec.Command("sleep", "0.01").Run(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d is %+v", pid, proc.NameOf(pid))
}

// A helper that does not hear is killed in the end.
func TestSharedHelperThatIsDeaf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deafd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+deaf), 0o700); err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	p := script("a", "cd '"+t.TempDir()+"'; setsid '"+path+"' &"+untilDeaf+"\nexit 5", w)
	p.Shared = []string{"deafd"}
	o := testOptions(t)
	o.Grace = 100 * 1e6
	wantExit(t, All([]Program{p}, o), "a", 5)
	w.Close()
	wantEOF(t, r)
}

// startsHelper is a program that starts a shared helper and ends once that runs. It returns
// what tells when it has ended.
func startsHelper(t *testing.T, path string, stdout io.Writer, out *heard) (p Program, end func()) {
	fifo := makeFIFO(t)
	p = script("a", fmt.Sprintf("setsid '%s' 1000 & echo helper $! >&2; echo shim $PPID. >&2; read x <'%s'", path, fifo), stdout)
	p.Stderr = out
	p.Shared = []string{filepath.Base(path)}
	return p, func() {
		out.until(t, ".\n")
		var helper int
		_, _ = fmt.Sscanf(out.String(), "helper %d", &helper)
		untilNamed(t, helper, filepath.Base(path))
		if err := os.WriteFile(fifo, []byte("x\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// A helper whose shim is killed stays for the others, and goes with the last of them.
func TestSharedHelperOfKilledShim(t *testing.T) {
	r, w := pipe(t)
	out := newHeard()
	a, end := startsHelper(t, helper(t, "helperd"), w, out)
	o := testOptions(t)
	l := newTold()
	o.Tell = l.tell
	o.Then = func(context.Context) error {
		end()
		l.until(t, "a", StateEnded, 1)
		return syscall.Kill(shimIn(t, out), syscall.SIGKILL)
	}
	if err := All([]Program{a, stays("b", nil)}, o); err != nil {
		t.Error(err)
	}
	w.Close()
	wantEOF(t, r)
}

// The second signal kills programs at once, and after them a helper that does not hear.
func TestSecondSignalKillsSharedHelper(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deafd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd '"+dir+"'\n"+deaf), 0o700); err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	out, b := newHeard(), newHeard()
	a, end := startsHelper(t, path, w, out)
	signals := make(chan os.Signal)
	o := testOptions(t)
	o.Signals, o.KeepGoing = signals, true
	l := newTold()
	o.Tell = l.tell
	ended := make(chan error)
	go func() {
		ended <- All([]Program{a, script("b", "trap 'echo told' TERM; echo up; while :; do sleep 0.01; done", b)}, o)
	}()
	end()
	l.until(t, "a", StateEnded, 1)
	untilThere(t, filepath.Join(dir, "deaf"))
	b.until(t, "up\n")
	<-time.After(400 * time.Millisecond) // by now the shim keeps nothing but the helper; on a slow machine less is tested
	signals <- syscall.SIGTERM
	b.until(t, "told\n")
	<-time.After(2 * oneSignal)
	signals <- syscall.SIGTERM
	wantExit(t, <-ended, "b", 137)
	w.Close()
	wantEOF(t, r)
}

// untilThere waits for a file.
func untilThere(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !exists(path); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is no %s", path)
		}
	}
}

// The helper also goes when the supervisor is killed after the program has ended.
func TestSharedHelperOfKilledRun(t *testing.T) {
	path := helper(t, "helperd")
	lines, kill, r := startRunToBeKilled(t, "[ $0 = b ] || { setsid '"+path+"' 1000 & echo up; exit 0; }\n echo up; exec sleep 1000", "RUN_TEST_SHARED=helperd")
	lines(3)
	kill()
	wantEOF(t, r)
}

// Erlang starts one epmd for all nodes of a machine. The node that does so may die.
func TestEPMD(t *testing.T) {
	erl, err := exec.LookPath("erl")
	if err != nil {
		t.Fatal("erl is not installed: apt-get install erlang-base")
	}
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", port.Number())
	env := []string{fmt.Sprintf("ERL_EPMD_PORT=%d", port.Number()), "ERL_EPMD_ADDRESS=127.0.0.1", "HOME=" + t.TempDir()}
	node := func(name string) Program {
		return Program{
			Name: name, Path: erl, Env: env, Stdout: io.Discard, Stderr: t.Output(), Shared: []string{"epmd"},
			Args:  []string{"erl", "-noinput", "-name", name + "@127.0.0.1", "-setcookie", "test"},
			Ready: &Ready{Check: isRegistered(t, env, name), What: "epmd -names"},
		}
	}
	o := testOptions(t)
	o.First, o.Grace = true, DefaultGrace
	do, l, ended := commanded(t, o, node("a"), node("b"))
	l.until(t, "b", StateReady, 1)
	if err := do(DoKill, "a", nil); err != nil {
		t.Error(err)
	}
	if err := isRegistered(t, env, "b")(t.Context()); err != nil {
		t.Errorf("after the death of the other: %v", err)
	}
	if err := do(DoRestart, "a", nil); err != nil {
		t.Errorf("the other comes back: %v", err)
	}
	if err := do(DoStop, "", nil); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := CheckTCP(addr)(t.Context()); err == nil {
		t.Error("epmd is still there")
	}
}

// isRegistered returns a check that epmd knows an Erlang node.
func isRegistered(t *testing.T, env []string, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "epmd", "-names")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err == nil && !strings.Contains(string(out), "name "+name+" at port") {
			err = fmt.Errorf("no %s in %q", name, out)
		}
		return err
	}
}
