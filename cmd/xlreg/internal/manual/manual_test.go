package manual

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// program is a command with one below it, and one that is hidden.
func program() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "tool", Short: "Does it", Run: run}
	root.PersistentFlags().StringP("output", "o", "table", "output `FORMAT`")
	sub := &cobra.Command{
		Use:     "do-it THING",
		Short:   "Do it now",
		Long:    ".profile is read, and \\ is no escape.\n\nThe second\nparagraph.\n\n  as it is\n    and so is this\n\nThe last.",
		Example: "  tool do-it a",
		Run:     run,
	}
	sub.Flags().Duration("max-wait", time.Minute, "`TIME` to wait")
	sub.Flags().Bool("secret", false, "not for everyone")
	sub.Flags().Lookup("secret").Hidden = true
	root.AddCommand(sub, &cobra.Command{Use: "inside", Hidden: true, Run: run})
	return root
}

var edition = Edition{Version: "1.2.3", Date: time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, program(), edition); err != nil {
		t.Fatal(err)
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(pages) != 2 || filepath.Base(pages[0]) != "tool-do-it.1" || filepath.Base(pages[1]) != "tool.1" {
		t.Errorf("pages %q", pages)
	}
	if err := Write(filepath.Join(dir, "missing"), program(), edition); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestPage(t *testing.T) {
	sub, _, err := program().Find([]string{"do-it"})
	if err != nil {
		t.Fatal(err)
	}
	got := Page(sub, edition)
	for _, want := range []string{
		`.TH "TOOL-DO-IT" "1" "2026-03-01" "xlreg 1.2.3" "xlreg"` + "\n",
		"tool\\-do\\-it \\- do it now\n",
		"\n\\&.profile is read, and \\e is no escape.\n.PP\nThe second\nparagraph.\n.PP\n.nf\n  as it is\n    and so is this\n\n.fi\nThe last.\n",
		"\\fB\\-\\-max\\-wait\\fR \\fITIME\\fR\nTIME to wait.\nDefault: 1m0s.\n.br\nVariable: \\fB\\%XLREG_MAX_WAIT\\fR.\n",
		"\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFORMAT\\fR\n",
		".nf\n  tool do\\-it a\n.fi\n",
		".SH SEE ALSO\n\\fBtool\\fR(1), ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not have %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("the page has a hidden flag")
	}
	if undated := Page(sub, Edition{Version: "1"}); !strings.Contains(undated, `"1" "" "xlreg 1"`) {
		t.Errorf("without a date: %s", undated)
	}
}

// The program that shows manual pages finds nothing to complain about.
func TestPageIsWellFormed(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatalf("%v: make setup installs it", err)
	}
	sub, _, err := program().Find([]string{"do-it"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(groff, "-man", "-Tutf8", "-Kutf8", "-ww")
	cmd.Stdin = strings.NewReader(Page(sub, edition))
	var said strings.Builder
	cmd.Stderr = &said
	shown, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Errorf("%v: %s", err, said.String())
	}
	for _, want := range []string{".profile is read, and \\ is no escape.", "The second paragraph.", "  and so is this"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("not shown: %q in\n%s", want, shown)
		}
	}
}
