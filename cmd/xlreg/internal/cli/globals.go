package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/launch"
	"github.com/xlattice/xlreg/regcred"
)

// Globals are the flags that every command has.
type Globals struct {
	*Console
	Output   string // table, wide or json
	Registry string // file or URL; empty: none was named
	Node     string // directory; empty: the user's own
	Protocol ProtocolFlag

	fromEnv map[string]bool // flags that the environment has set
}

// outputs are the formats of --output.
var outputs = []string{"table", "wide", "json"}

// ProtocolFlag is a flag that names a generation; zero if it is not given.
type ProtocolFlag struct{ xlreg.Protocol }

// String implements pflag.Value.
func (f *ProtocolFlag) String() string {
	if f.Protocol == 0 {
		return ""
	}
	return f.Protocol.String()
}

// Type implements pflag.Value. It stands in the help.
func (f *ProtocolFlag) Type() string { return "GENERATION" }

// Set implements pflag.Value.
func (f *ProtocolFlag) Set(s string) (err error) {
	f.Protocol, err = xlreg.ParseProtocol(s)
	return err
}

// Classic reports whether a classic generation was chosen.
func (f *ProtocolFlag) Classic() bool { return f.Protocol != 0 && f.Protocol.Classic() }

// Register gives the program's root command the flags.
func (g *Globals) Register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&g.Output, "output", "o", "table", "output `FORMAT`: table, wide or json")
	flags.StringVar(&g.Registry, "registry", "", "the registry: a regCred file or an xlreg:// line, `FILE|URL`")
	flags.StringVar(&g.Node, "node", "", "the node's `DIR`, made if it does not exist (default the user's own)")
	flags.Var(&g.Protocol, "protocol", "the generation to speak: 2.0, 1.9 or 1.8 (default 2.0)")
	Complete(root, "output", outputs...)
	Complete(root, "protocol", "2.0", "1.9", "1.8")
}

// Complete offers the shell the values that a flag may have.
func Complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is not there: a slip in this program
	}
}

// Prepare sets the flags that were not given on the command line from the environment,
// and checks those that every command has. An empty variable counts as not set.
//
// 'run' and 'join' tell the programs that they start about the cluster in variables,
// some of which are spelled like a flag of ours: XLREG_CLUSTER, XLREG_SIZE. If this
// program was itself started in that way, those describe the cluster that it belongs
// to and are not meant as flags, so they are passed over.
//
// A variable that begins with XLREG_ and that nothing knows is an error.
func (g *Globals) Prepare(cmd *cobra.Command) error {
	failed := checkEnvironment(cmd)
	g.fromEnv = make(map[string]bool)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(EnvName(f.Name))
		if f.Changed || value == "" || f.Name == "help" || f.Name == "version" || isToldByLauncher(EnvName(f.Name)) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil && failed == nil {
			failed = UsageError(fmt.Errorf("%s: %w", EnvName(f.Name), ExplainValue(f, value, err)))
		}
		g.fromEnv[f.Name] = true
	})
	if failed != nil {
		return failed
	}
	if !slices.Contains(outputs, g.Output) {
		return UsageError(fmt.Errorf("--output %q: want table, wide or json", g.Output))
	}
	return nil
}

// FromEnv reports whether the environment, and not the command line, has set a flag.
func (g *Globals) FromEnv(flag string) bool { return g.fromEnv[flag] }

// InEnvironment reports whether the environment has a value for a flag.
func InEnvironment(flag string) bool { return os.Getenv(EnvName(flag)) != "" }

// isToldByLauncher reports whether this program was started by 'run' or 'join', which
// set XLREG_SELF, and the variable is one of those that they set.
func isToldByLauncher(name string) bool {
	return os.Getenv(launch.EnvSelf) != "" && launch.IsEnvName(name)
}

// EnvName returns the variable that sets a flag.
func EnvName(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Target returns the registry that the flags name.
func (g *Globals) Target() (*regcred.Target, error) {
	if g.Registry == "" {
		return nil, UsageError(errors.New("say which registry with --registry FILE|URL, or in XLREG_REGISTRY"))
	}
	return regcred.Load(g.Registry)
}

// PrintFields writes a description in the format asked for.
func (g *Globals) PrintFields(v any, fields ...view.Field) error {
	if g.Output == "json" {
		return g.PrintJSON(v)
	}
	var b bytes.Buffer
	if err := view.WriteFields(&b, fields); err != nil {
		return err
	}
	return g.PrintText(&b)
}
