package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

func newCreate(g *globals) *cobra.Command {
	var o client.CreateOptions
	var unique bool
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Make a cluster",
		Long: "Make a cluster, or show the one that has the name.\n" +
			"With --unique, or without a name, the registry makes up a name that is new.",
		Example: "  xlreg create web --size 5\n  xlreg create web --size 5 --unique -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Name = xlreg.Name(args[0])
			}
			if unique {
				o.Attrs |= xlreg.ClusterUnique
			}
			return g.asNode(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				cluster, err := c.Create(ctx, o)
				if err != nil {
					return err
				}
				return g.printCluster(&cluster)
			})
		},
	}
	cmd.Flags().IntVar(&o.Size, "size", 0, "how many members the cluster is made for, 2 to 64")
	cmd.Flags().IntVar(&o.EndpointCount, "endpoints", 1, "how many addresses each member must have")
	cmd.Flags().BoolVar(&unique, "unique", false, "append to the name what makes it new")
	return cmd
}
