//go:build unix

package detach

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endTime is how long the detached process has to end when its starter is interrupted.
const endTime = 30 * time.Second

// Start starts this program again, and shows what it says until it is ready. Then it
// returns nil, and the other goes on. An *Error is one that the other has told. If ctx ends
// the other is ended.
func Start(ctx context.Context, o Options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	reports, reportsEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reports.Close()
	life, lifeEnd, err := os.Pipe()
	if err != nil {
		return errors.Join(err, reportsEnd.Close())
	}
	defer lifeEnd.Close()
	withholdFiles()
	p, err := os.StartProcess(self, os.Args, &os.ProcAttr{ //nolint:gosec // this program, called as it was
		Env:   append(os.Environ(), variable+"=1"),
		Files: []*os.File{null, os.Stdout, os.Stderr, reportsEnd, life},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	reportsEnd.Close()
	life.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = p.Signal(syscall.SIGTERM) // it may have ended
		_ = reports.SetReadDeadline(time.Now().Add(endTime))
	})
	defer stop()
	err = show(reports, o)
	if err == nil {
		return p.Release()
	}
	if ctx.Err() != nil && errors.Is(err, io.EOF) {
		err = ctx.Err() // it ended because it was told to
	}
	return errors.Join(err, await(p))
}

// withholdFiles keeps the files that this process was given from the detached one, which would
// hold them for as long as it lives: the lock of 'flock 9' in a script, or a pipe whose reader
// waits for its end.
func withholdFiles() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // not every system has a list of them
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > syscall.Stderr {
			syscall.CloseOnExec(fd)
		}
	}
}

// await waits for a process that has failed, and kills it if it does not end.
func await(p *os.Process) error {
	kill := time.AfterFunc(endTime, func() { _ = p.Kill() })
	defer kill.Stop()
	_, err := p.Wait()
	return err
}

// Inherited returns the process that has started this one with Start, or nil. It is called
// once, before anything else is started.
func Inherited() *Starter {
	if os.Getenv(variable) == "" {
		return nil
	}
	_ = os.Unsetenv(variable) // fails for impossible names only
	syscall.CloseOnExec(reportsFD)
	syscall.CloseOnExec(lifeFD)
	_ = syscall.SetNonblock(lifeFD, true) // so that Close ends a read
	s := &Starter{
		reports: os.NewFile(reportsFD, "reports"), life: os.NewFile(lifeFD, "life"), gone: make(chan struct{}),
	}
	s.watch()
	return s
}

// LogTo sends this process's standard output and error to a file from now on.
func (s *Starter) LogTo(f *os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = true
	return redirect(f)
}

// mute sends standard output and error nowhere, unless there is a log.
func (s *Starter) mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs {
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return // then people read it twice
	}
	defer null.Close()
	_ = redirect(null) // likewise
}

func redirect(f *os.File) error {
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if err := unix.Dup2(int(f.Fd()), int(std.Fd())); err != nil {
			return err
		}
	}
	return nil
}
