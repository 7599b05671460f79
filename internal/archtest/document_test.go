package archtest

import (
	"bytes"
	"flag"
	"fmt"
	"go/doc"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	document  = "../../ARCHITECTURE.md"
	mend      = "go test ./internal/archtest -run TestDocument -update"
	generated = "(written by `make generate` from internal/archtest; do not edit)"
)

var update = flag.Bool("update", false, "write the tables of ARCHITECTURE.md anew")

// The tables of ARCHITECTURE.md are the rules as they are tested, not a copy of
// them that somebody has to keep.
func TestDocument(t *testing.T) {
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := have
	for name, table := range tables(readSource(t)) {
		if want, err = splice(want, name, table); err != nil {
			t.Fatalf("ARCHITECTURE.md: %v", err)
		}
	}
	if bytes.Equal(have, want) {
		return
	}
	if !*update {
		t.Fatalf("ARCHITECTURE.md is stale: run %s", mend)
	}
	if err := os.WriteFile(document, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables returns what stands between each pair of markers.
func tables(s source) map[string]string {
	return map[string]string{"rooms": roomTable(s.synopses()), "confined": confinedTable()}
}

// splice puts table where text has the markers of that name.
func splice(text []byte, name, table string) ([]byte, error) {
	begin := fmt.Sprintf("<!-- %s: begin %s -->\n", name, generated)
	end := fmt.Sprintf("<!-- %s: end -->\n", name)
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed || bytes.Contains(after, []byte(begin)) {
		return nil, fmt.Errorf("want the markers %q and %q, once each", begin, end)
	}
	return slices.Concat(before, []byte(begin), []byte(table), []byte(end), after), nil
}

func roomTable(synopses map[string]string) string {
	var b strings.Builder
	b.WriteString("| room | what it is, or does | may import |\n| --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		is := synopses[name]
		if is == "" { // a generated package has no words of its own
			is = rows[name].why
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", room(name), is, rows[name].permits())
	}
	return b.String()
}

// permits says in words what a row allows.
func (r row) permits() string {
	parts := []string{rooms(r.may)}
	if len(r.tests) > 0 {
		parts = append(parts, "its tests: "+rooms(r.tests))
	}
	if len(r.never) > 0 {
		parts = append(parts, "never "+strings.Join(r.never, ", "))
	}
	return strings.Join(parts, "; ")
}

func confinedTable() string {
	var b strings.Builder
	b.WriteString("| package | only in | because |\n| --- | --- | --- |\n")
	for _, c := range confined {
		to := rooms(c.to)
		if len(c.to) == 0 {
			to = "tests"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.path, to, c.why)
	}
	for _, name := range slices.Sorted(maps.Keys(reserved)) {
		fmt.Fprintf(&b, "| %s, of ours | %s | %s |\n", name, rooms(reserved[name].to), reserved[name].why)
	}
	return b.String()
}

func rooms(names []string) string {
	if len(names) == 0 {
		return "nothing of ours"
	}
	named := make([]string, len(names))
	for i, name := range names {
		named[i] = room(name)
	}
	return strings.Join(named, ", ")
}

func room(name string) string {
	switch name {
	case ".":
		return "root"
	case "*":
		return "all"
	}
	return name
}

// synopses returns the first sentence of each package's documentation, without
// the words that all of them begin with.
func (s *source) synopses() map[string]string {
	found := make(map[string]string)
	for _, f := range s.files {
		if f.ast.Doc == nil || f.generated() {
			continue
		}
		words := strings.Fields(new(doc.Package).Synopsis(f.ast.Doc.Text()))
		if len(words) < 3 || words[0] != "Package" && words[0] != "Command" {
			continue
		}
		words = words[2:] // "Package name"
		if words[0] == "is" {
			words = words[1:]
		}
		found[f.dir()] = strings.ReplaceAll(strings.TrimRight(strings.Join(words, " "), ".:"), "|", `\|`)
	}
	return found
}

// A stale table, and a document that lost its markers, are seen.
func TestSplice(t *testing.T) {
	begin := "<!-- x: begin " + generated + " -->\n"
	whole := "a\n" + begin + "old\n<!-- x: end -->\nb\n"
	got, err := splice([]byte(whole), "x", "new\n")
	if want := strings.Replace(whole, "old", "new", 1); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, lost := range []string{begin, "<!-- x: end -->\n"} {
		if _, err := splice([]byte(strings.Replace(whole, lost, "", 1)), "x", ""); err == nil {
			t.Errorf("no error without %q", lost)
		}
	}
	if _, err := splice([]byte(whole+whole), "x", ""); err == nil {
		t.Error("no error with the markers twice")
	}
}

// What a row says is in the table: each part that could be left out.
func TestPermits(t *testing.T) {
	for want, r := range map[string]row{
		"nothing of ours":                           {},
		"all":                                       {may: []string{"*"}},
		"root, client; its tests: xlregtest":        {may: []string{".", "client"}, tests: []string{"xlregtest"}},
		"nothing of ours; never net, os":            {never: []string{"net", "os"}},
		"nothing of ours; its tests: root; never x": {tests: []string{"."}, never: []string{"x"}},
	} {
		if got := r.permits(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
