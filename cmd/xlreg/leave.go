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
	var f ticketFlags
	cmd := &cobra.Command{
		Use:   "leave NAME|TICKET",
		Short: "Give up a seat in a cluster",
		Long: "Give up the node's seat in a cluster, so that another node can take it. The cluster is\n" +
			"named by name, ID or ticket.\n\n" + ticketHelp,
		Example: "  xlreg leave web --node ./m0",
		Args:    f.placeArg(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			if g.Protocol.Classic() {
				return cli.UsageError(fmt.Errorf("leave: %w", client.ErrNeeds20))
			}
			p, err := g.place(cmd.Context(), &f, args)
			if err != nil {
				return err
			}
			return g.leave(cmd.Context(), p)
		},
	}
	f.register(cmd)
	return cmd
}

func (g *globals) leave(ctx context.Context, p *place) (err error) {
	node, err := g.openOldNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return g.inSession(ctx, p.target, node, func(ctx context.Context, c *client.Client) error {
		cluster, err := c.Cluster(ctx, p.ref)
		if err != nil {
			return err
		}
		if err := c.Leave(ctx, xlreg.ClusterRef{ID: cluster.ID, Key: p.ref.Key}); err != nil {
			return fmt.Errorf("node %s: %w", node.Name(), err)
		}
		if err := seatsOf(node, p.registry()).forget(&cluster); err != nil {
			return err
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
