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

	"github.com/xlattice/xlreg/internal/freeport"
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
		if !lives(helper) {
			t.Error("the helper went with its program")
		}
		if lives(other) {
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
		if nameOf(pid).is(name) {
			return
		}
		if err := exec.Command("sleep", "0.01").Run(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%d is %+v", pid, nameOf(pid))
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
