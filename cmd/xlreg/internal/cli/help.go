package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ShowHelp has root, and all commands below it, show help that fits the terminal. Elsewhere
// no line is broken, so that each flag is found in one line.
func ShowHelp(root *cobra.Command, c *Console) {
	width := func() int {
		if !IsTerminal(c.Out) {
			return 0
		}
		return Width(c.Out)
	}
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprint(cmd.OutOrStderr(), usage(cmd, width()))
		return err
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		about := cmd.Long
		if about == "" {
			about = cmd.Short
		}
		fmt.Fprint(cmd.OutOrStdout(), fill(about, width())+"\n\n"+usage(cmd, width()))
	})
}

// usage says how cmd is called, in lines of at most width columns. 0 is no bound.
func usage(cmd *cobra.Command, width int) string {
	var b strings.Builder
	groups := cmd.HasAvailableSubCommands()
	if groups {
		fmt.Fprintf(&b, "Usage:\n  %s COMMAND [flags]\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if groups {
		b.WriteString("\nCommands:\n")
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			fmt.Fprintf(&b, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	for _, group := range groupsOf(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", group.heading, flagUsages(group.flags, width))
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(&b, "\nFlags of all commands:\n%s", flagUsages(cmd.InheritedFlags(), width))
	}
	if groups {
		fmt.Fprintf(&b, "\n'%s COMMAND --help' says more about a command.\n", cmd.CommandPath())
	}
	return b.String()
}

// flagUsages lists flags. A line that is broken ends in no blanks.
func flagUsages(flags *pflag.FlagSet, width int) string {
	var b strings.Builder
	for line := range strings.Lines(flags.FlagUsagesWrapped(width)) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// fill breaks the paragraphs of a text anew if it is wider than width, which is 0 if there is
// no bound. What is indented stays as it is.
func fill(text string, width int) string {
	if width == 0 {
		return text
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.Contains("\n"+p, "\n ") && !strings.Contains("\n"+p, "\n\t") {
			paragraphs[i] = fillParagraph(p, width)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

func fillParagraph(text string, width int) string {
	wide := false
	for line := range strings.Lines(text) {
		wide = wide || len([]rune(strings.TrimSuffix(line, "\n"))) > width
	}
	if !wide {
		return text
	}
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteString("\n")
			column = 0
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
