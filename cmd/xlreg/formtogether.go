package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

// together is how the nodes of one process form a cluster.
type together struct {
	client.Options // except Node
	target         *regcred.Target

	nodes         []*identity.Node // those of this process; their endpoints are set
	cluster       xlreg.Name       // empty: a new one
	size          int              // how many members it is made for, some of which may be elsewhere
	endpointCount int
	leaveFirst    bool                  // give up seats that the nodes may have from an earlier run, at other addresses
	progress      func(client.Progress) // told how far the first node has come
}

// form makes all nodes members of one cluster and returns when everybody is there.
// They take their seats one after the other, so in a new cluster the index of a member
// is its place in nodes. And when two processes want to form a cluster of the same
// name, with nodes of the same names, one of them succeeds and the other learns of it
// before it has taken a seat.
func (o *together) form(ctx context.Context) ([]*client.Membership, error) {
	cluster, err := o.takeSeats(ctx)
	if err != nil {
		return nil, err
	}
	members := make([]*client.Membership, len(o.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.nodes {
		group.Go(func() (err error) {
			members[i], err = o.await(ctx, i, cluster)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return members, nil
}

// takeSeats returns the cluster in which all nodes have a seat now.
func (o *together) takeSeats(ctx context.Context) (cluster xlreg.Cluster, err error) {
	sessions, err := o.openSessions(ctx)
	defer func() {
		for _, c := range sessions {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err != nil {
		return cluster, err
	}
	cluster, err = sessions[0].Create(ctx, client.CreateOptions{Name: o.cluster, Size: o.size, EndpointCount: o.endpointCount})
	if err == nil {
		err = o.checkOthers(ctx, sessions[0], cluster.ID)
	}
	if err != nil {
		return cluster, err
	}
	for i, c := range sessions {
		if _, err := c.Join(ctx, xlreg.ClusterRef{ID: cluster.ID}); err != nil {
			return cluster, o.of(i, err)
		}
	}
	return cluster, nil
}

// checkOthers keeps the nodes from taking the seats of others that have the same names
// and even the same keys, as test keys are the same for everyone.
func (o *together) checkOthers(ctx context.Context, c *client.Client, cluster xlreg.ClusterID) error {
	roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster})
	if err != nil {
		return err
	}
	for i, node := range o.nodes {
		known, _ := node.Registry(c.Fingerprint())
		if m := roster.ByName(node.Name()); m != nil && m.Token.ID != known.ID {
			return o.of(i, xlreg.ErrMemberNameInUse)
		}
	}
	return nil
}

// of says which member an error is about.
func (o *together) of(i int, err error) error {
	return fmt.Errorf("member %s: %w", o.nodes[i].Name(), err)
}

// openSessions opens a session for each node and registers it. With an error some of
// the sessions may be nil.
func (o *together) openSessions(ctx context.Context) ([]*client.Client, error) {
	sessions := make([]*client.Client, len(o.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.nodes {
		group.Go(func() (err error) {
			if sessions[i], err = o.open(ctx, i); err != nil {
				return o.of(i, err)
			}
			return nil
		})
	}
	return sessions, group.Wait()
}

func (o *together) open(ctx context.Context, i int) (*client.Client, error) {
	options := o.Options
	options.Node = o.nodes[i]
	c, err := client.Dial(ctx, o.target, options)
	if err != nil {
		return nil, err
	}
	_, err = c.Register(ctx)
	if err == nil && o.leaveFirst && !c.Protocol().Classic() {
		err = o.leaveOld(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// leaveOld gives up a seat from an earlier run. That the cluster does not know the node,
// or does not exist, is just as good.
func (o *together) leaveOld(ctx context.Context, c *client.Client) error {
	err := c.Leave(ctx, xlreg.ClusterRef{Name: o.cluster})
	if errors.Is(err, xlreg.ErrNotMember) || errors.Is(err, xlreg.ErrNoSuchClusterName) {
		return nil
	}
	return err
}

// await waits for the others as one member, which has its seat already.
func (o *together) await(ctx context.Context, i int, cluster xlreg.Cluster) (*client.Membership, error) {
	options := client.FormOptions{
		Options: o.Options, Cluster: xlreg.ClusterRef{Name: cluster.Name},
		Size: o.size, EndpointCount: o.endpointCount,
	}
	options.Node = o.nodes[i]
	if i == 0 {
		options.Progress = o.progress
	}
	m, err := client.Form(ctx, o.target, options)
	if err != nil {
		return nil, o.of(i, err)
	}
	return m, nil
}

// leaveAll gives up the seats of members.
func leaveAll(ctx context.Context, members []*client.Membership) error {
	var group errgroup.Group
	for _, m := range members {
		group.Go(func() error { return m.Leave(ctx) })
	}
	return group.Wait()
}
