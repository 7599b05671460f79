//go:build unix

package rundir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// closing remembers that it was closed.
type closing struct {
	bytes.Buffer
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func openLog(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := OpenLog(dir, "m0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func write(t *testing.T, w interface{ Write([]byte) (int, error) }, text string) {
	t.Helper()
	if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	for i, text := range []string{"first", "second", "third"} {
		l := openLog(t, dir)
		var out, errs closing
		stdout, stderr := l.Tee(&out), l.Tee(&errs)
		write(t, stdout, text)
		write(t, stderr, "!")
		for _, w := range []interface{ Close() error }{stdout, stderr, l, l} {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if out.String() != text || errs.String() != "!" || !out.closed || !errs.closed {
			t.Errorf("%d: %q, %q", i, &out, &errs)
		}
	}
	for name, want := range map[string]string{"m0.log": "third!", "m0.log.1": "second!"} {
		path := filepath.Join(dir, name)
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || string(got) != want || statErr != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %q, %v, %v", name, got, err, info)
		}
	}
}

// A program that writes after the end of its log loses nothing but the log.
func TestLogAfterClose(t *testing.T) {
	l := openLog(t, t.TempDir())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var out closing
	write(t, l.Tee(&out), "late")
	if out.String() != "late" {
		t.Errorf("%q", &out)
	}
}

// Where others can write, they may have put anything in the place of a log.
func TestLogThatIsNoFile(t *testing.T) {
	for name, plant := range map[string]func(log, precious string) error{
		"a link":      func(log, precious string) error { return os.Symlink(precious, log) },
		"a dead link": func(log, precious string) error { return os.Symlink(precious+"x", log) },
		"a pipe":      func(log, _ string) error { return syscall.Mkfifo(log, 0o600) },
		"a directory": func(log, _ string) error { return os.Mkdir(log, 0o700) },
	} {
		dir := t.TempDir()
		precious := filepath.Join(t.TempDir(), "precious")
		if err := errors.Join(os.WriteFile(precious, []byte("kept"), 0o600), plant(LogPath(dir, "m0"), precious)); err != nil {
			t.Fatal(err)
		}
		within(t, name, func() {
			_, err := OpenLog(dir, "m0")
			wantError(t, name, err, nil, LogPath(dir, "m0"), "not a plain file", "remove it, or choose another place with --log-dir")
			_, err = ReadLog(dir, "m0")
			wantError(t, name+", read", err, nil, "not a plain file")
		})
		if text, err := os.ReadFile(precious); string(text) != "kept" || err != nil || exists(precious+"x") {
			t.Errorf("%s: the file has %q, %v", name, text, err)
		}
	}
}

// Others may put something there just before the log is made.
func TestLogIsANewFile(t *testing.T) {
	dir, stop := t.TempDir(), make(chan struct{})
	precious := filepath.Join(t.TempDir(), "precious")
	path := LogPath(dir, "m0")
	var planting sync.WaitGroup
	planting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Symlink(precious, path) // unless there is one
			}
		}
	})
	for range 1000 {
		if l, err := OpenLog(dir, "m0"); err == nil {
			l.Close()
		}
		_ = os.Remove(path)
	}
	close(stop)
	planting.Wait()
	if exists(precious) {
		t.Error("a log was written through a link")
	}
}

// A directory of logs may itself be reached by a link.
func TestLogsThroughALink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := PrepareLogs(link); err != nil {
		t.Error(err)
	}
	write(t, openLog(t, link), "here")
	if text, err := os.ReadFile(LogPath(dir, "m0")); string(text) != "here" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
