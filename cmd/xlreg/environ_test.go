package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

// A variable that nothing reads is most likely a slip, and the error says what was meant.
func TestUnknownVariables(t *testing.T) {
	cases := []struct {
		name, value string
		args        []string
		want        string // of the error; empty: none
	}{
		{"XLREG_MAX_NODE", "1", []string{"version"}, "XLREG_MAX_NODE: there is no such variable (did you mean XLREG_MAX_NODES?)"},
		{"XLREG_LOGLEVEL", "debug", []string{"version"}, "did you mean XLREG_LOG_LEVEL?"},
		{"XLREG_SOMETHING_ELSE_ALTOGETHER", "1", []string{"version"}, "XLREG_SOMETHING_ELSE_ALTOGETHER: there is no such variable"},
		{"XLREG_MAX_NODE", "", []string{"version"}, ""},
		{"XLREG_MAX_NODE", "1", []string{"help"}, ""},
		{"XLREG_MAX_NODE", "1", []string{"completion", "bash"}, ""},
		{"XLREG_MAX_NODE", "1", []string{"__complete", "ver"}, ""},
		{"XLREG_MAX_NODES", "1", []string{"version"}, ""}, // a flag of another command
		{"XLREG_ROSTER", "/x", []string{"version"}, ""},   // told to programs
		{"XLREG_TEST_SCRATCH", "/x", []string{"version"}, ""},
		{"XLREGISTER", "1", []string{"version"}, ""}, // not ours
	}
	for _, c := range cases {
		t.Run(c.name+" "+c.args[0], func(t *testing.T) {
			t.Setenv(c.name, c.value)
			var out, errs strings.Builder
			code := execute(t.Context(), append([]string{"xlreg"}, c.args...), nil, &out, &errs)
			if c.want == "" && code != exitDone || c.want != "" && (code != exitUsage || !strings.Contains(errs.String(), c.want)) {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
}

// Every variable of ours that is spoken of anywhere in the source is one that the program
// knows: it may be in the environment of any command.
func TestAllVariablesAreKnown(t *testing.T) {
	root := newRoot(&cli.Console{Program: "xlreg"})
	root.InitDefaultVersionFlag()
	known := cli.VariablesOf(root)
	mention := regexp.MustCompile(`\bXLREG_[A-Z][A-Z_0-9]*[A-Z0-9]\b`)
	found := make(map[string]string)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".venv", "node_modules", "bin"}, d.Name()) {
			return filepath.SkipDir
		}
		if !slices.Contains([]string{".go", ".py", ".rb", ".sh", ".md", ".txt"}, filepath.Ext(path)) || filepath.Base(path) == "environ_test.go" {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, name := range mention.FindAllString(string(text), -1) {
			found[name] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Errorf("only %d variables were found", len(found))
	}
	for name, path := range found {
		if err := known.Check(name); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
