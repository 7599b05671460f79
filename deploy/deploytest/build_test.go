//go:build linux

package deploytest

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// copySource copies the files of the repository, without its history, so that what is built
// from them cannot know where they came from.
func copySource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := commandIn(t, "../..", nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for file := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
		from, to := "../../"+file, filepath.Join(dir, file)
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		must(t, err)
		data, err := os.ReadFile(from)
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		must(t, os.WriteFile(to, data, info.Mode().Perm()))
	}
	return dir
}

// pack builds what is asked for, for this machine alone, and returns where it is.
func pack(t *testing.T, source string, what ...string) string {
	t.Helper()
	out := t.TempDir()
	env := []string{"OUT=" + out, "ARCHES=" + runtime.GOARCH, "SYSTEMS=linux", "SOURCE_DATE_EPOCH=1800000000"}
	commandIn(t, source, env, "bash", append([]string{"deploy/package.sh"}, what...)...)
	return out
}

// onlyFile returns the one file of a directory whose name ends so.
func onlyFile(t *testing.T, dir, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q in %s: %v, %v", suffix, dir, found, err)
	}
	return found[0]
}

func sameBytes(t *testing.T, one, two string) {
	t.Helper()
	a, err := os.ReadFile(one)
	must(t, err)
	b, err := os.ReadFile(two)
	must(t, err)
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Errorf("%s and %s differ", one, two)
	}
}
