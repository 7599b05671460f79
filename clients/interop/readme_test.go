package interop_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/ticket"
	"github.com/xlattice/xlreg/xlregtest"
)

// TestReadmeGo runs the Go program of the README as it stands there, twice.
func TestReadmeGo(t *testing.T) {
	t.Setenv("XLREG_REGISTRY", xlregtest.Start(t).CredFile(t))
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(readmeBlock(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var printed [2]string
	var errs [2]error
	var wg sync.WaitGroup
	for i, name := range []string{"node-a", "node-b"} {
		wg.Go(func() {
			out, err := run(t.Context(), []string{"env", "NODE_DIR=" + filepath.Join(dir, name)}, program)
			printed[i], errs[i] = string(out), err
		})
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^0 node-\w 127\.0\.0\.1:\d+\n1 node-\w 127\.0\.0\.1:\d+\n$`)
	if !want.MatchString(printed[0]) || printed[0] != printed[1] {
		t.Errorf("printed %q", printed)
	}
}

// TestReadme runs the Python and the Ruby program of the README as they stand
// there. Each is one of two members of the same cluster. A ticket can stand where a
// program takes a registry, so that those who name the cluster meet those who do not.
func TestReadme(t *testing.T) {
	all := languages(t)
	owner, err := ticket.NewOwner(xlregtest.Start(t).Target(), "pair", 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XLREG_TICKET", owner.Text())
	t.Setenv("XLREG_REGISTRY", owner.Text())
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
