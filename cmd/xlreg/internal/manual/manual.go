// Package manual writes the manual pages of the program, one for each command, from what
// the commands say of themselves.
//
// Cobra can do that too, but it reads the text as Markdown, which ours is not, and does not
// know that each flag has a variable.
package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

// Edition is what stands in the margins of each page.
type Edition struct {
	Version string
	Date    time.Time // zero: no date is given
}

// Write writes the page of root, and those of all commands below it that are not hidden,
// into dir.
func Write(dir string, root *cobra.Command, e Edition) error {
	if err := os.WriteFile(filepath.Join(dir, pageName(root)+".1"), []byte(Page(root, e)), 0o644); err != nil { //nolint:gosec // for everyone to read
		return fmt.Errorf("manual: %w", err)
	}
	for _, cmd := range documented(root) {
		if err := Write(dir, cmd, e); err != nil {
			return err
		}
	}
	return nil
}

// Page returns the page of one command.
func Page(cmd *cobra.Command, e Edition) string {
	p := new(page)
	date := ""
	if !e.Date.IsZero() {
		date = e.Date.UTC().Format(time.DateOnly)
	}
	p.macro("TH", strings.ToUpper(pageName(cmd)), "1", date, "xlreg "+e.Version, "xlreg")
	p.section("NAME")
	p.printf("%s \\- %s\n", escape(pageName(cmd)), escape(lowerFirst(cmd.Short)))
	p.section("SYNOPSIS")
	p.printf("\\fB%s\\fR%s\n", escape(cmd.CommandPath()), escape(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())))
	p.section("DESCRIPTION")
	p.text(description(cmd))
	p.commands(cmd)
	p.flags("OPTIONS", cmd.NonInheritedFlags())
	p.flags("OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.text(cmd.Example)
	}
	p.seeAlso(cmd)
	return p.String()
}

func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

// pageName is the name of a command's page, such as xlreg-node-import.
func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// documented returns the commands right below cmd that have a page.
func documented(cmd *cobra.Command) []*cobra.Command {
	all := slices.Clone(cmd.Commands())
	return slices.DeleteFunc(all, func(sub *cobra.Command) bool { return !sub.IsAvailableCommand() })
}

// page is a page under way, in the language of man.
type page struct{ strings.Builder }

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// macro writes a call of a macro, with each argument quoted.
func (p *page) macro(name string, args ...string) {
	p.printf(".%s", name)
	for _, arg := range args {
		p.printf(" %q", arg)
	}
	p.printf("\n")
}

func (p *page) section(title string) { p.printf(".SH %s\n", title) }

// text writes paragraphs, which blank lines part, and takes lines that are indented as
// they are.
func (p *page) text(text string) {
	verbatim := false
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if line == "" && !verbatim {
			p.printf(".PP\n")
			continue
		}
		if line != "" && indented != verbatim {
			p.printf("%s", map[bool]string{true: ".nf\n", false: ".fi\n"}[indented])
			verbatim = indented
		}
		p.printf("%s\n", escape(line))
	}
	if verbatim {
		p.printf(".fi\n")
	}
}

func (p *page) commands(cmd *cobra.Command) {
	subs := documented(cmd)
	if len(subs) == 0 {
		return
	}
	p.section("COMMANDS")
	for _, sub := range subs {
		p.printf(".TP\n\\fB%s\\fR(1)\n%s.\n", escape(pageName(sub)), escape(sub.Short))
	}
}

func (p *page) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			p.flag(f)
		}
	})
}

func (p *page) flag(f *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(f)
	p.printf(".TP\n")
	if f.Shorthand != "" {
		p.printf("\\fB\\-%s\\fR, ", escape(f.Shorthand))
	}
	p.printf("\\fB\\-\\-%s\\fR", escape(f.Name))
	if value != "" {
		p.printf(" \\fI%s\\fR", escape(value))
	}
	p.printf("\n%s.\n", escape(upperFirst(usage)))
	if def := strings.Trim(f.DefValue, "[]"); !slices.Contains([]string{"", "false", "0", "0s"}, def) {
		p.printf("Default: %s.\n", escape(def))
	}
	if f.Name != "help" && f.Name != "version" {
		p.printf(".br\nVariable: \\fB\\%%%s\\fR.\n", escape(cli.EnvName(f.Name)))
	}
}

func (p *page) seeAlso(cmd *cobra.Command) {
	var pages []string
	for c := cmd.Parent(); c != nil; c = c.Parent() {
		pages = append(pages, "\\fB"+escape(pageName(c))+"\\fR(1)")
	}
	p.section("SEE ALSO")
	p.printf("%s\n", strings.Join(append(pages, "https://github.com/xlattice/xlreg"), ", "))
}

// escape makes text mean itself in the language of man.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}

func lowerFirst(s string) string { return changeFirst(s, strings.ToLower) }

func upperFirst(s string) string { return changeFirst(s, strings.ToUpper) }

// changeFirst changes the first letter, unless the word goes on in capitals as a name
// would.
func changeFirst(s string, change func(string) string) string {
	if len(s) < 2 || s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return change(s[:1]) + s[1:]
}
