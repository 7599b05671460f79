// Package admincmd is 'xlreg admin': it shows those who run a registry what there is in
// it, and does what they say.
package admincmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
)

// admin is what the subcommands have in common.
type admin struct {
	*cli.Globals
	place Place
	wide  bool
}

// New returns the command.
func New(g *cli.Globals) *cobra.Command {
	a := &admin{Globals: g}
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "See and steer a registry that you run",
		Long: "See and steer a running registry: on its machine through the socket in its data directory,\n" +
			"and from elsewhere over HTTPS with a token or with the certificate of an admin key.\n\n" +
			"CLUSTER is a name or an ID, or the beginning of an ID. What cannot be undone is shown and\n" +
			"asked about first; --yes answers in advance. '-o json' prints the JSON of the registry's API.",
		Example: "  xlreg admin status\n" +
			"  xlreg admin clusters --state forming --watch\n" +
			"  xlreg admin evict web m3 --yes",
	}
	a.place.Register(cmd)
	cmd.PersistentFlags().BoolVar(&a.wide, "wide", false, "show everything, however long the lines get; as -o wide")
	cmd.AddCommand(
		newStatus(a), newClusters(a), newCluster(a), newNodes(a), newSessions(a), newLimits(a),
		newEvict(a), newBan(a), newReopen(a), newDelete(a), newForget(a), newDrain(a),
		newTokens(a), newBackup(a), newLogLevel(a),
	)
	return cmd
}

// task is what a subcommand does with the arguments, once it knows whom to ask.
type task func(ctx context.Context, c *adminclient.Client, args []string) error

// with returns how a subcommand is run.
func (a *admin) with(do task) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.place.Open(a.Globals)
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}

// isWide reports whether lines may get longer than the terminal.
func (a *admin) isWide() bool { return a.wide || a.Output == "wide" }

// wants is the check of a command whose arguments have these names.
func wants(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("missing %s", names[len(args)])
		case len(args) > len(names) && len(names) == 0:
			return fmt.Errorf("unexpected argument %q", args[0])
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q after %s", args[len(names)], names[len(names)-1])
		}
		return nil
	}
}

// consent is the flag of a subcommand that asks before it does something.
type consent struct{ yes bool }

func (c *consent) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask")
}

// ErrNotDone says that the person at the terminal did not agree.
var ErrNotDone = errors.New("nothing was changed")

// ask has the person at the terminal agree to what is about to be done.
func (a *admin) ask(ctx context.Context, c *consent, what string) error {
	if c.yes {
		return nil
	}
	if !cli.IsTerminal(a.In) || !cli.IsTerminal(a.Err) {
		return cli.UsageError(fmt.Errorf("%s: nobody is here to be asked whether that is meant: say --yes", what))
	}
	fmt.Fprintf(a.Err, "%s. Go on? [y/N] ", what)
	yes, err := a.AskYes(ctx)
	if err == nil && !yes {
		err = ErrNotDone
	}
	return err
}
