package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLookPath(t *testing.T) {
	if path, err := LookPath("go"); err != nil || !filepath.IsAbs(path) {
		t.Errorf("%s, %v", path, err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]struct {
		status int
		text   string
	}{
		"no-such-program":          {127, "no-such-program: no such program: install it, or give its path"},
		"/no/such/program":         {127, "no such program"},
		plain:                      {126, "cannot be run"},
		filepath.Dir(plain) + "/.": {126, "cannot be run"},
	} {
		_, err := LookPath(program)
		var e *ExitError
		if !errors.As(err, &e) || e.Status() != want.status || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v, want %d, %q", program, err, want.status, want.text)
		}
	}
}

// Servers are found by users whose PATH does not lead to them.
func TestLookPathFindsServers(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if path, err := LookPath("chroot"); err != nil || path != "/usr/sbin/chroot" {
		t.Errorf("%s, %v", path, err)
	}
	for _, program := range []string{"no-such-program", "./chroot", "sbin/chroot"} {
		if path, err := LookPath(program); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %s, %v", program, path, err)
		}
	}
}

func TestExitError(t *testing.T) {
	for _, c := range []struct {
		err    ExitError
		text   string
		status int
	}{
		{ExitError{Name: "m1", Code: 3}, "m1 ended with exit status 3", 3},
		{ExitError{Name: "m1", Signal: syscall.SIGTERM}, "m1 was ended by a signal: terminated", 143},
		{ExitError{Name: "m1", Code: 126, Err: os.ErrPermission}, "m1: permission denied", 126},
	} {
		if c.err.Error() != c.text || c.err.Status() != c.status {
			t.Errorf("%q, %d, want %q, %d", c.err.Error(), c.err.Status(), c.text, c.status)
		}
	}
	if !errors.Is(&ExitError{Err: os.ErrPermission}, os.ErrPermission) {
		t.Error("the cause is not found")
	}
}

func TestSearchPath(t *testing.T) {
	t.Setenv("PATH", "/a:/usr/sbin:/b")
	if got := SearchPath(); got != "/a:/usr/sbin:/b:/usr/local/sbin:/sbin" {
		t.Error(got)
	}
}
