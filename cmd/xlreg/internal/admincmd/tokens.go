package admincmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

func newTokens(a *admin) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Make, list and revoke the tokens of admins",
	}
	cmd.AddCommand(newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
	return cmd
}

func newTokenCreate(a *admin) *cobra.Command {
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token, and print it this once",
		Long: "Make a token for an admin, called NAME in the registry's records. It is printed this once, on\n" +
			"standard output alone; the registry keeps only enough to recognise it.",
		Example: "  (umask 077 && xlreg admin tokens create ci --read-only >ci.token)",
		Args:    wants("NAME"),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, args []string) error {
			made, err := c.CreateToken(ctx, args[0], readOnly)
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return a.PrintJSON(made)
			}
			_, err = fmt.Fprintln(a.Out, cli.Printable(made.Secret))
			return err
		}),
	}
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "it may look, and change nothing")
	return cmd
}

func newTokenList(a *admin) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without what is secret in them",
		Args:  wants(),
		RunE: a.with(func(ctx context.Context, c *adminclient.Client, _ []string) error {
			tokens, err := c.Tokens(ctx)
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return a.PrintJSON(api.Page[api.Token]{Items: tokens})
			}
			t := newTable("NAME", "MAY", "CREATED")
			t.cut = []int{0}
			for i := range tokens {
				may := "change"
				if tokens[i].ReadOnly {
					may = "read"
				}
				t.add(tokens[i].Name, may, a.ago(&tokens[i].Created))
			}
			return a.printTable(t)
		}),
	}
}

func newTokenRevoke(a *admin) *cobra.Command {
	var c consent
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Make a token worthless",
		Args:  wants("NAME"), ValidArgsFunction: a.complete(completeTokens),
	}
	c.register(cmd)
	cmd.RunE = a.with(func(ctx context.Context, client *adminclient.Client, args []string) error {
		if err := a.ask(ctx, &c, fmt.Sprintf("Revoke the token %s", cli.Printable(args[0]))); err != nil {
			return err
		}
		if err := client.RevokeToken(ctx, args[0]); err != nil {
			return err
		}
		return a.say(resultJSON{"revoked"}, "revoked "+args[0])
	})
	return cmd
}
