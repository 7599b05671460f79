package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/internal/bench"
)

// benchServerCommand is the subcommand that 'bench' calls this program by.
const benchServerCommand = "bench-server"

func newBenchServer(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:                benchServerCommand,
		Short:              "Run a registry to be measured; 'bench' uses it",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		// Flags in the environment are those of 'bench'.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		// Ctrl-C, which comes here too, is for 'bench' to heed: it ends the questions.
		RunE: func(_ *cobra.Command, args []string) error { return bench.Serve(args, g.in, g.out) },
	}
}

// benchCommand is how this program becomes a registry to be measured.
func (g *globals) benchCommand() (bench.Command, error) {
	self, err := os.Executable()
	return bench.Command{Path: self, Args: []string{g.program, benchServerCommand}}, err
}
