package rundir

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full costs lines of logs and nothing else, and what was kept stays whole.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	d, err := Open(filepath.Join(disk, "run"), Owner{Mark: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	kept := Kept{Cluster: "web", Members: map[string][]string{"m0": {"127.0.0.1:4000"}}}
	if err := d.Save(kept); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(d.LogsPath(), "m0")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	line := bytes.Repeat([]byte("x"), 1000)
	for range 100 {
		if _, err := l.Tee(&out).Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 100*len(line) {
		t.Errorf("%d bytes got through", out.Len())
	}
	wantError(t, "the log", l.Close(), syscall.ENOSPC, "bytes are missing")
	wantError(t, "what is kept", d.Save(Kept{Cluster: "other"}), syscall.ENOSPC)
	if got, err := d.Kept(); err != nil || !reflect.DeepEqual(*got, kept) {
		t.Errorf("kept %v, %v", got, err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("the end of the run: %v", err)
	}
	if mark := Killed(d.Path()); mark != "" {
		t.Errorf("it was not killed, and left %q", mark)
	}
	rest := filepath.Join(disk, "rest")
	_ = os.WriteFile(rest, make([]byte, 1<<20), 0o600) // fails when the disk is full again
	_, err = Open(d.Path(), Owner{})
	wantError(t, "the next run", err, syscall.ENOSPC)
	if text := err.Error(); strings.Count(text, "no space left") != 1 {
		t.Errorf("said twice: %s", text)
	}
	if err := os.Remove(rest); err != nil {
		t.Error(err)
	}
	if err := open(t, d.Path()).Close(); err != nil {
		t.Error(err)
	}
}
