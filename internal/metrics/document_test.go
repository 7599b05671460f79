package metrics

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the page of metrics anew")

const (
	page  = "../../docs/reference/metrics.md"
	begin = "<!-- metrics: begin (written by `make generate` from internal/metrics; do not edit) -->\n"
	end   = "<!-- metrics: end -->\n"
)

// The page says which metrics there are, and is stale as soon as there are others.
func TestDocument(t *testing.T) {
	families, err := attached(t, some()).gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal(page + ": the marks are gone")
	}
	want := before + begin + table(families) + end + after
	if want == string(old) {
		return
	}
	if !*update {
		t.Fatal(page + " is stale: run go test ./internal/metrics -run TestDocument -update")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table has a row for each metric of ours; those of the Go runtime and of the process are
// described by whoever made them.
func table(families []*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n")
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "xlreg_") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), labels(f), f.GetHelp())
		}
	}
	return b.String()
}

// labels lists the labels of a metric, with their values if they are few.
func labels(f *dto.MetricFamily) string {
	seen := make(map[string][]string)
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			name := l.GetName()
			if _, ok := seen[name]; !ok {
				names = append(names, name)
			}
			if !slices.Contains(seen[name], l.GetValue()) {
				seen[name] = append(seen[name], l.GetValue())
			}
		}
	}
	for i, name := range names {
		slices.Sort(seen[name])
		names[i] = "`" + name + "`"
		if n := len(seen[name]); n > 1 && n <= 12 {
			names[i] += ": " + strings.Join(seen[name], ", ")
		}
	}
	return strings.Join(names, "; ")
}
