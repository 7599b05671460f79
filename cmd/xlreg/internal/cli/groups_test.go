package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Flags stand below the headings of their groups, in the order in which they were given, and
// each of them once.
func TestGroups(t *testing.T) {
	cmd := &cobra.Command{Use: "tool", Example: "  tool --b", Run: func(*cobra.Command, []string) {}}
	cmd.Flags().SortFlags = false
	cmd.Flags().Bool("alone", false, "in no group")
	for _, group := range []struct{ heading, flags string }{{"Second letters", "b a"}, {"First letters", "d"}, {"Second letters", "c"}} {
		Group(cmd, group.heading, func(cmd *cobra.Command) {
			for name := range strings.FieldsSeq(group.flags) {
				cmd.Flags().Bool(name, false, "flag "+name)
			}
		})
	}
	help, last := usage(cmd, 0), 0
	for _, want := range []string{"Usage:\n  tool", "Examples:\n  tool --b", "Second letters:\n", "--b", "--a ", "--c", "First letters:\n", "--d", "Flags:\n", "--alone"} {
		at := strings.Index(help, want)
		if want == "--b" { // the example has it, too
			at = strings.LastIndex(help, want)
		}
		if at < last {
			t.Errorf("%q is missing or stands in another place:\n%s", want, help)
		}
		last = max(last, at)
	}
	if n := strings.Count(help, "flag c"); n != 1 {
		t.Errorf("a flag is there %d times", n)
	}
}
