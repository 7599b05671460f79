package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xlattice/xlreg/internal/spelling"
	"github.com/xlattice/xlreg/launch"
)

// prefix is what the names of our variables begin with.
const prefix = "XLREG_"

// otherVariables are those that are no flags, beside what programs are told that 'run' and
// 'join' start. One that ends in _ stands for all that begin with it.
var otherVariables = []string{
	"XLREG_CAME", "XLREG_CHANGED", "XLREG_WENT", // told to the command of --on-change
	"XLREG_BIN", "XLREG_LONG", "XLREG_ORIGINALD", "XLREG_RECIPES", "XLREG_SEED", // for builds and tests
	"XLREG_BENCH_", "XLREG_HOSTILE_", "XLREG_LINEAR_", "XLREG_TEST_",
}

// Variables are the names that variables of ours can have.
type Variables struct{ names []string }

// VariablesOf returns those of the program that cmd belongs to: its flags, whichever
// command has them, and the others.
func VariablesOf(cmd *cobra.Command) Variables {
	v := Variables{names: slices.Concat(otherVariables, launch.EnvNames())}
	add := func(f *pflag.Flag) { v.names = append(v.names, EnvName(f.Name)) }
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(add)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(cmd.Root())
	return v
}

// Check returns an error for a name that looks like one of ours and is none, which is most
// likely a slip: what was meant would go without saying anything.
func (v Variables) Check(name string) error {
	if !strings.HasPrefix(name, prefix) || v.has(name) {
		return nil
	}
	if nearest := v.nearest(name); nearest != "" {
		return fmt.Errorf("%s: there is no such variable (did you mean %s?)", name, nearest)
	}
	return fmt.Errorf("%s: there is no such variable", name)
}

func (v Variables) has(name string) bool {
	return slices.ContainsFunc(v.names, func(known string) bool {
		return name == known || strings.HasSuffix(known, "_") && strings.HasPrefix(name, known)
	})
}

// nearest returns the known name with the fewest letters changed, or nothing if none is
// near.
func (v Variables) nearest(name string) string {
	best, most := "", 1+(len(name)-len(prefix))/3
	for _, known := range v.names {
		if d := spelling.Distance(name, known); d <= most {
			best, most = known, d-1
		}
	}
	return best
}

// checkEnvironment refuses variables that nothing reads.
func checkEnvironment(cmd *cobra.Command) error {
	if onlyTells(cmd) {
		return nil
	}
	known := VariablesOf(cmd)
	environ := os.Environ()
	slices.Sort(environ)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" { // as good as not set
			continue
		}
		if err := known.Check(name); err != nil {
			return UsageError(err)
		}
	}
	return nil
}

// onlyTells reports whether a command only says what there is, to people or their shell.
func onlyTells(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return true
	}
	return cmd.HasParent() && cmd.Parent().Name() == "completion"
}
