package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/launch"
)

// console is where a command reads and writes.
type console struct {
	program  string // as it was called
	in       io.Reader
	out, err io.Writer
}

// globals are the flags that every command has.
type globals struct {
	*console
	output   string // table or json
	registry string // file or URL
	node     string // directory
	protocol protocolFlag
	certLife time.Duration // of a node that is made now; 0 is the default
}

// protocolFlag is a flag that names a generation; zero if it is not given.
type protocolFlag struct{ xlreg.Protocol }

// String implements pflag.Value.
func (f *protocolFlag) String() string {
	if f.Protocol == 0 {
		return ""
	}
	return f.Protocol.String()
}

// Type implements pflag.Value. It stands in the help.
func (f *protocolFlag) Type() string { return "GENERATION" }

// Set implements pflag.Value.
func (f *protocolFlag) Set(s string) (err error) {
	f.Protocol, err = xlreg.ParseProtocol(s)
	return err
}

// classic reports whether a classic generation was chosen.
func (f *protocolFlag) classic() bool { return f.Protocol != 0 && f.Classic() }

func newRoot(c *console) *cobra.Command {
	g := &globals{console: c}
	root := &cobra.Command{
		Use:   "xlreg",
		Short: "A cluster registry: n processes become a cluster in which all know each other",
		Long: "A cluster registry: n processes become a cluster in which all know each other.\n\n" +
			"Every flag can be set in the environment: --registry is XLREG_REGISTRY,\n" +
			"--id-bits is XLREG_ID_BITS, and so on; a list is separated by commas.\n\n" +
			"Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed,\n" +
			"130 interrupted; of 'run' and 'join -- COMMAND' that of the COMMAND.",
		Args:              knownCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.prepare(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.register(root)
	root.AddCommand(
		newServe(g), newDemo(g), newRun(g), newCred(g), newNode(g), newShim(),
		newCreate(g), newJoin(g), newGet(g), newLeave(g), newVersion(g), newBench(g), newBenchServer(g),
	)
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath()))
	})
	markUsageErrors(root)
	return root
}

func (g *globals) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&g.output, "output", "o", "table", "output `FORMAT`: table or json")
	flags.StringVar(&g.registry, "registry", "", "the registry: a regCred file or an xlreg:// line, `FILE|URL`")
	flags.StringVar(&g.node, "node", "", "the node's `DIR`, made if it does not exist (default the user's own)")
	flags.Var(&g.protocol, "protocol", "the generation to speak: 2.0, 1.9 or 1.8 (default 2.0)")
	complete(root, "output", "table", "json")
	complete(root, "protocol", "2.0", "1.9", "1.8")
}

// complete offers the shell the values that a flag may have.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is not there: a slip in this program
	}
}

// prepare fills flags that were not given from the environment. A variable that
// is empty is one that is not set, and one that says as what this program was itself
// launched is no flag.
func (g *globals) prepare(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(envName(f.Name))
		if f.Changed || value == "" || f.Name == "help" || isLaunchFact(envName(f.Name)) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil && failed == nil {
			failed = usageError(fmt.Errorf("%s: %w", envName(f.Name), err))
		}
	})
	if failed != nil {
		return failed
	}
	if g.output != "table" && g.output != "json" {
		return usageError(fmt.Errorf("--output %q: want table or json", g.output))
	}
	return nil
}

// isLaunchFact reports whether a variable was set by 'run' or 'join' for a program
// that they started, and so says what there is, and not what is to be done.
func isLaunchFact(name string) bool {
	return os.Getenv(launch.EnvSelf) != "" && slices.Contains(launch.EnvNames(), name)
}

func envName(flag string) string {
	return "XLREG_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
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
			return usageError(fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath()))
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

// knownCommand is the check of a command that takes no arguments: one that is
// there was meant for a subcommand.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if likely := cmd.SuggestionsFor(args[0]); len(likely) > 0 {
		err = fmt.Errorf("%w (did you mean %s?)", err, strings.Join(likely, " or "))
	}
	return err
}

func needSubcommand(cmd *cobra.Command, _ []string) error {
	return usageError(fmt.Errorf("say what to do; see '%s --help'", cmd.CommandPath()))
}

// oneArg is the check of a command that takes one argument, called what.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return errors.New("missing " + what)
		case len(args) > 1:
			return fmt.Errorf("unexpected argument %q after %s", args[1], what)
		}
		return nil
	}
}
