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
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/regcred"
)

func newGet(g *globals) *cobra.Command {
	var wait time.Duration
	var format string
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show who is in a cluster",
		Long: "Show who is in a cluster, given by name or ID. Over 2.0 nobody has to be a member,\n" +
			"or a node, to ask. With --wait the command ends when everybody is there, or with\n" +
			"exit code 3 and who is missing when the time has passed.",
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
	cmd.Flags().DurationVar(wait, "wait", 0, "wait this `TIME`, such as 30s, for all members (default not at all)")
}

func checkWait(wait time.Duration) error {
	if wait < 0 {
		return usageError(fmt.Errorf("--wait %v: want 0 or more", wait))
	}
	return nil
}

func (g *globals) get(ctx context.Context, ref xlreg.ClusterRef, wait time.Duration, format string) (err error) {
	target, err := g.target()
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
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	roster, err := g.waitFor(ctx, target, node, ref)
	if err != nil {
		return afterWait(err)
	}
	return g.printRead(roster, target, format)
}

// reader returns the node to read as: none over 2.0, where anybody may ask.
func (g *globals) reader(ctx context.Context) (*identity.Node, error) {
	if !g.protocol.classic() {
		return nil, nil
	}
	return g.openNode(ctx)
}

// againPause is how long after a registry went away it is looked for again.
const againPause = time.Second

// waitFor waits for the whole roster, through restarts of the registry.
func (g *globals) waitFor(ctx context.Context, target *regcred.Target, node *identity.Node, ref xlreg.ClusterRef) (*client.Roster, error) {
	p := newProgress(ctx, g.console)
	defer p.end()
	for {
		roster, err := g.waitOnce(ctx, target, node, ref, p)
		if err == nil || ctx.Err() != nil || !comesBack(err) {
			return roster, err
		}
		p.show(client.Progress{Err: err})
		if pause(ctx, max(againPause, xlreg.RetryAfter(err))) != nil {
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// comesBack reports whether err may be gone in another session.
func comesBack(err error) bool {
	if errors.Is(err, xlreg.ErrTryLater) || errors.Is(err, xlreg.ErrTooManyRequests) {
		return true
	}
	return errors.Is(err, client.ErrSessionEnded) && !errors.Is(err, session.ErrHandshake)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitOnce waits in one session. Where somebody looks it asks anew with each
// member that joins, to show who is there.
func (g *globals) waitOnce(ctx context.Context, target *regcred.Target, node *identity.Node, ref xlreg.ClusterRef, p *progress) (*client.Roster, error) {
	c, err := g.dial(ctx, target, node)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	show := p.callback()
	if show == nil {
		return c.Wait(ctx, ref, 0)
	}
	roster, err := c.Members(ctx, ref)
	for err == nil && roster.Missing() > 0 {
		cluster := roster.Cluster
		show(client.Progress{Cluster: cluster, Roster: roster, Size: cluster.MaxSize})
		roster, err = c.Wait(ctx, ref, len(roster.Members)+1)
		err = ofAll(err, &cluster)
	}
	return roster, err
}

// ofAll makes the end of a wait for the next member what it is to the user: the
// end of a wait for all of them.
func ofAll(err error, cluster *xlreg.Cluster) error {
	var next *client.IncompleteError
	if !errors.As(err, &next) {
		return err
	}
	all := *next
	all.Size = cluster.MaxSize
	return fmt.Errorf("wait for cluster %q: %w", cluster.Name, &all)
}
