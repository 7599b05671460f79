package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/view"
)

func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"xlreg", "demo", "-n", "3"}, nil, &out, &errs); code != exitDone || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, errs.String())
	}
	for _, want := range []string{
		`(?m)^NAME  ADDRESS          KEY\nm0    127\.0\.0\.1:\d+ +SHA256:\S+…\nm1    .*\nm2    .*\n\n`,
		`formed in [0-9.]+m?s\.`,
		`(?m)^sum [a-z2-7]{4}(-[a-z2-7]{4}){7}\.$`,
		`(?m)m1 answers:\n  hello m0, I know your key$`,
		`(?m)The registry refuses:\n  admission refused;\n  ask the cluster's owner for an invite,\n  or `,
		`(?m)m1 refuses:\n  peer refused:\n  its key is that of no member of cluster "demo"$`,
		`(?m)^  xlreg run -n 3 -- `,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	text, _, _ := strings.Cut(out.String(), "Try next:") // a command to paste is one line, however long
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// Scripts get the roster, and nothing else.
func TestDemoAsJSON(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"xlreg", "demo", "-n", "2", "-o", "json"}, nil, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d, %s", code, errs.String())
	}
	var roster view.Roster
	if err := json.Unmarshal(out.Bytes(), &roster); err != nil || len(roster.Members) != 2 {
		t.Errorf("%v, %d members", err, len(roster.Members))
	}
}
