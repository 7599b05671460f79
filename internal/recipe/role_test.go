package recipe

import (
	"fmt"
	"testing"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{
		"0": {From: 0, To: 0}, "7": {From: 7, To: 7}, "1-3": {From: 1, To: 3}, "2-2": {From: 2, To: 2}, "4-": {From: 4, To: Open}, "1023": {From: 1023, To: 1023},
	} {
		got, err := ParseRange(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := ParseRange(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %v", text, got)
		}
	}
	for _, text := range []string{"", "-", "-1", "1-2-3", "x", "1-x", "3-1", "1024", "1-1024", "+1", " 1", "99999999999999999999"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// A role's command replaces the recipe's, and its variables and files are merged with them.
func TestMember(t *testing.T) {
	r, err := Parse("f", []byte(`
name: a
command: [common, x]
env: {A: common, B: common}
files: {f: common, g: common}
ready: common
roles:
  - {name: seed, members: 0, command: [seed], env: {B: seed, C: seed}, files: {g: seed}, ready: seed}
  - {name: rest, members: 3-, env: {D: rest}}
`))
	if err != nil {
		t.Fatal(err)
	}
	const common = "[common x] A=common B=common f=common g=common common"
	for index, want := range []string{
		"seed [seed] A=common B=seed C=seed f=common g=seed seed", " " + common, " " + common,
		"rest [common x] A=common B=common D=rest f=common g=common common",
		"rest [common x] A=common B=common D=rest f=common g=common common",
	} {
		if got := told(r.Member(index)); got != want {
			t.Errorf("member %d: %s, want %s", index, got, want)
		}
	}
	if _, what := r.Member(1); told("", what) != " "+common {
		t.Error("what one member is told has changed what others are")
	}
}

func told(role string, what What) string {
	var args []string
	for _, a := range what.Command {
		args = append(args, a.Text)
	}
	text := fmt.Sprintf("%s %v", role, args)
	for _, v := range what.Env {
		text += " " + v.Name + "=" + v.Value.Text
	}
	for _, f := range what.Files {
		text += " " + f.Name + "=" + f.Text.Text
	}
	return text + " " + what.Ready.Text
}
