package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocs runs the samples of the pages about tests as they stand there. Each is a whole
// file of tests, and runs in a folder of its own, beside others.
func TestDocs(t *testing.T) {
	all := languages(t)
	t.Setenv("XLREG_BIN", all[0].command[0])
	t.Setenv("PATH", filepath.Dir(all[2].command[2])+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("RUBYLIB", strings.TrimPrefix(all[2].command[1], "-I"))
	for _, page := range []struct {
		language, file string
		command        []string
	}{
		{"go", "cluster_test.go", []string{"go", "test", "-count=1", "-v"}},
		{"python", "test_cluster.py", []string{all[1].command[0], "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"}},
		{"ruby", "test_cluster.rb", []string{"ruby", "-w"}},
	} {
		for i, sample := range samples(t, "../../docs/testing/"+page.language+".md", page.language) {
			t.Run(fmt.Sprintf("%s %d", page.language, i), func(t *testing.T) {
				runSample(t, sample, page.file, page.command)
			})
		}
	}
}

// passed is how a run of tests ends that has found some, in each of the languages.
var passed = regexp.MustCompile(`(?m)^--- PASS: |^[1-9]\d* passed|^[1-9]\d* runs, [1-9]\d* assertions, 0 failures, 0 errors, 0 skips$`)

func runSample(t *testing.T, sample, file string, command []string) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], append(slices.Clone(command[1:]), path)...)
	out, err := cmd.CombinedOutput()
	if err != nil || !passed.Match(out) {
		t.Errorf("%v: %s\n%s", err, out, sample)
	}
}

// samples returns the blocks of a language that a page has.
func samples(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, rest := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		sample, _, closed := strings.Cut(rest, "\n```\n")
		if !closed {
			t.Fatalf("%s: a block has no end", page)
		}
		found = append(found, sample+"\n")
	}
	if len(found) != 3 {
		t.Fatalf("%s has %d samples, want 3", page, len(found))
	}
	return found
}
