//go:build unix

package run

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

func newTempDir(t *testing.T) *TempDir {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	d, err := NewTempDir("x-", testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Path(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// The pipe of a process that is killed is closed, and nothing was written to it.
func TestTempDirOfOneThatIsKilled(t *testing.T) {
	d := newTempDir(t)
	defer d.dismiss()
	d.mu.Lock()
	d.closed = true // so that no other shim is started
	if err := d.keeper.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	d.mu.Unlock()
	again, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for exists(d.Path()) {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("the directory stays")
		}
	}
}

func TestTempDirThatIsClosed(t *testing.T) {
	d := newTempDir(t)
	if err := errors.Join(d.Close(), d.Close()); err != nil || exists(d.Path()) {
		t.Errorf("closed: %v, there: %v", err, exists(d.Path()))
	}
}

// A shim that is killed is replaced, and one that does not answer holds up nobody for ever.
func TestTempDirWhoseShimIsKilled(t *testing.T) {
	d := newTempDir(t)
	defer d.Close()
	for range 3 {
		before := d.current()
		if err := before.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for late := time.Now().Add(time.Minute); d.current() == before; <-time.After(time.Millisecond) {
			if time.Now().After(late) {
				t.Fatal("nobody looks after the directory")
			}
		}
	}
	if !exists(filepath.Join(d.Path(), "file")) {
		t.Error("the directory is gone")
	}
	if err := d.current().cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil || exists(d.Path()) {
		t.Errorf("closed: %v, there: %v", err, exists(d.Path()))
	}
}

// Only names of the very form that NewTempDir gives are found.
func TestTempDirs(t *testing.T) {
	d := newTempDir(t)
	place := filepath.Dir(d.Path())
	for _, name := range []string{"x-", "x-aaaaaaaaaaa", "x-aaaaaaaaaaaaa", "x-aaaaaaaaaaa1", "x-AAAAAAAAAAAA", "y-aaaaaaaaaaaa"} {
		if err := os.Mkdir(filepath.Join(place, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := TempDirs("x-"); err != nil || !slices.Equal(found, []string{d.Path()}) {
		t.Errorf("found %q, %v", found, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	t.Setenv("TMPDIR", filepath.Join(place, "none"))
	if found, err := TempDirs("x-"); !errors.Is(err, os.ErrNotExist) || len(found) > 0 {
		t.Errorf("found %q, %v", found, err)
	}
}
