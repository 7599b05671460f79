package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// monitoring has what operators load into Prometheus and Grafana.
const monitoring = "../../deploy/monitoring"

// promtool runs the tool that comes with Prometheus.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v: make setup installs it", err)
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir, cmd.Stdin = monitoring, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolReadsMetrics(t *testing.T) {
	promtool(t, text(t, attached(t, some())), "check", "metrics")
}

func TestRules(t *testing.T) {
	promtool(t, "", "check", "rules", "xlreg.rules.yml")
	promtool(t, "", "test", "rules", "xlreg.rules.test.yml")
}

// Every alert is seen to fire by the rules' own tests.
func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, "xlreg.rules.test.yml")
	for _, alert := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, "xlreg.rules.yml"), -1) {
		if !strings.Contains(tests, alert[1]) {
			t.Errorf("no test of %s", alert[1])
		}
	}
}

// The dashboard's queries can be parsed, by what would evaluate them.
func TestDashboard(t *testing.T) {
	var rules bytes.Buffer
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range queries(t) {
		expr = strings.ReplaceAll(expr, "$instance", ".*")
		fmt.Fprintf(&rules, "  - record: test:query:%d\n    expr: %q\n", i, expr)
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, rules.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", path)
}

// Whoever renames a metric, or one of its labels, finds out what is blind then.
func TestMetricsThatAreUsedExist(t *testing.T) {
	known := text(t, attached(t, some()))
	used := append(queries(t), read(t, "xlreg.rules.yml"))
	selector := regexp.MustCompile(`\b(xlreg_\w+|go_goroutines|process_\w+)(\{[^}]*\})?`)
	matcher := regexp.MustCompile(`(\w+)(=~?|!=)"([^"]*)"`)
	found := 0
	for _, query := range used {
		for _, s := range selector.FindAllStringSubmatch(query, -1) {
			found++
			if !strings.Contains(known, "\n"+s[1]+"{") && !strings.Contains(known, "\n"+s[1]+" ") {
				t.Errorf("there is no metric %s", s[1])
			}
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				if label, value := m[1], m[3]; label != "instance" && label != "job" && m[2] == "=" && !strings.Contains(known, label+`="`+value+`"`) && label != "limit" {
					t.Errorf("%s never has %s=%q", s[1], label, value)
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d metrics are used: are they still found?", found)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// queries returns those of the dashboard.
func queries(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "xlreg.dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}
