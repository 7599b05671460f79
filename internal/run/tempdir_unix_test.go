//go:build unix

package run

import (
	"errors"
	"os"
	"path/filepath"
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
	if err := d.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	again, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for exists(d.Path()) {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("the directory stays")
		}
	}
	if err := d.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTempDirIsHandedOver(t *testing.T) {
	d := newTempDir(t)
	if err := errors.Join(d.HandOver(), d.HandOver()); err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(d.Path(), "file")) {
		t.Error("the directory is gone, though others look after it")
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil || exists(d.Path()) {
		t.Errorf("closed: %v, there: %v", err, exists(d.Path()))
	}
}

func TestTempDirThatIsClosed(t *testing.T) {
	d := newTempDir(t)
	if err := d.Close(); err != nil || exists(d.Path()) {
		t.Errorf("closed: %v, there: %v", err, exists(d.Path()))
	}
}
