// Package refdoc writes the reference of a command line from the commands themselves, as
// pages of Markdown.
package refdoc

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const notice = "<!-- Written by `make generate` from the program; do not edit. -->\n\n"

// Pages returns the pages of a root command by file name: one for each command that does
// something, and index.md, which lists them and has the flags that all of them take.
func Pages(root *cobra.Command) map[string]string {
	pages := make(map[string]string)
	var rows strings.Builder
	for _, cmd := range commands(root) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".md"
		pages[name] = page(cmd)
		fmt.Fprintf(&rows, "| [`%s`](%s) | %s |\n", cmd.CommandPath(), name, cell(cmd.Short))
	}
	pages["index.md"] = index(root, rows.String())
	return pages
}

// commands returns the visible commands below cmd that do something themselves, rather than
// only group others, in the order of the help.
func commands(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		switch {
		case !sub.IsAvailableCommand() || sub.Name() == "help":
		case sub.HasAvailableSubCommands():
			all = append(all, commands(sub)...)
		default:
			all = append(all, sub)
		}
	}
	return all
}

func index(root *cobra.Command, rows string) string {
	return "# Commands\n\n" + notice + prose(root.Long) +
		"| command | what it does |\n| --- | --- |\n" + rows +
		"\n## Flags of all commands\n\n" + flagTable(root.PersistentFlags())
}

func page(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s", cmd.CommandPath(), notice)
	b.WriteString(fence(cmd.UseLine()))
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	b.WriteString(prose(about))
	if cmd.HasExample() {
		b.WriteString("## Examples\n\n" + fence(undent(cmd.Example)))
	}
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		b.WriteString("## Flags\n\n" + flagTable(flags) + "\n")
	}
	b.WriteString("It also takes the [flags of all commands](index.md#flags-of-all-commands).\n")
	return b.String()
}

// flagTable lists flags in the order of the help.
func flagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString("| flag | default | meaning |\n| --- | --- | --- |\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "`--" + strings.TrimSpace(f.Name+" "+value) + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		usage, standard := splitDefault(f, usage)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.ReplaceAll(name, "|", `\|`), standard, cell(usage))
	})
	return b.String()
}

// splitDefault returns what a usage says without the default, and the default: that of the
// flag, or the one that the usage describes because the flag's own is empty.
func splitDefault(f *pflag.Flag, usage string) (rest, standard string) {
	said := regexp.MustCompile(`^(.*) \(default ([^()]*)\)$`).FindStringSubmatch(usage)
	if said == nil {
		return usage, defaultOf(f)
	}
	return said[1], cell(said[2])
}

// defaultOf returns what a flag is if it is not given, and nothing where that is nothing.
func defaultOf(f *pflag.Flag) string {
	value := f.DefValue
	if list, ok := f.Value.(pflag.SliceValue); ok {
		value = strings.Join(list.GetSlice(), ",")
	}
	if value == "" || value == "false" || value == "0" || value == "0s" {
		return ""
	}
	return "`" + strings.ReplaceAll(value, "|", `\|`) + "`"
}

// prose turns a help text into paragraphs, and its indented lines into blocks. Headings,
// which the library's own commands have, become paragraphs as well.
func prose(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if strings.HasPrefix(paragraph, "\t") || strings.HasPrefix(paragraph, "  ") {
			b.WriteString(fence(undent(paragraph)))
			continue
		}
		b.WriteString(escape(strings.TrimLeft(paragraph, "# ")) + "\n\n")
	}
	return b.String()
}

func fence(text string) string { return "```text\n" + text + "\n```\n\n" }

// undent takes the blanks in front of each line away.
func undent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, " \t")
	}
	return strings.Join(lines, "\n")
}

// cell returns a text as it stands in a table, which is in one line.
func cell(text string) string {
	return strings.ReplaceAll(escape(strings.ReplaceAll(text, "\n", " ")), "|", `\|`)
}

// escape marks what is typed as code, and keeps the rest from being taken for Markdown. An
// apostrophe inside of a word quotes nothing.
func escape(text string) string {
	typed := regexp.MustCompile(`\B'([^'\n]+)'\B|\{\{[^}]*\}\}|--[a-z][a-z-]*|XLREG_[A-Z_]+|xlreg://`)
	special := regexp.MustCompile("[*_<>\\[\\]`#\\\\]")
	var b strings.Builder
	rest := 0
	for _, at := range typed.FindAllStringIndex(text, -1) {
		b.WriteString(special.ReplaceAllString(text[rest:at[0]], `\$0`))
		b.WriteString("`" + strings.Trim(text[at[0]:at[1]], "'") + "`")
		rest = at[1]
	}
	return b.String() + special.ReplaceAllString(text[rest:], `\$0`)
}
