package xlregtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module of somebody else's uses the package. It gets xlreg from this directory,
// and what that needs from the module cache, where it is if this test was built.
func TestFromAnOutsideModule(t *testing.T) {
	t.Parallel()
	dir := outsideModule(t)
	out := goIn(t, dir, nil, "test", "-v", "-run=My", "./...")
	for _, want := range []string{"--- PASS: TestMyCluster", "--- PASS: TestMyProgram"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	// The same where no cache can be: here a file is in the way.
	env := []string{
		"GOCACHE=" + strings.TrimSpace(goIn(t, dir, nil, "env", "GOCACHE")),
		"XDG_CACHE_HOME=" + filepath.Join(dir, "go.mod"),
	}
	out = goIn(t, dir, env, "test", "-v", "-count=1", "-run=MyProgram", "./...")
	for _, want := range []string{"--- PASS: TestMyProgram", "test keys are not kept for the next time"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// outsideModule makes one in a directory of its own, and returns that.
func outsideModule(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "outside"))); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	goIn(t, dir, nil, "mod", "edit", "-replace=github.com/xlattice/xlreg="+root)
	return dir
}

func goIn(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off", "GOWORK=off")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
