package client

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// CreateOptions describe a cluster.
type CreateOptions struct {
	Name          xlreg.Name // empty: one is made up
	Size          int        // members, 2 to 64
	EndpointCount int        // endpoints each member must have, up to 16; 0 is 1
	Attrs         xlreg.ClusterAttrs
}

func (o *CreateOptions) check(p xlreg.Protocol) error {
	if o.Name != "" {
		if err := o.Name.Validate(); err != nil {
			return err
		}
	}
	if o.Size < xlreg.MinClusterSize || o.Size > xlreg.MaxClusterSize {
		return fmt.Errorf("size %d: want %d to %d", o.Size, xlreg.MinClusterSize, xlreg.MaxClusterSize)
	}
	if o.EndpointCount < 0 || o.EndpointCount > xlreg.MaxEndpoints {
		return fmt.Errorf("%d endpoints: want 1 to %d", o.EndpointCount, xlreg.MaxEndpoints)
	}
	if p.Classic() && o.Attrs&xlreg.ClusterUnique != 0 {
		return fmt.Errorf("unique name: %w", ErrNeeds20)
	}
	return nil
}

// Create makes a cluster. If the name exists already nothing is changed and what
// exists is returned, so any number of nodes may create the same cluster; if it
// exists with another size it comes along with xlreg.ErrClusterSize. With
// xlreg.ClusterUnique the registry appends to the name what makes it new. The
// registry must know the node: Register or Login first.
func (c *Client) Create(ctx context.Context, o CreateOptions) (xlreg.Cluster, error) {
	if o.Name == "" && c.original {
		o.Name = madeUpName() // there, all clusters without a name are one
	}
	return call(ctx, c, fmt.Sprintf("create cluster %q", o.Name), func() (cluster xlreg.Cluster, err error) {
		if err := o.check(c.protocol); err != nil {
			return cluster, err
		}
		if cluster, err = c.enterCluster(ctx, o.request(), o.asked()); err != nil {
			return cluster, err
		}
		return cluster, checkSize(&cluster, o.Size)
	})
}

func (o *CreateOptions) request() *wire.Message {
	return wire.NewCreate(xlreg.ClusterSpec{
		Name: string(o.Name), MaxSize: uint32(o.Size), Attrs: o.Attrs, EndpointCount: uint32(max(1, o.EndpointCount)),
	})
}

// asked returns how the cluster in the reply must be called. One whose name is made
// unique may have any.
func (o *CreateOptions) asked() xlreg.ClusterRef {
	if o.Attrs&xlreg.ClusterUnique != 0 {
		return xlreg.ClusterRef{}
	}
	return xlreg.ClusterRef{Name: o.Name}
}

// madeUpName returns a name in the form in which registries make them up: new,
// distinct and not to be guessed.
func madeUpName() xlreg.Name {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return "c-" + xlreg.Name(strings.ToLower(base32.StdEncoding.EncodeToString(b[:])))
}

// checkSize refuses a cluster of another size than wanted. Zero is a size that
// is not known, in a cluster of an original server, or not asked for.
func checkSize(cluster *xlreg.Cluster, want int) error {
	if cluster.MaxSize == want || cluster.MaxSize == 0 || want == 0 {
		return nil
	}
	return xlreg.Errorf(xlreg.ErrClusterSize, "%s is made for %d members, not %d", clusterText(cluster), cluster.MaxSize, want)
}

// Cluster returns what is fixed about a cluster, without its members. Original
// servers tell that in answer to Create and Join only; what is not known is zero.
func (c *Client) Cluster(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	return call(ctx, c, "get "+refText(ref), func() (xlreg.Cluster, error) {
		return c.askCluster(ctx, wire.NewGet(wire.GetRequest{Ref: ref}, c.protocol), ref)
	})
}

// Join makes the node a member. The zero ref is the cluster of this session's
// last Create. Joining again changes nothing but the token that the others see,
// which is what the node registered last.
func (c *Client) Join(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	return call(ctx, c, "join "+refText(ref), func() (xlreg.Cluster, error) {
		return c.enterCluster(ctx, wire.NewJoin(wire.JoinRequest{Ref: ref}), ref)
	})
}

// Leave gives up the node's seat in the cluster. The zero ref is the cluster of
// this session's last Create or Join. Classic carriers have no Leave.
func (c *Client) Leave(ctx context.Context, ref xlreg.ClusterRef) error {
	_, err := call(ctx, c, "leave "+refText(ref), func() (*wire.Message, error) {
		if c.protocol.Classic() {
			return nil, ErrNeeds20
		}
		return c.ask(ctx, wire.NewLeave(ref), c.silence)
	})
	return err
}

// enterCluster is askCluster for the requests that make the cluster the session's own.
func (c *Client) enterCluster(ctx context.Context, m *wire.Message, asked xlreg.ClusterRef) (xlreg.Cluster, error) {
	cluster, err := c.askCluster(ctx, m, asked)
	if err == nil {
		c.current = cluster.ID
	}
	return cluster, err
}

// askCluster sends a request whose reply tells what is fixed about a cluster.
func (c *Client) askCluster(ctx context.Context, m *wire.Message, asked xlreg.ClusterRef) (xlreg.Cluster, error) {
	reply, err := c.ask(ctx, m, c.silence)
	if err != nil {
		return xlreg.Cluster{}, err
	}
	return c.clusterOf(reply, asked)
}

// clusterOf reads the cluster of a reply, which has to be the one asked for.
func (c *Client) clusterOf(reply *wire.Message, asked xlreg.ClusterRef) (xlreg.Cluster, error) {
	cluster, err := reply.Cluster(c.protocol)
	if err != nil {
		return xlreg.Cluster{}, c.parsed(err)
	}
	if asked.ID != "" && cluster.ID != asked.ID {
		return xlreg.Cluster{}, c.misbehaved("cluster %v instead of %v", cluster.ID, asked.ID)
	}
	if asked.ID == "" && asked.Name != "" && cluster.Name != "" && cluster.Name != asked.Name {
		return xlreg.Cluster{}, c.misbehaved("cluster %q instead of %q", cluster.Name, asked.Name)
	}
	if asked.ID == "" && cluster.Name == "" {
		cluster.Name = asked.Name
	}
	return c.complete(cluster), nil
}

// complete fills in what an original server left out of a cluster, from earlier
// replies of this session.
func (c *Client) complete(cluster xlreg.Cluster) xlreg.Cluster {
	known := c.clusters[cluster.ID]
	if cluster.Name == "" {
		cluster.Name = known.Name
	}
	if cluster.MaxSize == 0 {
		cluster.MaxSize, cluster.EndpointCount, cluster.Attrs = known.MaxSize, known.EndpointCount, known.Attrs
	}
	c.clusters[cluster.ID] = cluster
	return cluster
}

func clusterText(c *xlreg.Cluster) string { return refText(xlreg.ClusterRef{ID: c.ID, Name: c.Name}) }

func refText(ref xlreg.ClusterRef) string {
	switch {
	case ref.Name != "":
		return fmt.Sprintf("cluster %q", ref.Name)
	case ref.ID != "":
		return "cluster " + ref.ID.String()
	}
	return "cluster"
}
