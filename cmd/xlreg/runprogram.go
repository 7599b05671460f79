package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/recipecmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/runplan"
	"github.com/xlattice/xlreg/internal/private"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
	"github.com/xlattice/xlreg/internal/rundir"
	"github.com/xlattice/xlreg/launch"
)

// read returns what the flags, a recipe's name and a command say of the program that is to
// be started. The recipe and the files that the flags name are read.
func (f *programFlags) read(own, command []string) (*runplan.Flags, error) {
	if f.authority != "" && f.tls == "" {
		f.tls = recipe.TLSCA
	}
	if f.authority != "" && f.tls != recipe.TLSCA {
		return nil, cli.UsageError(fmt.Errorf("--authority with --tls %s: it signs certificates for --tls ca alone", f.tls))
	}
	to := &runplan.Flags{Command: command, Env: f.env, Member: f.members, Role: f.roles, TLS: f.tls, SAN: f.san}
	var err error
	switch {
	case len(own) > 0:
		to.Recipe, err = namedRecipe(own[0])
	case f.recipe != "":
		to.Recipe, err = loadRecipe(f.recipe)
	}
	if err != nil {
		return nil, err
	}
	to.Files, err = readFiles(f.files)
	return to, err
}

// namedRecipe finds the recipe of that name. Others may have meant a file, or a COMMAND.
func namedRecipe(name string) (*recipe.Recipe, error) {
	if isRecipeFile(name) {
		return nil, cli.UsageError(fmt.Errorf("%q is no name of a recipe: if it is the file of one, put --recipe before it, and if it is a COMMAND, put -- before it", name))
	}
	r, err := recipe.Find(name)
	if err != nil {
		return nil, cli.UsageError(fmt.Errorf("%w; a COMMAND stands after --", err))
	}
	return r, nil
}

// isRecipeFile reports whether a text is the path of a recipe, and not the name of one.
func isRecipeFile(text string) bool {
	return strings.ContainsRune(text, filepath.Separator) || filepath.Ext(text) == ".yaml" || filepath.Ext(text) == ".yml"
}

// loadRecipe reads a recipe's file, or finds the known recipe of that name.
func loadRecipe(name string) (*recipe.Recipe, error) {
	if !isRecipeFile(name) {
		r, err := recipe.Find(name)
		if err == nil {
			return r, nil
		}
		if _, missing := os.Stat(name); missing != nil {
			return nil, cli.UsageError(err)
		}
	}
	r, err := recipecmd.Load(name)
	if err != nil && !errors.As(err, new(*fs.PathError)) {
		return nil, cli.UsageError(err)
	}
	return r, err
}

// areForCommand reports whether a flag is given that says nothing without a program.
func (f *programFlags) areForCommand() bool {
	return f.env != nil || f.files != nil || f.pass || f.secret != "" || f.tls != "" || f.authority != "" || f.san != nil
}

// mostOfFile bounds what is written into a member's directory.
const mostOfFile = 1 << 20

// readFiles reads --file, and the templates that it names.
func readFiles(list []string) ([]launch.FileText, error) {
	var all []launch.FileText
	for _, text := range list {
		name, content, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, cli.UsageError(fmt.Errorf("--file %q: want NAME=TEMPLATE or NAME=@PATH", text))
		}
		file := launch.FileText{Name: name, Text: launch.Text{Where: "--file " + name, Text: content}}
		if path, isPath := strings.CutPrefix(content, "@"); isPath {
			data, err := readBounded(path, mostOfFile)
			if err != nil {
				return nil, fmt.Errorf("--file %s: %w", name, err)
			}
			file.Text = launch.Text{Where: path + ":1", Text: string(data)}
		}
		all = append(all, file)
	}
	return all, nil
}

// secretOf returns the secret that the flags name; empty if they name none.
func (f *programFlags) secretOf() (string, error) {
	if f.secret == "" {
		return "", nil
	}
	secret, err := rundir.ReadSecret(f.secret)
	if err != nil {
		return "", fmt.Errorf("--secret-file: %w", err)
	}
	return secret, nil
}

// mostOfAuthority bounds the file of an authority.
const mostOfAuthority = 64 << 10

// authorityOf returns the authority that the flags name; nil if they name none.
func (f *programFlags) authorityOf() (*launch.Authority, error) {
	if f.authority == "" {
		return nil, nil
	}
	data, err := private.Read(f.authority, mostOfAuthority)
	if err != nil {
		return nil, fmt.Errorf("--authority: %w", err)
	}
	a, err := launch.ParseAuthority(data)
	if err != nil {
		return nil, fmt.Errorf("--authority %s: %w", f.authority, err)
	}
	return a, nil
}

// lookPrograms finds the programs that are to be started, so that one that is missing is
// told before anything is done.
func lookPrograms(ctx context.Context, p *runplan.Plan) error {
	if err := lookNeeds(ctx, p.Recipe); err != nil {
		return err
	}
	seen := make(map[*runplan.Member]bool)
	for _, m := range p.Members {
		if seen[m] {
			continue
		}
		seen[m] = true
		if program, known := m.Command.Program(); known {
			if _, err := lookPath(program, p.Recipe); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookNeeds finds all that a recipe needs.
func lookNeeds(ctx context.Context, r *recipe.Recipe) error {
	if r == nil {
		return nil
	}
	for _, program := range append([]string{r.Program}, r.Needs...) {
		if program == "" { // a template names it
			continue
		}
		if _, err := lookPath(program, r); err != nil {
			return err
		}
	}
	return recipecmd.CheckModules(ctx, r)
}

// lookPath finds a program. If it is not there, the error says how to get it, as far as the
// recipe in use, or the one that is known for the program, says so.
func lookPath(program string, r *recipe.Recipe) (string, error) {
	path, err := run.LookPath(program)
	var missing *run.ExitError
	if !errors.Is(err, run.ErrNotFound) || !errors.As(err, &missing) {
		return path, err
	}
	if known, ok := recipe.ForProgram(program); ok && (r == nil || r.Program != program) {
		r = known
	}
	if r == nil || r.Install.Command() == "" { // a recipe's packages bring what its command needs besides
		return path, err
	}
	explained := *missing
	explained.Err = fmt.Errorf("%w: install it with '%s'", run.ErrNotFound, r.Install.Command())
	return path, &explained
}
