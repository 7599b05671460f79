//go:build unix

package private

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func makeDir(t *testing.T, perm fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, perm); err != nil { // past the umask
		t.Fatal(err)
	}
	return dir
}

func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if len(parts) == 0 && err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, which does not say %q", what, err, part)
		}
	}
}

func TestDir(t *testing.T) {
	for perm, want := range map[fs.FileMode][]string{
		0o700: nil, 0o755: nil,
		0o770: {"others may write", "chmod 700"}, 0o702: {"others may write"}, 0o777 | fs.ModeSticky: {"others may write"},
	} {
		wantError(t, perm.String(), Dir(makeDir(t, perm)), want...)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, "file", Dir(file), "not a directory")
	wantError(t, "missing", Dir(file+"x"), "no such file")
}

func TestOwner(t *testing.T) {
	for _, c := range []struct {
		uid, self int
		refused   bool
	}{{0, 0, false}, {0, 7, false}, {7, 7, false}, {8, 7, true}, {7, 0, true}} {
		if err := checkOwner("x", c.uid, c.self); (err != nil) != c.refused {
			t.Errorf("of %d, for %d: %v", c.uid, c.self, err)
		}
	}
	dir := makeDir(t, 0o700)
	wantError(t, "own", Dir(dir))
	if os.Geteuid() != 0 {
		return // nobody else can give files away
	}
	if err := os.Chown(dir, 4711, -1); err != nil {
		t.Fatal(err)
	}
	wantError(t, "of another", Dir(dir), "belongs to another user (uid 4711)", "sudo -u '#4711'", "chown 0 "+dir)
	root, err := user.LookupId("0")
	if err != nil || nameOf(0) != root.Username {
		t.Errorf("user 0 is %q, not %v: %v", nameOf(0), root, err)
	}
}

func TestPlace(t *testing.T) {
	for perm, refused := range map[fs.FileMode]bool{
		0o700: false, 0o755: false, 0o777: true, 0o772: true, 0o777 | fs.ModeSticky: false,
	} {
		dir := makeDir(t, perm)
		var want []string
		if refused {
			want = []string{"others may write to " + dir, "chmod go-w"}
		}
		wantError(t, perm.String(), Place(filepath.Join(dir, "x")), want...)
		wantError(t, perm.String()+", deeper", Place(filepath.Join(dir, "x", "y", "z")), want...)
	}
	t.Chdir(makeDir(t, 0o777))
	wantError(t, "relative", Place("x"), "others may write")
}

func TestPlaceInTheGroups(t *testing.T) {
	dir := makeDir(t, 0o770)
	wantError(t, "own group", Place(filepath.Join(dir, "x")))
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(dir, -1, 4711); err != nil {
		t.Fatal(err)
	}
	wantError(t, "another group", Place(filepath.Join(dir, "x")), "others may write")
}
