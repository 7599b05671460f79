package hostile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a test as docs/threat-model.md names it.
var named = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")

// Every test that the threat model names exists, and whatever looks like one is
// read as one, so that no claim stands on a slip.
func TestThreatModelNamesTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	all := named.FindAllStringSubmatch(string(text), -1)
	if looksLike := strings.Count(string(text), ".Test") + strings.Count(string(text), ".Fuzz"); len(all) != looksLike || len(all) < 50 {
		t.Errorf("%d names of tests were read, of %d", len(all), looksLike)
	}
	for _, match := range all {
		if missing := lacks(t, match[1], match[2]); missing {
			t.Errorf("%s has no %s", match[1], match[2])
		}
	}
}

// lacks reports whether a package has no test of that name.
func lacks(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob("../../" + pkg + "/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("tests of %s: %v", pkg, err)
	}
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(code), "\nfunc "+name+"(") {
			return false
		}
	}
	return true
}

// Each row of a table makes a claim, and names a test or says that there is none
// to name.
func TestThreatModelClaimsAreHeld(t *testing.T) {
	text, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	section, rows := "", 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "## ") {
			section = strings.TrimSpace(line[3:])
		}
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.Contains(line, "tested by |") || strings.HasPrefix(line, "| it can |") {
			continue
		}
		rows++
		ownTable := section == "A malicious registry" // its rows are those of one test
		if !ownTable && !named.MatchString(line) && !strings.Contains(line, "out of scope") {
			t.Errorf("%s: no test proves %q", section, line)
		}
	}
	if rows < 40 {
		t.Errorf("%d rows were read", rows)
	}
}
