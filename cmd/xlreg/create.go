package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
)

// createFlags are the flags of create, as given.
type createFlags struct {
	size      int
	endpoints int
	unique    bool
}

func newCreate(g *globals) *cobra.Command {
	var f createFlags
	cmd := &cobra.Command{
		Use:   "create [NAME] --size N",
		Short: "Create a cluster",
		Long: "Create a cluster. If one with that name and size exists already, it is shown, so any\n" +
			"number of nodes can create the same cluster. With --unique, or without a name, the\n" +
			"registry makes up a new name.",
		Example: "  xlreg create web --size 5\n  xlreg create web --size 5 --unique -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args, g.Protocol.Classic())
			if err != nil {
				return err
			}
			return g.create(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&f.size, "size", 0, "how many `MEMBERS` the cluster has, 2 to 64")
	cmd.Flags().IntVar(&f.endpoints, "endpoints", 1, "how many `ADDRESSES` each member must have, 1 to 16")
	cmd.Flags().BoolVar(&f.unique, "unique", false, "append something to the name that makes it unique")
	addName(cmd, &g.name)
	return cmd
}

// openCreator opens the node to create as. The user's own may be where nothing can be
// kept, in a container for example, or be at work; then one that is forgotten is as
// good, because a cluster does not belong to its creator.
func (g *globals) openCreator(ctx context.Context) (*identity.Node, error) {
	node, err := g.openNode(ctx)
	var files *fs.PathError
	hindered := errors.Is(err, errNoHome) || errors.Is(err, identity.ErrInUse) || errors.As(err, &files)
	if g.Node != "" || !hindered {
		return node, err
	}
	return cli.Interruptible(ctx, func() (*identity.Node, error) {
		return identity.NewNode(identity.Options{Name: cmp.Or(g.name, "creator")})
	})
}

func (f *createFlags) options(args []string, classic bool) (client.CreateOptions, error) {
	o := client.CreateOptions{Size: f.size, EndpointCount: f.endpoints}
	if len(args) == 1 {
		name, err := xlreg.ParseName(args[0])
		if err != nil {
			return o, cli.UsageError(fmt.Errorf("cluster %q: %w", args[0], err))
		}
		o.Name = name
	}
	if f.size == 0 {
		return o, cli.UsageError(errors.New("say how many members with --size N"))
	}
	if err := checkSize(f.size); err != nil {
		return o, err
	}
	if f.endpoints < 1 || f.endpoints > xlreg.MaxEndpoints {
		return o, cli.UsageError(fmt.Errorf("--endpoints %d: want 1 to %d", f.endpoints, xlreg.MaxEndpoints))
	}
	if f.unique && classic {
		return o, cli.UsageError(fmt.Errorf("--unique: %w", client.ErrNeeds20))
	}
	if f.unique {
		o.Attrs |= xlreg.ClusterUnique
	}
	return o, nil
}

func (g *globals) create(ctx context.Context, o client.CreateOptions) (err error) {
	target, err := g.Target()
	if err != nil {
		return err
	}
	node, err := g.openCreator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return g.inSession(ctx, target, node, func(ctx context.Context, c *client.Client) error {
		cluster, err := c.Create(ctx, o)
		if err != nil {
			return err
		}
		return g.printCluster(&cluster)
	})
}
