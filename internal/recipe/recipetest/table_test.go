package recipetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// result is what was seen of a system.
type result struct {
	Name     string
	Versions []string
	Formed   time.Duration
	Refused  []string // the ports at which strangers were refused
	Kept     bool
	OK       bool
	Missing  []string // what the machine does not have
	Date     string
}

// table is where the results are written.
const table = "../../../docs/recipes.md"

// The lines of the table stand between these.
const (
	tableBegin = "<!-- results: begin (written by `make recipes`; do not edit) -->\n"
	tableEnd   = "<!-- results: end -->"
)

// writeTable replaces the table. A system that was not run keeps its line.
func writeTable(t *testing.T, results []result) {
	t.Helper()
	page, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(page), tableBegin)
	old, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the results", table)
	}
	var b strings.Builder
	b.WriteString(before + tableBegin)
	b.WriteString("| system | versions | formed in | strangers refused at | a member killed | data kept | date |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, s := range systems() {
		b.WriteString(line(s, results, old))
	}
	b.WriteString(tableEnd + after)
	if err := os.WriteFile(table, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// line returns the line of a system: the new one if it was run, or else the old one.
func line(s system, results []result, old string) string {
	for _, r := range results {
		if r.Name == s.name {
			return r.line(s)
		}
	}
	for l := range strings.Lines(old) {
		if strings.HasPrefix(l, "| "+s.name+" |") {
			return l
		}
	}
	return fmt.Sprintf("| %s | not run yet | | | | | |\n", s.name)
}

func (r result) line(s system) string {
	if len(r.Missing) > 0 {
		return fmt.Sprintf("| %s | not installed: %s | | | | | %s |\n", r.Name, strings.Join(r.Missing, ", "), r.Date)
	}
	if !r.OK {
		return fmt.Sprintf("| %s | %s | **failed** | | | | %s |\n", r.Name, strings.Join(r.Versions, ", "), r.Date)
	}
	refused, death, kept := "no TLS", "the others go on, and it comes back", "not tried"
	if len(r.Refused) > 0 {
		refused = strings.Join(r.Refused, ", ")
	}
	if s.refusedWith != "" {
		refused = s.refusedWith
	}
	if s.noDeath != "" {
		death = s.noDeath
	}
	if r.Kept {
		kept = "yes"
	}
	return fmt.Sprintf("| %s | %s | %.1f s | %s | %s | %s | %s |\n", r.Name, strings.Join(r.Versions, ", "),
		r.Formed.Seconds(), refused, death, kept, r.Date)
}
