package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// isTerminal reports whether a person looks at w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// globals are the flags that every command has.
type globals struct {
	*console
	output   string // table or json
	registry string // file or URL
	node     string // directory
	protocol string
}

func newRoot(c *console) *cobra.Command {
	g := &globals{console: c}
	root := &cobra.Command{
		Use:   "xlreg",
		Short: "A cluster registry: n processes become a cluster in which all know each other",
		Long: "A cluster registry: n processes become a cluster in which all know each other.\n\n" +
			"Every flag can be set in the environment: --registry is XLREG_REGISTRY,\n" +
			"--id-bits is XLREG_ID_BITS, and so on; a list is separated by commas.\n" +
			"Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed.",
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return prepare(cmd, g) },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&g.output, "output", "o", "table", "output `FORMAT`: table or json")
	flags.StringVar(&g.registry, "registry", "", "the registry: a regCred `FILE` or an xlreg:// URL")
	flags.StringVar(&g.node, "node", "", "the node's `DIR`, made if it does not exist")
	flags.StringVar(&g.protocol, "protocol", "", "the `GENERATION` to speak: 2.0, 1.9 or 1.8 (default 2.0)")
	root.AddCommand(
		newServe(g), newDemo(g), newCred(g), newNode(g),
		newCreate(g), newJoin(g), newGet(g), newLeave(g), newVersion(g),
	)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	markUsageErrors(root)
	return root
}

// prepare fills flags that were not given from the environment.
func prepare(cmd *cobra.Command, g *globals) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, set := os.LookupEnv(envName(f.Name))
		if f.Changed || !set || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil && failed == nil {
			failed = usageError{fmt.Errorf("%s: %w", envName(f.Name), err)}
		}
	})
	if failed != nil {
		return failed
	}
	if g.output != "table" && g.output != "json" {
		return usageError{fmt.Errorf("--output %q: want table or json", g.output)}
	}
	return nil
}

func envName(flag string) string {
	return "XLREG_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// markUsageErrors makes wrong arguments, of every command, usage errors.
func markUsageErrors(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}
