package launch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

// FormOptions say which cluster the nodes of one process form.
type FormOptions struct {
	client.Options // less its Node

	// Nodes are those of this process. Their endpoints are known.
	Nodes         []*identity.Node
	Cluster       xlreg.Name // empty: a new one
	Size          int        // members it is made for, of which others may be elsewhere
	EndpointCount int
	// Anew gives up the places that the nodes may have from another time, when they
	// were somewhere else.
	Anew bool
	// Progress is told how far the first node has come.
	Progress func(client.Progress)
}

// Form makes all nodes members of one cluster and returns when everybody is there.
// They take their places one after the other, so that in a new cluster the index of
// a member is its place in Nodes. And of two processes that want to form a cluster
// of one name, with nodes of the same names, one succeeds, and the other learns of
// it before it has taken a place.
func Form(ctx context.Context, target *regcred.Target, o FormOptions) ([]*client.Membership, error) {
	cluster, err := o.takeSeats(ctx, target)
	if err != nil {
		return nil, err
	}
	members := make([]*client.Membership, len(o.Nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.Nodes {
		group.Go(func() (err error) {
			members[i], err = o.await(ctx, target, i, cluster)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, NameMissing(err)
	}
	return members, nil
}

// takeSeats returns the cluster that all nodes have a place in.
func (o *FormOptions) takeSeats(ctx context.Context, target *regcred.Target) (cluster xlreg.Cluster, err error) {
	sessions, err := o.openSessions(ctx, target)
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
	cluster, err = sessions[0].Create(ctx, client.CreateOptions{Name: o.Cluster, Size: o.Size, EndpointCount: o.EndpointCount})
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

// checkOthers keeps the nodes from taking the places of others that have their names
// and even their keys, as test keys are the same for everyone.
func (o *FormOptions) checkOthers(ctx context.Context, c *client.Client, cluster xlreg.ClusterID) error {
	roster, err := c.Members(ctx, xlreg.ClusterRef{ID: cluster})
	if err != nil {
		return err
	}
	for i, node := range o.Nodes {
		known, _ := node.Registry(c.Fingerprint())
		if m := roster.ByName(node.Name()); m != nil && m.Token.ID != known.ID {
			return o.of(i, xlreg.ErrMemberNameInUse)
		}
	}
	return nil
}

// of says which member an error is about.
func (o *FormOptions) of(i int, err error) error {
	return fmt.Errorf("member %s: %w", o.Nodes[i].Name(), err)
}

// openSessions registers all nodes. What it returns with an error may be nil in
// part.
func (o *FormOptions) openSessions(ctx context.Context, target *regcred.Target) ([]*client.Client, error) {
	sessions := make([]*client.Client, len(o.Nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.Nodes {
		group.Go(func() (err error) {
			if sessions[i], err = o.open(ctx, target, i); err != nil {
				return o.of(i, err)
			}
			return nil
		})
	}
	return sessions, group.Wait()
}

func (o *FormOptions) open(ctx context.Context, target *regcred.Target, i int) (*client.Client, error) {
	options := o.Options
	options.Node = o.Nodes[i]
	c, err := client.Dial(ctx, target, options)
	if err != nil {
		return nil, err
	}
	_, err = c.Register(ctx)
	if err == nil && o.Anew && !c.Protocol().Classic() {
		err = o.leaveOld(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// leaveOld gives up a place from another time. A cluster that does not know the
// node, or does not exist, is as good.
func (o *FormOptions) leaveOld(ctx context.Context, c *client.Client) error {
	err := c.Leave(ctx, xlreg.ClusterRef{Name: o.Cluster})
	if errors.Is(err, xlreg.ErrNotMember) || errors.Is(err, xlreg.ErrNoSuchClusterName) {
		return nil
	}
	return err
}

// await waits for the others, as one member, which has a place.
func (o *FormOptions) await(ctx context.Context, target *regcred.Target, i int, cluster xlreg.Cluster) (*client.Membership, error) {
	options := client.FormOptions{
		Options: o.Options, Cluster: xlreg.ClusterRef{Name: cluster.Name},
		Size: o.Size, EndpointCount: o.EndpointCount,
	}
	options.Node = o.Nodes[i]
	if i == 0 {
		options.Progress = o.Progress
	}
	m, err := client.Form(ctx, target, options)
	if err != nil {
		return nil, o.of(i, err)
	}
	return m, nil
}

// NameMissing adds to the error of a wait in vain which members did not come. They
// have no names yet, but it is known which indexes are free.
func NameMissing(err error) error {
	var late *client.IncompleteError
	if !errors.As(err, &late) || late.Roster == nil {
		return err
	}
	var free []string
	for i := range late.Size {
		if late.Roster.ByIndex(i) == nil {
			free = append(free, strconv.Itoa(i))
		}
	}
	if len(free) == 0 {
		return err
	}
	return fmt.Errorf("%w; missing: the members of index %s", err, strings.Join(free, ", "))
}

// Leave gives up the places of members.
func Leave(ctx context.Context, members []*client.Membership) error {
	var group errgroup.Group
	for _, m := range members {
		group.Go(func() error { return m.Leave(ctx) })
	}
	return group.Wait()
}
