package interop_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/xlregtest"
)

// TestReadme runs the Python and the Ruby program of the README as they stand
// there. Each is one of two members of the same cluster.
func TestReadme(t *testing.T) {
	all := languages(t)
	t.Setenv("XLREG_REGISTRY", xlregtest.Start(t).CredFile(t))
	dir := t.TempDir()
	programs := map[string][]string{
		"python": all[1].command[:1],
		"ruby":   all[2].command[:2],
	}
	printed := make(map[string]string)
	var mu sync.Mutex
	var errs error
	var wg sync.WaitGroup
	for name, command := range programs {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(readmeBlock(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
		node := "NODE_DIR=" + filepath.Join(dir, "node-"+name)
		wg.Go(func() {
			out, err := run(t.Context(), append([]string{"env", node}, command...), path)
			mu.Lock()
			defer mu.Unlock()
			printed[name], errs = string(out), errors.Join(errs, err)
		})
	}
	wg.Wait()
	if errs != nil {
		t.Fatal(errs)
	}
	want := regexp.MustCompile(`^0 [\w-]+ 127\.0\.0\.1:\d+\n1 [\w-]+ 127\.0\.0\.1:\d+\n$`)
	if !want.MatchString(printed["python"]) || printed["ruby"] != printed["python"] {
		t.Errorf("printed %q", printed)
	}
}

// readmeBlock returns the one block of the README in a language.
func readmeBlock(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```"+language+"\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed || strings.Contains(rest, "```"+language+"\n") {
		t.Fatalf("README has not one block of %s", language)
	}
	return block
}
