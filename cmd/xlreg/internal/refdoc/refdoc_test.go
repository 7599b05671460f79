package refdoc

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// sample is a command line with everything that a page can have.
func sample() *cobra.Command {
	root := &cobra.Command{Use: "tool", Long: "tool does 'tool make' and more_or_less."}
	root.PersistentFlags().String("node", "", "the node's `DIR|URL` (default the user's own)")
	group := &cobra.Command{Use: "thing", Short: "Things"}
	maker := &cobra.Command{
		Use: "make NAME", Short: "Make a thing, or <two>", Example: "  tool thing make a\n  tool thing make b",
		Long: "Make a thing with --size.\n\n  indented\n\nIts owners' friends are its owner's, too.", Run: func(*cobra.Command, []string) {},
	}
	maker.Flags().IntP("size", "s", 3, "how many `PARTS`")
	maker.Flags().StringSlice("list", []string{"a", "b"}, "a list")
	hidden := &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}}
	group.AddCommand(maker)
	root.AddCommand(group, hidden)
	return root
}

func TestPages(t *testing.T) {
	pages := Pages(sample())
	if len(pages) != 2 {
		t.Fatalf("%d pages, want the index and one: %q", len(pages), pages)
	}
	for name, lines := range map[string][]string{
		"index.md": {
			"tool does `tool make` and more\\_or\\_less.",
			"| [`tool thing make`](tool-thing-make.md) | Make a thing, or \\<two\\> |",
			"| `--node DIR\\|URL` | the user's own | the node's DIR\\|URL |",
		},
		"tool-thing-make.md": {
			"# tool thing make",
			"Make a thing with `--size`.",
			"indented",
			"Its owners' friends are its owner's, too.",
			"tool thing make NAME [flags]",
			"tool thing make a",
			"tool thing make b",
			"| `-s`, `--size PARTS` | `3` | how many PARTS |",
			"| `--list strings` | `a,b` | a list |",
		},
	} {
		for _, line := range lines {
			if !slices.Contains(strings.Split(pages[name], "\n"), line) {
				t.Errorf("%s has no line %q:\n%s", name, line, pages[name])
			}
		}
	}
}
