package filelock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// otherProcess names the lock that the test program is to try to take when it is
// started as another process.
const otherProcess = "FILELOCK_TEST_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(otherProcess); path != "" {
		_, err := Lock(path)
		fmt.Println("locked:", errors.Is(err, ErrLocked), "error:", err)
		return
	}
	m.Run()
}

func tryElsewhere(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), otherProcess+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("in the same process: got %v", err)
	}
	if out := tryElsewhere(t, path); !strings.HasPrefix(out, "locked: true") {
		t.Errorf("in another process: got %s", out)
	}
	for range 2 {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	}
	if out := tryElsewhere(t, path); !strings.HasPrefix(out, "locked: false error: <nil>") {
		t.Errorf("after Close: got %s", out)
	}
	// The other process has ended without a word, and its lock with it.
	again, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("lock file %v, %v", info, err)
	}
}

func TestLockWhereThereIsNoDirectory(t *testing.T) {
	if _, err := Lock(filepath.Join(t.TempDir(), "missing", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
