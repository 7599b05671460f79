package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/refdoc"
)

const (
	commandPages = "../../docs/reference/commands"
	mendPages    = "go test ./cmd/xlreg -run TestReference -update"
)

var update = flag.Bool("update", false, "write the reference of commands anew")

// wholeProgram returns the command line, with all commands.
func wholeProgram() *cobra.Command { return newRoot(&cli.Console{Program: "xlreg"}) }

// The reference of commands is what the program says of itself.
func TestReference(t *testing.T) {
	want := refdoc.Pages(wholeProgram())
	if len(want) < 30 {
		t.Errorf("only %d pages", len(want))
	}
	have, err := filepath.Glob(commandPages + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writePages(t, have, want)
		return
	}
	for _, path := range have {
		if _, known := want[filepath.Base(path)]; !known {
			t.Errorf("%s is the page of no command: run %s", path, mendPages)
		}
	}
	for name, text := range want {
		page, err := os.ReadFile(filepath.Join(commandPages, name))
		if err != nil || string(page) != text {
			t.Errorf("%s is stale (%v): run %s", name, err, mendPages)
		}
	}
}

// writePages puts the pages in the place of those that are there.
func writePages(t *testing.T, old []string, pages map[string]string) {
	t.Helper()
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(commandPages, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
