package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/internal/run"
)

// shimCommand is the subcommand that 'run' and 'join' call this program by.
const shimCommand = "shim"

func newShim() *cobra.Command {
	return &cobra.Command{
		Use:                shimCommand,
		Short:              "Look after one program; 'run' and 'join' use it",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		// Flags in the environment are those of whoever started the shim.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE:              func(_ *cobra.Command, args []string) error { return run.Shim(args) },
	}
}

// launchOptions are those that run and join have in common.
func (g *globals) launchOptions() (run.Options, error) {
	self, err := os.Executable()
	return run.Options{ShimPath: self, ShimArgs: []string{g.Program, shimCommand}}, err
}
