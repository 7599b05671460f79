package benchcmd

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/bench"
)

// serverCommand is the subcommand with which 'bench' calls this program.
const serverCommand = "bench-server"

// NewServer returns the hidden command by which New starts a registry to be measured.
func NewServer(g *cli.Globals) *cobra.Command {
	return &cobra.Command{
		Use:                serverCommand,
		Short:              "Run a registry to be measured; 'bench' uses it",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		// Flags in the environment were meant for 'bench'.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		// Ctrl-C reaches this process, too, but only 'bench' reacts: it stops asking.
		RunE: func(_ *cobra.Command, args []string) error { return bench.Serve(args, g.In, g.Out) },
	}
}

// serverProcess returns how to call this program so that it becomes a registry to be
// measured.
func serverProcess(g *cli.Globals) (bench.Command, error) {
	self, err := os.Executable()
	return bench.Command{Path: self, Args: []string{g.Program, serverCommand}}, err
}
