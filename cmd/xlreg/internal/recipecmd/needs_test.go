package recipecmd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
)

func TestPythonOf(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"#!/usr/bin/python3\nimport re\n":                                         "/usr/bin/python3",
		"#! /opt/a/bin/python3.11 -I\n":                                           "/opt/a/bin/python3.11",
		"#!/usr/bin/env python3\n":                                                "python3",
		"#!/usr/bin/env bash\nset -e\n":                                           "python3",
		"#!/bin/sh\n'''exec' \"/a b/python3\" \"$0\" \"$@\"\n' '''\n":             "/a b/python3",
		"#!/bin/sh\n'''exec' /" + strings.Repeat("long/", 50) + "python \"$0\"\n": "/" + strings.Repeat("long/", 50) + "python",
		"\x7fELF": "python3",
		"":        "python3",
	} {
		path := filepath.Join(dir, "program")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := pythonOf(path); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for program, want := range map[string]string{"/usr/bin/python3.11": "/usr/bin/python3.11", "": "python3", filepath.Join(dir, "none"): "python3"} {
		if got := pythonOf(program); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

// What is missing is told by the Python that would have to have it. A directory of that name is
// no module.
func TestModules(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("no_such_module", 0o700); err != nil {
		t.Fatal(err)
	}
	all := []*recipe.Recipe{
		{Name: "has", Program: "sh", Python: []string{"json"}},
		{Name: "lacks", Program: "no-such-program", Needs: []string{"sh", "no-such-tool"}, Python: []string{"no_such_module", "json"}},
		{Name: "none", Program: "sh"},
	}
	got := missing(t.Context(), all)
	if want := []string{"no-such-program", "no-such-tool", "no_such_module"}; len(got) != 1 || !slices.Equal(got["lacks"], want) {
		t.Errorf("missing are %q, want %q", got, want)
	}
	if err := CheckModules(t.Context(), all[0]); err != nil {
		t.Error(err)
	}
	err := CheckModules(t.Context(), all[1])
	if failed := new(run.ExitError); !errors.As(err, &failed) || failed.Code != 127 || failed.Error() != "lacks: python3 has no module no_such_module: install it for that" {
		t.Error(err)
	}
	if got := missingModules(t.Context(), "no-such-python", []string{"json"}); !slices.Equal(got, []string{"json"}) {
		t.Errorf("a Python that is not there lacks %q", got)
	}
}
