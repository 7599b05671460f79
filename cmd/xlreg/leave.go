package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
)

func newLeave(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "leave NAME",
		Short: "Give up a seat in a cluster",
		Long: "Give up the node's seat in a cluster, so that another node can take it. The cluster is\n" +
			"named by name or ID.",
		Example: "  xlreg leave web --node ./m0",
		Args:    oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			if g.Protocol.Classic() {
				return cli.UsageError(fmt.Errorf("leave: %w", client.ErrNeeds20))
			}
			return g.leave(cmd.Context(), ref)
		},
	}
}

func (g *globals) leave(ctx context.Context, ref xlreg.ClusterRef) (err error) {
	target, err := g.Target()
	if err != nil {
		return err
	}
	node, err := g.openOldNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return g.inSession(ctx, target, node, func(ctx context.Context, c *client.Client) error {
		cluster, err := c.Cluster(ctx, ref)
		if err != nil {
			return err
		}
		if err := c.Leave(ctx, xlreg.ClusterRef{ID: cluster.ID}); err != nil {
			return fmt.Errorf("node %s: %w", node.Name(), err)
		}
		return g.printLeft(&cluster)
	})
}

func (g *globals) printLeft(c *xlreg.Cluster) error {
	if g.Output == "json" {
		return g.printCluster(c)
	}
	_, err := fmt.Fprintf(g.Out, "left %s\n", c.Name)
	return err
}
