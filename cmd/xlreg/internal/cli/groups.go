package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groupOf is the annotation of a flag that has the heading of its group.
const groupOf = "group"

// Group gives cmd flags that belong together. Its help shows them below a heading of their
// own, in the order in which they are given.
func Group(cmd *cobra.Command, heading string, register func(*cobra.Command)) {
	before := make(map[string]bool)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { before[f.Name] = true })
	register(cmd)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if before[f.Name] {
			return
		}
		if f.Annotations == nil {
			f.Annotations = make(map[string][]string)
		}
		f.Annotations[groupOf] = []string{heading}
	})
}

// group is some flags of a command.
type group struct {
	heading string
	flags   *pflag.FlagSet
}

// groupsOf returns the groups of cmd in the order of their first flags, and last the flags
// that are in none.
func groupsOf(cmd *cobra.Command) []*group {
	var groups []*group
	other := &group{"Flags", pflag.NewFlagSet("", pflag.ContinueOnError)}
	find := func(f *pflag.Flag) *group {
		if f.Annotations[groupOf] == nil {
			return other
		}
		heading := f.Annotations[groupOf][0]
		for _, g := range groups {
			if g.heading == heading {
				return g
			}
		}
		g := &group{heading, pflag.NewFlagSet("", pflag.ContinueOnError)}
		g.flags.SortFlags = false
		groups = append(groups, g)
		return g
	}
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) { find(f).flags.AddFlag(f) })
	if other.flags.HasAvailableFlags() {
		groups = append(groups, other)
	}
	return groups
}
