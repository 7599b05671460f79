package examples

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notRun has the examples that are not run here, and why.
var notRun = map[string]string{
	"xlreg bench": "it takes two minutes; its parts are run",
	"xlreg node import /var/app/alice ./alice --registry regCred.dat": "a script of the program's own makes the original nodes for it",
}

// TestCommands runs every example that the help of a command gives, as the reference shows
// it: in an order in which each of them can work, with what it needs before it.
func TestCommands(t *testing.T) {
	const page = "testdata/commands.md"
	blocks := readBlocks(t, page)
	var run []string
	for _, b := range blocks {
		for line := range strings.Lines(b.script) {
			run = append(run, strings.TrimSpace(line))
		}
		b.script = strings.ReplaceAll(b.script, "/backup", "/var/lib/backup") // each machine has that for itself
	}
	for _, example := range commandExamples(t) {
		whole := regexp.MustCompile("^" + pattern(example).String() + "$")
		if !slices.ContainsFunc(run, whole.MatchString) && notRun[example] == "" {
			t.Errorf("%s does not run %q", page, example)
		}
	}
	if !t.Failed() {
		runPage(t, blocks)
	}
}

// commandExamples returns the lines below the headings of examples in the reference.
func commandExamples(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../docs/reference/commands/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, page := range pages {
		_, rest, _ := strings.Cut(readPage(t, page), "\n## Examples\n\n```text\n")
		examples, _, found := strings.Cut(rest, "\n```\n")
		if found {
			all = append(all, strings.Split(examples, "\n")...)
		}
	}
	if len(all) < 40 {
		t.Errorf("only %d examples", len(all))
	}
	return all
}
