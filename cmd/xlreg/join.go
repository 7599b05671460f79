package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// joinFlags are the flags of join, as given.
type joinFlags struct {
	endpoints []string
	size      int
	create    bool
	wait      time.Duration
}

func newJoin(g *globals) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME",
		Short: "Become a member of a cluster",
		Long: "Become a member of a cluster, given by name or ID, and show who is in it.\n\n" +
			"The addresses are those at which the other members find this one; the node keeps\n" +
			"those it has if none is given. With --wait the command ends when everybody is\n" +
			"there, or with exit code 3 and who is missing when the time has passed.",
		Example: "  xlreg join web --endpoint 192.0.2.7:4000 --wait 30s\n" +
			"  xlreg join web --create --size 5 --endpoint 192.0.2.7:4000 --wait 30s",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args[0])
			if err != nil {
				return err
			}
			return g.join(cmd.Context(), o, f.wait)
		},
	}
	cmd.Flags().StringSliceVar(&f.endpoints, "endpoint", nil, "`HOST:PORT` of this member, repeatable")
	cmd.Flags().IntVar(&f.size, "size", 0, "how many members the cluster must be made for (default any)")
	cmd.Flags().BoolVar(&f.create, "create", false, "make the cluster, of --size members, if it does not exist")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait this `TIME` for all members (default not at all)")
	return cmd
}

func (f *joinFlags) options(name string) (o client.FormOptions, err error) {
	if o.Cluster, err = parseRef(name); err != nil {
		return o, err
	}
	if o.Advertise, err = parseEndpoints("endpoint", f.endpoints); err != nil {
		return o, err
	}
	if f.create && f.size == 0 {
		return o, usageError{errors.New("--create needs --size N")}
	}
	if f.wait < 0 {
		return o, usageError{fmt.Errorf("--wait %v: want 0 or more", f.wait)}
	}
	o.Size, o.JoinOnly = f.size, !f.create
	o.EndpointCount = max(1, min(len(o.Advertise), xlreg.MaxEndpoints))
	return o, nil
}

// join makes the node a member, and prints the roster: the whole one with a
// wait, that of the moment without.
func (g *globals) join(ctx context.Context, o client.FormOptions, wait time.Duration) (err error) {
	target, err := g.target()
	if err != nil {
		return err
	}
	if o.Protocol, err = g.protocolChosen(); err != nil {
		return err
	}
	node, err := g.openNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	o.Node = node
	if wait == 0 {
		return g.joinOnly(ctx, o)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	progress := newProgress(g.console, ctx)
	if progress != nil {
		o.Progress = progress.show
	}
	m, err := client.Form(ctx, target, o)
	progress.done()
	if err != nil {
		return err
	}
	return g.printRoster(m.Roster())
}

func (g *globals) joinOnly(ctx context.Context, o client.FormOptions) error {
	if len(o.Advertise) > 0 {
		if err := o.Node.SetEndpoints(o.Advertise); err != nil {
			return err
		}
	}
	return g.withSession(ctx, o.Node, func(ctx context.Context, c *client.Client) error {
		if !o.JoinOnly {
			made, err := c.Create(ctx, client.CreateOptions{Name: o.Cluster.Name, Size: o.Size, EndpointCount: o.EndpointCount})
			if err != nil {
				return err
			}
			o.Cluster = xlreg.ClusterRef{ID: made.ID}
		}
		cluster, err := c.Join(ctx, o.Cluster)
		if err != nil {
			return err
		}
		roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster.ID})
		if err != nil {
			return err
		}
		return g.printRoster(roster)
	})
}
