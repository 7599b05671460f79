package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
)

func newGet(g *globals) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show who is in a cluster",
		Long: "Show who is in a cluster, given by name or ID. Over 2.0 nobody has to be a member,\n" +
			"or a node, to ask. With --wait the command ends when everybody is there, or with\n" +
			"exit code 3 and who is missing when the time has passed.",
		Example: "  xlreg get web\n  xlreg get web --wait 30s -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			if wait < 0 {
				return usageError{fmt.Errorf("--wait %v: want 0 or more", wait)}
			}
			return g.get(cmd.Context(), ref, wait)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this `TIME` for all members (default not at all)")
	return cmd
}

func (g *globals) get(ctx context.Context, ref xlreg.ClusterRef, wait time.Duration) (err error) {
	node, err := g.reader()
	if err != nil {
		return err
	}
	if node != nil {
		defer func() { err = errors.Join(err, node.Close()) }()
	}
	if wait == 0 {
		return g.withSession(ctx, node, func(ctx context.Context, c *client.Client) error {
			roster, err := c.Members(ctx, ref)
			if err != nil {
				return err
			}
			return g.printRoster(roster)
		})
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	roster, err := g.waitFor(ctx, node, ref)
	if err != nil {
		return err
	}
	return g.printRoster(roster)
}

// reader returns the node to read as: none over 2.0, where anybody may ask.
func (g *globals) reader() (*identity.Node, error) {
	if _, err := g.target(); err != nil {
		return nil, err
	}
	p, err := g.protocolChosen()
	if err != nil || p == 0 || !p.Classic() {
		return nil, err
	}
	return g.openNode()
}

// waitFor waits for the whole roster. On a terminal it asks anew with each
// member that joins, to show who is there.
func (g *globals) waitFor(ctx context.Context, node *identity.Node, ref xlreg.ClusterRef) (*client.Roster, error) {
	c, err := g.dial(ctx, node)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if node != nil {
		if _, err := c.Register(ctx); err != nil {
			return nil, err
		}
	}
	progress := newProgress(g.console, ctx)
	if progress == nil {
		return c.Wait(ctx, ref, 0)
	}
	defer progress.done()
	roster, err := c.Members(ctx, ref)
	for err == nil && roster.Missing() > 0 {
		progress.show(client.Progress{Cluster: roster.Cluster, Roster: roster, Size: roster.Cluster.MaxSize})
		roster, err = c.Wait(ctx, ref, len(roster.Members)+1)
	}
	return roster, err
}
