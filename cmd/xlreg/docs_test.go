package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/xlregtest"
)

// The commands about backups in docs/operations.md do what it says, in its order: the
// registry runs for the first of them, and is gone for the others.
func TestOperationsCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), "\n## Backups\n")
	part, _, ended := strings.Cut(part, "\n## Telling clients\n")
	if !found || !ended {
		t.Fatal("docs/operations.md has no such part")
	}
	var commands []string
	for line := range strings.Lines(part) {
		if command, ok := strings.CutPrefix(line, "    xlreg "); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	if len(commands) != 5 || !strings.HasPrefix(commands[0], "backup ") || !strings.HasPrefix(commands[4], "serve ") {
		t.Fatalf("the commands are %q", commands)
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "var", "lib", "xlreg")
	makeRegistry(t, data)
	if err := os.Mkdir(filepath.Join(dir, "backup"), 0o700); err != nil {
		t.Fatal(err)
	}
	in := func(command string) []string {
		return strings.Fields(strings.NewReplacer(" /", " "+dir+"/").Replace(command))
	}
	serveWhile(t, []string{"serve", "--data", data}, func() { runDocumented(t, in(commands[0])) })
	for _, command := range commands[1:4] {
		runDocumented(t, in(command))
	}
	if err := os.Remove(filepath.Join(data, "xlreg.db")); err != nil {
		t.Fatal(err)
	}
	serveWhile(t, in(commands[4]), func() {})
}

// makeRegistry makes a registry's directory with keys that are there already.
func makeRegistry(t *testing.T, dir string) {
	t.Helper()
	set := xlregtest.Node(t, "registry").Keys()
	node, err := identity.Init(dir, identity.Options{Name: "xlReg", Keys: set, Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
}

func runDocumented(t *testing.T, args []string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), append([]string{"xlreg"}, args...), nil, &out, &errs)
	if code != exitDone || errs.Len() > 0 || out.Len() == 0 {
		t.Fatalf("xlreg %v: exit code %d, %s%s", args, code, out.String(), errs.String())
	}
}

// serveWhile runs a registry while f does.
func serveWhile(t *testing.T, args []string, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	args = append(append([]string{"xlreg"}, args...), "--listen", "127.0.0.1:0", "-o", "json")
	open, ended := make(chan struct{}), make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- execute(ctx, args, nil, &untilWritten{then: func() { close(open) }}, &errs)
	}()
	select {
	case <-open:
		f()
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
	case code := <-ended:
		t.Fatalf("%v: exit code %d, %s", args, code, errs.String())
	}
}
