//go:build linux

package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/freeport"
)

// Start starts a server that was stopped or killed, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if !s.fixed { // another process may have been faster
			s.Port = freeport.For(t)
		}
		err := s.try(ctx)
		if err == nil {
			s.fixed = true
			return
		}
		s.stop(t, syscall.SIGKILL)
		// What a killed server has left may take a moment to go.
		if !pause(ctx) {
			t.Fatalf("start postgres: %v\n%s", err, s.Log(t))
		}
	}
}

func (s *Server) try(ctx context.Context) error {
	arguments := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port)}
	for _, setting := range s.settings {
		arguments = append(arguments, "-c", setting)
	}
	cmd, err := s.command("postgres", arguments...)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.process, s.exited = cmd, exited
	go func() { // stop waits for it
		defer close(exited)
		_ = cmd.Wait() // how it ended is in its log
	}()
	if err := s.watch(); err != nil {
		return err
	}
	return s.ready(ctx)
}

// watch starts a process that ends the server when this one dies, of whatever.
func (s *Server) watch() (err error) {
	pid := strconv.Itoa(s.process.Process.Pid)
	s.watcher = exec.CommandContext(context.Background(), "sh", "-c", "read _; kill -QUIT $1", "sh", pid) //nolint:gosec // a number
	if s.leash, err = s.watcher.StdinPipe(); err != nil {
		return err
	}
	return s.watcher.Start()
}

// ready waits until the server answers, or has ended.
func (s *Server) ready(ctx context.Context) error {
	for {
		conn, err := s.connect(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return errExited
		default:
		}
		if !pause(ctx) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// pause returns false when ctx ends.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Stop ends the server in order: sessions are ended, and everything is on disk.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.stop(t, syscall.SIGINT)
}

// Kill ends the server at once, and all its processes, as a crash would.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.stop(t, syscall.SIGKILL)
}

func (s *Server) stop(t testing.TB, how syscall.Signal) {
	t.Helper()
	if s.process == nil {
		return
	}
	if how == syscall.SIGKILL {
		s.signal(t, how)
	} else if err := s.process.Process.Signal(how); err != nil {
		t.Log(err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Errorf("postgres does not end:\n%s", s.Log(t))
		s.signal(t, syscall.SIGKILL)
		<-s.exited
	}
	s.process = nil
	s.unwatch()
}

// unwatch ends the watcher without what it is for.
func (s *Server) unwatch() {
	if s.watcher == nil || s.watcher.Process == nil {
		return
	}
	_ = s.watcher.Process.Kill() // it is ours, and has not been waited for
	_ = s.watcher.Wait()         // that it was killed is no news
	_ = s.leash.Close()          // Wait has closed it
	s.watcher = nil
}

// Exited is closed when the server has ended, by itself or not.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Pause stops all of the server's processes where they are. Resume lets them go on.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

// signal sends a signal to the first process and to its children, of which each has a
// session of its own. What it starts meanwhile ends with it.
func (s *Server) signal(t testing.TB, what syscall.Signal) {
	t.Helper()
	first := s.process.Process.Pid
	if err := s.process.Process.Signal(what); err != nil {
		return // it has ended
	}
	for _, pid := range children(t, first) {
		_ = syscall.Kill(pid, what) // it may have ended
	}
}

func children(t testing.TB, of int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …
		before, after, _ := strings.Cut(string(text), ") ")
		number, _, _ := strings.Cut(before, " ")
		fields := strings.Fields(after)
		pid, err := strconv.Atoi(number)
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(of) {
			found = append(found, pid)
		}
	}
	return found
}

// Log returns what the server has said so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *Server) logFile() string { return s.data() + ".log" }
