//go:build unix

package rundir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// abandon makes the directory of a run that was killed with all its shims. Beside it is a file
// to which a link in the directory leads.
func abandon(t *testing.T) (dir, outside string) {
	t.Helper()
	place := t.TempDir()
	dir, outside = filepath.Join(place, "run"), filepath.Join(place, "outside")
	if err := os.MkdirAll(filepath.Join(dir, "m0", "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "m0", "data", "file"), filepath.Join(outside, "file")} {
		if err := os.WriteFile(path, nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "m0", "link")); err != nil {
		t.Fatal(err)
	}
	startOther(t, dir).kill(t)
	return dir, outside
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func idle(string) bool { return false }

func TestRemoveAbandoned(t *testing.T) {
	dir, outside := abandon(t)
	var told string
	removed, err := RemoveAbandoned(t.Context(), dir, func(mark string) bool {
		told = mark
		return false
	})
	if !removed || err != nil || exists(dir) || told != "other" {
		t.Errorf("removed %v, %v; there %v, told %q", removed, err, exists(dir), told)
	}
	if !exists(filepath.Join(outside, "file")) {
		t.Error("a link was followed")
	}
	if removed, err := RemoveAbandoned(t.Context(), dir, idle); removed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("again: %v, %v", removed, err)
	}
}

// After a power cut, what was not waited for may not be on the disk.
func TestRemoveAbandonedAfterPowerCut(t *testing.T) {
	for name, cut := range map[string]func(string) error{
		"empty": func(path string) error { return os.Truncate(path, 0) }, "missing": os.Remove,
	} {
		dir, _ := abandon(t)
		if err := cut(pathIn(dir, holderName)); err != nil {
			t.Fatal(err)
		}
		if removed, err := RemoveAbandoned(t.Context(), dir, idle); !removed || err != nil {
			t.Errorf("%s: %v, %v", name, removed, err)
		}
	}
}

// What may be somebody's stays as it is.
func TestRemoveAbandonedLeavesAlone(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		change func(dir string) error
		busy   bool
		late   bool
	}{
		"processes are left": {busy: true},
		"no time":            {late: true},
		"others may enter":   {change: func(dir string) error { return os.Chmod(dir, 0o755) }},
		"no lock yet":        {change: func(dir string) error { return os.Remove(filepath.Join(dir, lockName)) }},
		"the lock is a pipe": {change: func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, lockName)), syscall.Mkfifo(filepath.Join(dir, lockName), 0o600))
		}},
		"of another machine": {change: func(dir string) error {
			return changeHolder(dir, func(h *holder) { h.Machine.Host += "x" })
		}},
		"of another container": {change: func(dir string) error {
			return changeHolder(dir, func(h *holder) { h.Machine.Space += "x" })
		}},
		"of another user": {change: func(dir string) error {
			if os.Geteuid() != 0 {
				return os.Chmod(dir, 0o755) // nobody else can give it away
			}
			return os.Chown(dir, 4711, -1)
		}},
		"a link": {change: func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"-moved"), os.Symlink(dir+"-moved", dir))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := abandon(t)
			if c.change != nil {
				if err := c.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			ctx := t.Context()
			if c.late {
				ctx = over
			}
			within(t, name, func() {
				if removed, _ := RemoveAbandoned(ctx, dir, func(string) bool { return c.busy }); removed {
					t.Error("removed")
				}
			})
			if !exists(filepath.Join(dir, "m0", "data", "file")) {
				t.Error("a file is gone")
			}
		})
	}
}

func changeHolder(dir string, change func(*holder)) error {
	var h holder
	if err := readJSON(pathIn(dir, holderName), &h); err != nil {
		return err
	}
	change(&h)
	return new(Dir).write(pathIn(dir, holderName), h)
}

// The directory of a run that lives stays, and that of one that is about to begin: there is no
// moment at which another one finds its lock there and free.
func TestRemoveAbandonedWhileRunsBegin(t *testing.T) {
	place := t.TempDir()
	stop, swept := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swept)
		for {
			dirs, _ := filepath.Glob(filepath.Join(place, "*"))
			for _, dir := range dirs {
				if removed, _ := RemoveAbandoned(t.Context(), dir, idle); removed {
					t.Error("the directory of a run was removed")
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 200 {
		dir := filepath.Join(place, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir, Owner{Temporary: true})
		if err != nil {
			t.Errorf("the directory was taken away from a run: %v", err)
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-swept
}
