package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg/client"
)

func newLeave(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "leave NAME",
		Short: "Give a place in a cluster up",
		Long:  "Give the node's place in a cluster, given by name or ID, up for another member.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			return g.asNode(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.Leave(ctx, ref); err != nil {
					return err
				}
				return g.printFields(struct {
					Left string `json:"left"`
				}{args[0]}, field{"left", fmt.Sprint(args[0])})
			})
		},
	}
}
