package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, c := range []struct {
		content string
		perm    os.FileMode
		write   func(string, []byte, os.FileMode) error
	}{
		{"old", 0o644, Write}, {"a longer new", 0o600, Write}, {"", 0o640, Write},
		{"old", 0o644, WriteUnsynced}, {"a longer new", 0o600, WriteUnsynced}, {"", 0o640, WriteUnsynced},
	} {
		if err := c.write(path, []byte(c.content), c.perm); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.content || info.Mode().Perm() != c.perm {
			t.Errorf("got %q with %v", got, info.Mode())
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"file"}) {
		t.Errorf("files %v", got)
	}
}

// TestWriteReplacesTheFileAndNotItsContent makes sure that who has the old file
// open goes on reading the old content.
func TestWriteReplacesTheFileAndNotItsContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := Write(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := reader.Read(got); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing", "file")
	for _, write := range []func(string, []byte, os.FileMode) error{Write, WriteUnsynced} {
		if err := write(missing, nil, 0o600); !errors.Is(err, fs.ErrNotExist) || err.Error() != "write "+missing+": "+syscall.ENOENT.Error() {
			t.Errorf("got %v", err)
		}
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(taken, []byte("new"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if got := names(t, dir); !slices.Equal(got, []string{"taken"}) {
		t.Errorf("files %v", got)
	}
}

func TestWriteInTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write("file", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveLeftovers("file"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, "."); !slices.Equal(got, []string{"file"}) {
		t.Errorf("files %v", got)
	}
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	all := []string{".file.123.tmp", ".file.tmp", ".other.123.tmp", "file", "file.123.tmp"}
	for _, name := range all {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveLeftovers(filepath.Join(dir, "file")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, all[1:]) {
		t.Errorf("files %v", got)
	}
	if err := RemoveLeftovers(filepath.Join(dir, "missing", "file")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "a", "b", "c")
	var synced []string
	sync := func(dir string) error {
		synced = append(synced, dir)
		return nil
	}
	if err := mkdirAll(path, 0o700, sync); err != nil {
		t.Fatal(err)
	}
	// Each new name is in the directory above it, up to the first that was there.
	want := []string{filepath.Join(top, "a", "b"), filepath.Join(top, "a"), top}
	if !slices.Equal(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v", info, err)
	}
	synced = nil
	if err := mkdirAll(path, 0o700, sync); err != nil || len(synced) > 0 {
		t.Errorf("one that is there: %v, synced %v", err, synced)
	}
	failing := errors.New("no sync")
	err = mkdirAll(filepath.Join(path, "d"), 0o700, func(string) error { return failing })
	if !errors.Is(err, failing) {
		t.Errorf("a sync that fails: %v", err)
	}
	if err := MkdirAll(filepath.Join(top, "e", "f"), 0o700); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(top, "file", "x"), 0o700); err == nil {
		t.Error("a directory inside a file")
	}
}
