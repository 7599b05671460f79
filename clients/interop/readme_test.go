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

// TestReadme runs the Python and the Ruby program of the README as they stand there, each
// twice, so that both are the two members of a cluster: an open one, or that of a ticket.
func TestReadme(t *testing.T) {
	all := languages(t)
	registry := xlregtest.Start(t)
	t.Setenv("XLREG_REGISTRY", registry.CredFile(t))
	for name, command := range map[string][]string{
		"python": all[1].command[:1],
		"ruby":   all[2].command[:2],
	} {
		owner, err := ticket.NewOwner(registry.Target(), "pair", 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("XLREG_TICKET", owner.Text())
		printed := runTwice(t, name, command)
		want := regexp.MustCompile(`^0 [\w-]+ 127\.0\.0\.1:\d+\n1 [\w-]+ 127\.0\.0\.1:\d+\n$`)
		if !want.MatchString(printed[0]) || printed[0] != printed[1] {
			t.Errorf("%s printed %q", name, printed)
		}
	}
}

// runTwice runs the README's program in a language as two nodes, and returns what each
// printed.
func runTwice(t *testing.T, name string, command []string) (printed [2]string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(readmeBlock(t, name)), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs [2]error
	var wg sync.WaitGroup
	for i, node := range []string{"node-a", "node-b"} {
		wg.Go(func() {
			out, err := run(t.Context(), append([]string{"env", "NODE_DIR=" + filepath.Join(dir, node)}, command...), path)
			printed[i], errs[i] = string(out), err
		})
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return printed
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
