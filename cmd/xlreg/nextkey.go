package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
)

func newRegistry(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Look after the keys of a registry",
		Long:  "Look after the keys of a registry, in its directory.",
	}
	cmd.AddCommand(newNextKey(g))
	return cmd
}

func newNextKey(g *globals) *cobra.Command {
	var life time.Duration
	var drop bool
	cmd := &cobra.Command{
		Use:   "next-key DIR",
		Short: "Give a registry that is stopped its next keys",
		Long: "Make new keys for the registry in DIR, which must be stopped; from its next start on it has\n" +
			"them. The old sig key vouches for the new one and is then removed for good: clients that\n" +
			"know only the old one go on finding the registry until --for is over, and are told of the\n" +
			"new one. Until then give everybody the new credentials. There is no way back, except to a\n" +
			"copy of DIR made before. The registry's name, its ID and its data stay.\n\n" +
			"A registry keeps the word of one former key only. While the one before still vouches for\n" +
			"the present one, the keys are changed again only with --drop-former.",
		Example: "  xlreg registry next-key /var/lib/xlreg",
		Args:    oneArg("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if life <= 0 {
				return cli.UsageError(fmt.Errorf("--for %v: want more than 0", life))
			}
			return g.nextKey(cmd.Context(), args[0], life, drop)
		},
	}
	cmd.Flags().BoolVar(&drop, "drop-former", false, "even if clients that know only the key before the present one are lost")
	cmd.Flags().DurationVar(&life, "for", host.CrossLife, "the `TIME` for which the old key vouches for the new one")
	return cmd
}

// nextKeyJSON is what changes when a registry gets its next keys.
type nextKeyJSON struct {
	Sig    string    `json:"sig"`
	Former string    `json:"former"`
	Until  time.Time `json:"until"`
}

// nextKey changes the keys. The new ones have the size of the old: classic clients could
// not tell otherwise which comms key is meant.
func (g *globals) nextKey(ctx context.Context, dir string, life time.Duration, drop bool) error {
	node, err := identity.OpenRegistry(dir)
	if err != nil {
		return err
	}
	old := node.Keys()
	until, err := host.VouchedUntil(node)
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	if time.Now().Before(until) && !drop {
		return fmt.Errorf("the key before the present one vouches for that until %s, and clients that know no other would be lost; wait until then, or give --drop-former",
			until.UTC().Format(time.DateOnly))
	}
	line := cli.NewStatusLine(g.Console)
	defer line.End()
	line.Show("making keys")
	next, err := cli.Interruptible(ctx, func() (*keys.Set, error) {
		return keys.Generate(keys.RSA, old.Comms.Public().Bits())
	})
	if err != nil {
		return err
	}
	line.End()
	now := time.Now()
	if err := host.NextKeys(dir, next, now, life); err != nil {
		return err
	}
	until = now.Add(life)
	g.warn("the former sig key has been removed from %s for good, and all it still does is vouch for the new one: clients that know only the former key find the registry until %s",
		dir, until.UTC().Format(time.DateOnly))
	return g.printNextKey(old, next, until)
}

func (g *globals) printNextKey(old, next *keys.Set, until time.Time) error {
	v := nextKeyJSON{Until: until.UTC().Truncate(time.Second)}
	var err error
	if v.Sig, err = keys.Fingerprint(next.SigKey); err != nil {
		return err
	}
	if v.Former, err = keys.Fingerprint(old.SigKey); err != nil {
		return err
	}
	return g.PrintFields(v,
		view.Field{"sig key", v.Sig}, view.Field{"before", v.Former}, view.Field{"vouched", "until " + v.Until.Format(time.RFC3339)})
}
