package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/cmd/xlreg/internal/cli"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

func newGet(g *globals) *cobra.Command {
	var wait time.Duration
	var format string
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show who is in a cluster",
		Long: "Show who is in a cluster, named by name or ID. Over 2.0 you do not have to be a member or\n" +
			"have a node to ask. With --wait the command waits until all members have joined. If the\n" +
			"time is up first, it says who has joined, and exits with 3.",
		Example: "  xlreg get web\n  xlreg get web --wait 30s -o json",
		Args:    oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			if err := checkWait(wait); err != nil {
				return err
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			return g.get(cmd.Context(), ref, wait, format)
		},
	}
	addWait(cmd, &wait)
	addFormat(cmd, &format)
	return cmd
}

// addWait gives cmd the flag that get and join have.
func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "how much `TIME`, such as 30s, to wait for all members (default none)")
}

func checkWait(wait time.Duration) error {
	if wait < 0 {
		return cli.UsageError(fmt.Errorf("--wait %v: want 0 or more", wait))
	}
	return nil
}

func (g *globals) get(ctx context.Context, ref xlreg.ClusterRef, wait time.Duration, format string) (err error) {
	target, err := g.Target()
	if err != nil {
		return err
	}
	node, err := g.reader(ctx)
	if err != nil {
		return err
	}
	if node != nil {
		defer func() { err = errors.Join(err, node.Close()) }()
	}
	if wait == 0 {
		return g.inSession(ctx, target, node, func(ctx context.Context, c *client.Client) error {
			roster, err := c.Members(ctx, ref)
			if err != nil {
				return err
			}
			return g.printRead(roster, target, format)
		})
	}
	roster, err := g.await(ctx, target, node, ref, wait)
	if err != nil {
		return err
	}
	return g.printRead(roster, target, format)
}

// await waits for the whole roster.
func (g *globals) await(ctx context.Context, target *regcred.Target, node *identity.Node, ref xlreg.ClusterRef, wait time.Duration) (*client.Roster, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := g.newProgress(ctx, membersOf(ref))
	defer p.end()
	roster, err := client.Await(ctx, target, client.AwaitOptions{
		Options: client.Options{Node: node, Protocol: g.Protocol.Protocol, Logger: p.logger()},
		Cluster: ref, Progress: p.callback(),
	})
	return roster, afterWait(err)
}

// reader returns the node to read as: none over 2.0, where anybody may ask.
func (g *globals) reader(ctx context.Context) (*identity.Node, error) {
	if !g.Protocol.Classic() {
		return nil, nil
	}
	return g.openNode(ctx)
}
