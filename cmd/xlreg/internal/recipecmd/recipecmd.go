// Package recipecmd has the commands that list, show and check recipes.
package recipecmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/recipe/expand"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/view"
)

// NewList returns the command that lists the recipes.
func NewList(g *cli.Globals) *cobra.Command {
	return &cobra.Command{
		Use:   "recipes",
		Short: "List the systems that 'xlreg run' knows by name",
		Long: "List the systems that 'xlreg run NAME' can start, how many members it starts unless -n says\n" +
			"otherwise, and whether all that it needs is installed on this machine; with '-o wide' also\n" +
			"where the program is, or what is missing and how to install it.",
		Example: "  xlreg recipes\n" +
			"  xlreg recipes -o wide",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return list(cmd.Context(), g) },
	}
}

// New returns the command that groups what is done with one recipe.
func New(g *cli.Globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recipe",
		Short: "Show a recipe, or check one of your own",
		Long: "Show a recipe, or check one of your own.\n\n" +
			"A recipe is a YAML file that says how a system is started as a cluster. 'xlreg run NAME'\n" +
			"starts one that is listed by 'xlreg recipes', and 'xlreg run --recipe FILE' one of your own.",
	}
	cmd.AddCommand(newShow(g), newCheck(g))
	return cmd
}

func newShow(g *cli.Globals) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a recipe",
		Long:    "Print a recipe that is built into this program. To change it, save it in a file, and start that\nwith 'xlreg run --recipe FILE'.",
		Example: "  xlreg recipe show etcd >my-etcd.yaml",
		Args:    argument("NAME"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return recipe.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := recipe.Source(args[0])
			if err != nil {
				return cli.UsageError(err)
			}
			if g.Output == "json" {
				return g.PrintJSON(Source{args[0], string(text)})
			}
			return g.PrintText(bytes.NewBuffer(text))
		},
	}
}

// Source is the file of a recipe, as scripts read it.
type Source struct {
	Name string `json:"name"`
	YAML string `json:"yaml"`
}

func newCheck(g *cli.Globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a recipe",
		Long: "Say what is wrong with a recipe and in which line, or nothing if it can be used. Its templates\n" +
			"are tried out on a made-up cluster, for every role.",
		Example: "  xlreg recipe check ./my-etcd.yaml",
		Args:    argument("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := Load(args[0])
			if err == nil {
				err = expand.Check(r)
			}
			return tell(g, args[0], err)
		},
	}
}

// tell writes the faults of a recipe for people, each in a line of its own.
func tell(g *cli.Globals, path string, err error) error {
	if err == nil || errors.As(err, new(*os.PathError)) || g.Output == "json" {
		return err
	}
	text := err.Error()
	if err := g.PrintText(bytes.NewBufferString(text + "\n")); err != nil {
		return err
	}
	if n := 1 + strings.Count(text, "\n"); n > 1 {
		return fmt.Errorf("%s has %d mistakes: see above", path, n)
	}
	return fmt.Errorf("%s has a mistake: see above", path)
}

// argument is the check of a command that takes one.
func argument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return errors.New("missing " + what)
		case 1:
			return nil
		}
		return fmt.Errorf("unexpected argument %q after %s", args[1], what)
	}
}

// Load reads the recipe in a file.
func Load(path string) (*recipe.Recipe, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, recipe.MaxSize+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return recipe.Parse(path, data)
}

// Recipe is one of the list, as scripts read it.
type Recipe struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Members int      `json:"members"` // that are started unless -n says otherwise
	Fewest  int      `json:"fewest"`  // with which it works
	Ports   []string `json:"ports"`   // their names, in the order of a member's endpoints
	TLS     string   `json:"tls"`     // self, ca or none
	Tested  []string `json:"tested"`  // with which versions
	Program string   `json:"program"`
	Path    string   `json:"path,omitempty"`    // where the program is; absent if it is not installed
	Missing []string `json:"missing,omitempty"` // what it needs and this machine does not have: programs, and modules of Python
	Install string   `json:"install,omitempty"` // a command that installs all that
}

func list(ctx context.Context, g *cli.Globals) error {
	lacks := missing(ctx, recipe.Builtin())
	var all []Recipe
	for _, r := range recipe.Builtin() {
		path, err := run.LookPath(r.Program)
		if err != nil {
			path = ""
		}
		all = append(all, Recipe{
			Name: r.Name, About: r.About, Members: r.Members, Fewest: r.Fewest, Ports: append([]string{}, r.PortNames()...),
			TLS: r.TLS, Tested: r.Tested, Program: r.Program, Path: path, Missing: lacks[r.Name], Install: r.Install.Command(),
		})
	}
	if g.Output == "json" {
		return g.PrintJSON(struct {
			Recipes []Recipe `json:"recipes"`
		}{all})
	}
	rows := [][]string{{"NAME", "MEMBERS", "INSTALLED", "ABOUT"}}
	for _, r := range all {
		rows = append(rows, []string{r.Name, fmt.Sprint(r.Members), installed(&r, g.Output == "wide"), r.About})
	}
	if g.Output == "wide" {
		return g.PrintText(bytes.NewBufferString(view.Align(rows)))
	}
	if cli.IsTerminal(g.Out) || os.Getenv("COLUMNS") != "" { // other programs read whole lines
		fit(rows, cli.Width(g.Out))
	}
	return g.PrintText(bytes.NewBufferString(view.Align(rows)))
}

// Where ABOUT is among the columns, and how much of it is left at least.
const (
	aboutColumn = 3
	leastAbout  = 10
)

// fit shortens what the systems are about, so that lines have at most width columns. With 0
// there is no bound.
func fit(rows [][]string, width int) {
	about, others := 0, 2*(len(rows[0])-1) // the gaps
	for i := range rows[0] {
		widest := 0
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[i]))
		}
		if i == aboutColumn {
			about = widest
			continue
		}
		others += widest
	}
	if width == 0 || about+others <= width {
		return
	}
	most := max(width-others, leastAbout)
	for _, row := range rows {
		if text := []rune(row[aboutColumn]); len(text) > most {
			row[aboutColumn] = string(text[:most-1]) + "…"
		}
	}
}

// installed says whether all that is needed is there, and, if more is wanted, where the program is, or
// what is missing and how to get it.
func installed(r *Recipe, more bool) string {
	switch {
	case more && len(r.Missing) == 0:
		return r.Path
	case more && r.Install != "":
		return "no " + strings.Join(r.Missing, ", ") + ": " + r.Install
	case len(r.Missing) == 0:
		return "yes"
	}
	return "no"
}
