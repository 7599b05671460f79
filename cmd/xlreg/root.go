package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/admincmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/benchcmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/lifecmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/recipecmd"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/topcmd"
	"github.com/xlattice/xlreg/internal/recipe"
	"github.com/xlattice/xlreg/internal/run"
)

// globals are the flags that every command has, and one that several have.
type globals struct {
	*cli.Globals
	name     xlreg.Name    // of a node that is made now; empty: one is chosen
	certLife time.Duration // likewise; 0 is the default
	mark     string        // of the processes that are started
	killing  *run.Killing  // of these processes, by a second Ctrl-C
}

func newRoot(c *cli.Console) *cobra.Command {
	g := &globals{Globals: &cli.Globals{Console: c}, mark: run.NewMark(), killing: run.NewKilling()}
	root := &cobra.Command{
		Use:   "xlreg",
		Short: "A cluster registry: turns n processes into a cluster",
		Long: "xlreg is a cluster registry: it turns n processes into a cluster whose members know each\n" +
			"other's names, addresses and keys.\n\n" +
			"Every flag can be set in the environment: --registry is XLREG_REGISTRY,\n" +
			"--id-bits is XLREG_ID_BITS, and so on; a list is separated by commas.\n\n" +
			"Exit codes: 0 success, 1 refused or failed, 2 wrong usage, 3 time is up, 130 interrupted.\n" +
			"'run' and 'join -- COMMAND' exit like the COMMAND.",
		Version:           buildVersion().Version,
		Args:              knownCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.Prepare(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("xlreg {{.Version}}\n")
	g.Register(root)
	root.AddCommand(
		newServe(g), newRegistry(g), newCheck(g), newBackup(g), newRestore(g), newStore(g), newDemo(g), newRun(g), newCred(g), newNode(g),
		newTicket(g), newCreate(g), newJoin(g), newGet(g), newLeave(g), newVerify(g), newCompare(g),
		newEvict(g), newRevoke(g), newReopen(g), newDelete(g), newManual(), newVersion(g),
		recipecmd.NewList(g.Globals), recipecmd.New(g.Globals), admincmd.New(g.Globals), topcmd.New(g.Globals), benchcmd.New(g.Globals), benchcmd.NewServer(g.Globals),
	)
	root.AddCommand(lifecmd.New(g.Globals)...)
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return cli.UsageError(fmt.Errorf("%w%s; see '%s --help'", cli.ExplainFlag(err), flagHint(cmd, err), cmd.CommandPath()))
	})
	root.SetHelpCommand(newHelp())
	cli.ShowHelp(root, c)
	markUsageErrors(root)
	return root
}

// newHelp is cobra's own help command, but that a command which does not exist is an
// error.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return cli.UsageError(fmt.Errorf("unknown command %q; see 'xlreg --help'", strings.Join(args, " ")))
			}
			return about.Help()
		},
	}
}

// markUsageErrors makes wrong arguments, of every command, usage errors, and
// lets no command that only groups others pass for one that was done.
func markUsageErrors(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil || cmd.HasSubCommands() {
		check = knownCommand
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return cli.UsageError(fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath()))
		}
		return nil
	}
	if !cmd.Runnable() {
		cmd.RunE = needSubcommand
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}

// knownCommand checks the arguments of a command that takes none. An argument was probably
// meant as a subcommand.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return fmt.Errorf("unexpected argument %q", shownArg(args[0]))
	}
	err := fmt.Errorf("unknown command %q for %q", shownArg(args[0]), cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if slices.Contains(recipe.Names(), args[0]) && !cmd.HasParent() {
		return fmt.Errorf("%w; 'xlreg run %s' starts that system", err, args[0])
	}
	if likely := cmd.SuggestionsFor(args[0]); len(likely) > 0 {
		err = fmt.Errorf("%w (did you mean %s?)", err, strings.Join(likely, " or "))
	}
	return err
}

func needSubcommand(cmd *cobra.Command, _ []string) error {
	return cli.UsageError(fmt.Errorf("say what to do; see '%s --help'", cmd.CommandPath()))
}

// oneArg is the check of a command that takes one argument, called what.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return errors.New("missing " + what)
		case len(args) > 1:
			return fmt.Errorf("unexpected argument %q after %s", shownArg(args[1]), what)
		}
		return nil
	}
}
