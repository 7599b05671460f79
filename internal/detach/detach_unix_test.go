//go:build unix

package detach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// What the test program does as a process of its own: what is named in taskVariable, with
// the directory in dirVariable.
const (
	taskVariable = "DETACH_TEST_TASK"
	dirVariable  = "DETACH_TEST_DIR"
)

func TestMain(m *testing.M) {
	if os.Getenv(taskVariable) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if s := Inherited(); s != nil {
		detached(s, signals)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
	}()
	err := Start(ctx, Options{Out: os.Stdout, Err: os.Stderr, Log: "the log"})
	if told := (*Error)(nil); errors.As(err, &told) {
		fmt.Fprintln(os.Stderr, "told:", told)
		os.Exit(told.Exit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(99)
	}
}

// detached is the life of the detached process.
func detached(s *Starter, signals <-chan os.Signal) {
	defer s.Close()
	dir := os.Getenv(dirVariable)
	note(dir, "pid", fmt.Sprint(os.Getpid()))
	note(dir, "env", strings.Join(os.Environ(), "\n"))
	fmt.Println("on its own")
	fmt.Fprintln(s.Err(), "before the log")
	if os.Getenv(taskVariable) == "fail early" {
		s.Failed("in use", 4)
		fmt.Fprintln(os.Stderr, "in use") // as a program does that ends with an error
		return
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err == nil {
		err = s.LogTo(log)
	}
	if err != nil {
		s.Failed(err.Error(), 98)
		return
	}
	fmt.Fprintln(s.Out(), "formed")
	fmt.Fprintln(s.Err(), "a warning")
	switch os.Getenv(taskVariable) {
	case "fail":
		s.Failed("no seat is free", 3)
		return
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		note(dir, "hangs", "")
		select {
		case <-s.Gone():
			note(dir, "end", "gone")
		case <-signals:
			s.Failed("interrupted", 130)
			note(dir, "end", "signal")
		}
		return
	}
	note(dir, "child", whatChildrenHave())
	s.Ready()
	s.Ready() // is nothing new
	s.Failed("too late", 1)
	fmt.Fprintln(s.Out(), "after ready")
	note(dir, "after", "")
	<-signals
	note(dir, "end", "signal")
}

// whatChildrenHave returns which files a child of this process has open, and whether it
// would take itself for a detached one.
func whatChildrenHave() string {
	out, err := exec.Command("sh", "-c", "ls /proc/self/fd; echo ${"+variable+"-unset}").CombinedOutput()
	return fmt.Sprintf("%s%v", out, err)
}

// note leaves something for the test to read, whole or not at all.
func note(dir, name, text string) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err == nil {
		_ = os.Rename(path+".new", path)
	}
}

// await returns a note once it is there.
func awaitNote(t *testing.T, dir, name string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return string(text)
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

func starter(t *testing.T, task string) (cmd *exec.Cmd, dir string, out, errs *bytes.Buffer) {
	t.Helper()
	dir, out, errs = t.TempDir(), new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(os.Args[0], "with", "arguments")
	cmd.Env = append(os.Environ(), taskVariable+"="+task, dirVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = out, errs
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(awaitNote(t, dir, "pid")); err == nil {
			awaitEnd(t, pid)
		}
	})
	return cmd, dir, out, errs
}

// awaitEnd waits until a process is gone. Where nobody looks after orphans, it stays as one
// that has ended and was not waited for.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is left behind", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestDetach(t *testing.T) {
	cmd, dir, out, errs := starter(t, "run")
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for range 5 { // more than Start uses itself
		cmd.ExtraFiles = append(cmd.ExtraFiles, lock)
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	if out.String() != "on its own\nformed\n" || errs.String() != "before the log\na warning\n" {
		t.Errorf("told %q, %q", out, errs)
	}
	pid, err := strconv.Atoi(awaitNote(t, dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("session %d of %d: %v", session, pid, err)
	}
	// Its children get neither the pipe to the starter, nor the variable that tells of it, nor any
	// file of the caller's.
	if child := awaitNote(t, dir, "child"); child != "0\n1\n2\n3\nunset\n<nil>" { // 3 is the list itself
		t.Errorf("a child of it has %q", child)
	}
	awaitNote(t, dir, "after")
	if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(log) != "formed\na warning\nafter ready\n" {
		t.Errorf("the log has %q, %v", log, err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitNote(t, dir, "end")
}

func TestDetachedFails(t *testing.T) {
	cmd, _, _, errs := starter(t, "fail")
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.HasSuffix(errs.String(), "told: no seat is free\n") {
		t.Errorf("%v: %s", err, errs)
	}
}

// What happens before there is a log is told once, by the starter.
func TestDetachedFailsEarly(t *testing.T) {
	cmd, _, _, errs := starter(t, "fail early")
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 4 || errs.String() != "before the log\ntold: in use\n" {
		t.Errorf("%v: %s", err, errs)
	}
}

func TestDetachedIsKilled(t *testing.T) {
	cmd, _, _, errs := starter(t, "die")
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 99 || !strings.Contains(errs.String(), "was killed (EOF): see the log") {
		t.Errorf("%v: %s", err, errs)
	}
}

func TestStarterIsInterrupted(t *testing.T) {
	cmd, dir, _, errs := starter(t, "hang")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitNote(t, dir, "hangs")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("%v: %s", err, errs)
	}
	if end := awaitNote(t, dir, "end"); end != "signal" {
		t.Errorf("it ended by %s", end)
	}
}

func TestStarterIsKilled(t *testing.T) {
	cmd, dir, _, _ := starter(t, "hang")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitNote(t, dir, "hangs")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if end := awaitNote(t, dir, "end"); end != "gone" {
		t.Errorf("it ended by %s", end)
	}
}
