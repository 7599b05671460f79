//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/freeport"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/xlregtest"
)

// TestLaunchScripts runs the scripts about run, and join with a command. Beside the
// commands of TestScripts they know:
//
//   - freeport NAME gives $NAME a port that nobody has
//   - nothing-left makes sure that no process of the script and no directory of a
//     run is there any more
func TestLaunchScripts(t *testing.T) {
	p := scripts(filepath.Join("testdata", "launch"), makeKeys(t, 4))
	p.Cmds["freeport"] = cmdFreePort
	p.Cmds["nothing-left"] = cmdNothingLeft
	testscript.Run(t, p)
}

func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1, "freeport NAME")
	port, err := freeport.Take()
	ts.Check(err)
	ts.Defer(func() { _ = port.Close() })
	ts.Setenv(args[0], strconv.Itoa(port.Number()))
}

func cmdNothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 0, "nothing-left")
	left, err := filepath.Glob(filepath.Join(ts.Getenv("TMPDIR"), "xlreg-run-*"))
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("left behind: %v", left)
	}
	if found := processesWith(launchedIn(ts.Getenv("WORK"))); len(found) > 0 {
		ts.Fatalf("left behind: %q", found)
	}
}

// launchedIn is what is in the environment of processes that a script's run has
// started, and of nobody else's.
func launchedIn(work string) []string { return []string{"WORK=" + work + "\x00", "\x00XLREG_SELF="} }

// processesWith returns the command lines of the processes with all of these in
// their environment.
func processesWith(marks []string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		env, err := os.ReadFile(path)
		if err != nil {
			continue // gone, or another user's
		}
		missing := false
		for _, mark := range marks {
			missing = missing || !bytes.Contains(env, []byte(mark))
		}
		if !missing {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// launched is an 'xlreg run' whose programs hold a pipe that is at its end when all
// of them are gone, and all that they have started.
type launched struct {
	*exec.Cmd
	out  *bufio.Reader // what it writes
	gone *os.File
	mark string
	tmp  string
}

// stayers is what a program starts that is not to be left behind.
const stayers = `exec 9>"$FIFO"; sleep 1000 & (trap '' TERM; while :; do sleep 0.01; done) & (setsid sleep 1000 &); `

func startRun(t *testing.T, args ...string) *launched {
	t.Helper()
	return startRunIgnoring(t, "", args...)
}

// startRunIgnoring starts a run with signals ignored, as nohup and the shells' & do. It
// ignores no others, however the tests were started.
func startRunIgnoring(t *testing.T, ignored string, args ...string) *launched {
	t.Helper()
	program, err := exec.LookPath("xlreg") // testscript's
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := &launched{mark: "FIFO=" + filepath.Join(dir, "fifo"), tmp: dir}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Opened for both, so that opening waits for nobody.
	if l.gone, err = os.OpenFile(filepath.Join(dir, "fifo"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	l.Cmd = exec.Command(program, append([]string{"run"}, args...)...)
	if ignored != "" {
		ignore := []string{"-c", "trap '' " + ignored + `; exec "$@"`, "sh", program}
		l.Cmd = exec.Command("sh", append(ignore, l.Args[1:]...)...)
	}
	l.Env = append(os.Environ(), l.mark, "TMPDIR="+dir, "GORACE=atexit_sleep_ms=10")
	l.Stderr = t.Output()
	out, err := l.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.out = bufio.NewReader(out)
	// What this process handles, and no longer ignores, its children begin with as usual.
	heeded := make(chan os.Signal, 1)
	signal.Notify(heeded, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(heeded)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Process.Kill()
		_ = l.Wait()
		l.gone.Close()
	})
	return l
}

// lines returns as many lines of output.
func (l *launched) lines(t *testing.T, n int) []string {
	t.Helper()
	var lines []string
	for range n {
		line, err := l.out.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// wantGone waits until nobody has the pipe, and looks for processes and files.
func (l *launched) wantGone(t *testing.T) {
	t.Helper()
	reader, err := os.Open(filepath.Join(l.tmp, "fifo"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l.gone.Close() // the last writer, if the others are gone
	timeout := time.AfterFunc(time.Minute, func() {
		t.Errorf("still there: %q", processesWith([]string{l.mark + "\x00"}))
		reader.Close()
	})
	_, _ = io.Copy(io.Discard, reader)
	timeout.Stop()
	l.awaitShims(t)
	left, _ := filepath.Glob(filepath.Join(l.tmp, "xlreg-run-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// awaitShims waits for the shims, which do not have the pipe.
func (l *launched) awaitShims(t *testing.T) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(time.Minute)
	for {
		found := processesWith([]string{l.mark + "\x00"})
		if len(found) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-timeout:
			t.Fatalf("still there: %q", found)
		}
	}
}

func wantStatus(t *testing.T, err error, status int) {
	t.Helper()
	var e *exec.ExitError
	if !errors.As(err, &e) || e.ExitCode() != status {
		t.Errorf("ended with %v, want exit code %d", err, status)
	}
}

// Nothing is left behind when the run itself is killed.
func TestRunKilled(t *testing.T) {
	l := startRun(t, "-n", "3", "--", "sh", "-c", stayers+"echo up; wait")
	l.lines(t, 3)
	if found := processesWith([]string{l.mark + "\x00"}); len(found) < 4 {
		t.Errorf("only these are there: %q", found)
	}
	if err := l.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = l.Wait()
	l.wantGone(t)
}

func TestRunStopped(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		status int
	}{
		{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129},
	} {
		t.Run(c.signal.String(), func(t *testing.T) {
			t.Parallel()
			l := startRun(t, "-n", "2", "--", "sh", "-c", `exec 9>"$FIFO"; sleep 1000 & echo up; exec sleep 1000`)
			l.lines(t, 2)
			if err := l.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			wantStatus(t, l.Wait(), c.status)
			l.wantGone(t)
		})
	}
}

// A run stops when it is told to, also if it was started in the background by a script,
// which has Ctrl-C ignored, or by nohup. To go on when the terminal is closed is what
// nohup is for, and it holds for the programs too.
func TestRunStoppedWithSignalsIgnored(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		status int
	}{
		{syscall.SIGINT, 130}, {syscall.SIGTERM, 143},
	} {
		t.Run(c.signal.String(), func(t *testing.T) {
			t.Parallel()
			l := startRunIgnoring(t, "INT TERM HUP QUIT", "-n", "2", "--", "sh", "-c", `exec 9>"$FIFO"; echo up; exec sleep 1000`)
			l.lines(t, 2)
			if err := l.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if err := l.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			wantStatus(t, l.Wait(), c.status)
			l.wantGone(t)
		})
	}
}

// Programs that go on after Ctrl-C are killed by the second.
func TestRunInterruptedTwice(t *testing.T) {
	l := startRun(t, "-n", "2", "--", "sh", "-c", `exec 9>"$FIFO"; trap 'echo on' INT TERM; echo up; while :; do sleep 0.01; done`)
	l.lines(t, 2)
	l.interruptTwice(t, 2)
	wantStatus(t, l.Wait(), 137)
	l.wantGone(t)
}

// interruptTwice sends the second signal when so many lines have been said to the first.
func (l *launched) interruptTwice(t *testing.T, lines int) {
	t.Helper()
	for _, n := range []int{lines, 0} {
		if err := l.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		l.lines(t, n)
		<-time.After(100 * time.Millisecond) // two at the same time are one
	}
	_, _ = io.Copy(io.Discard, l.out)
}

// So is the command of --then, whatever is left of its time.
func TestRunInterruptedTwiceDuringThen(t *testing.T) {
	l := startRun(t, "-n", "2", "--stop-timeout", "1h",
		"--then", `exec 9>"$FIFO"; trap 'echo on' INT TERM; echo up; while :; do sleep 0.01; done`, "--", "sleep", "1000")
	l.lines(t, 1)
	l.interruptTwice(t, 1)
	wantStatus(t, l.Wait(), 130)
	l.wantGone(t)
}

// Ctrl-C while members are waited for ends the wait, and nothing stays.
func TestRunInterruptedBeforeTheStart(t *testing.T) {
	r := xlregtest.Start(t)
	l := startRun(t, "-n", "2", "--size", "3", "--cluster", "web", "--registry", r.URL(), "--", "sh", "-c", "echo never")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	target := r.Target()
	waitForMembers(ctx, t, target, "web", 2)
	if err := l.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(l.out); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
	wantStatus(t, l.Wait(), 130)
	l.wantGone(t)
}

// waitForMembers waits until a cluster, which may not exist yet, has n members.
func waitForMembers(ctx context.Context, t *testing.T, target *regcred.Target, cluster xlreg.Name, n int) {
	t.Helper()
	c, err := client.Dial(ctx, target, client.Options{Node: xlregtest.Node(t, "looker")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Register(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(ctx, client.CreateOptions{Name: cluster, Size: n + 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(ctx, xlreg.ClusterRef{Name: cluster}, n); err != nil {
		t.Fatal(err)
	}
}

// The registry of a run admits the members that the run made. Others can look, and
// no more.
func TestStrangersAreNotAdmitted(t *testing.T) {
	l := startRun(t, "-n", "2", "--", "sh", "-c", "echo {{.Registry}} {{.Cluster.Name}}; exec sleep 1000")
	var prefix, url, name string
	if _, err := fmt.Sscan(strings.ReplaceAll(l.lines(t, 2)[0], "|", ""), &prefix, &url, &name); err != nil {
		t.Fatal(err)
	}
	target, err := regcred.Load(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), target, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roster, err := c.Members(t.Context(), xlreg.ClusterRef{Name: xlreg.Name(name)})
	if err != nil || len(roster.Members) != 2 {
		t.Fatalf("somebody who reads: %v, %v", roster, err)
	}
	_, err = client.Form(t.Context(), target, client.FormOptions{
		Options: client.Options{Node: xlregtest.Node(t, "m0")}, Cluster: xlreg.ClusterRef{Name: xlreg.Name(name)},
		Size: 2, Advertise: []xlreg.Endpoint{"127.0.0.1:1"},
	})
	if !errors.Is(err, xlreg.ErrKeyNotAdmitted) {
		t.Errorf("a stranger: %v", err)
	}
}
