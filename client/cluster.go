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
	if err := o.check(c.protocol); err != nil {
		return xlreg.Cluster{}, fmt.Errorf("create cluster %q: %w", o.Name, err)
	}
	if err := c.begin(ctx); err != nil {
		return xlreg.Cluster{}, fmt.Errorf("create cluster %q: %w", o.Name, err)
	}
	defer c.done()
	if o.Name == "" && c.original {
		o.Name = madeUpName() // there, all clusters without a name are one
	}
	cluster, err := c.create(ctx, &o)
	if err != nil {
		return cluster, fmt.Errorf("create cluster %q: %w", o.Name, err)
	}
	return cluster, nil
}

func (c *Client) create(ctx context.Context, o *CreateOptions) (xlreg.Cluster, error) {
	reply, err := c.ask(ctx, wire.NewCreate(wire.CreateRequest{
		Name: string(o.Name), MaxSize: uint32(o.Size), Attrs: o.Attrs,
		EndpointCount: uint32(max(1, o.EndpointCount)),
	}), answerPatience)
	if err != nil {
		return xlreg.Cluster{}, err
	}
	asked := xlreg.ClusterRef{Name: o.Name}
	if o.Attrs&xlreg.ClusterUnique != 0 {
		asked.Name = ""
	}
	cluster, err := c.clusterOf(reply, asked)
	if err != nil {
		return xlreg.Cluster{}, err
	}
	c.current = cluster.ID
	return cluster, checkSize(&cluster, o.Size)
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
	return xlreg.Errorf(xlreg.ErrClusterSize, "%s is made for %d members, not %d", describe(cluster), cluster.MaxSize, want)
}

// Cluster returns what is fixed about a cluster, without its members. Original
// servers tell that in answer to Create and Join only; what is not known is zero.
func (c *Client) Cluster(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	if err := c.begin(ctx); err != nil {
		return xlreg.Cluster{}, fmt.Errorf("get %s: %w", refText(ref), err)
	}
	defer c.done()
	reply, err := c.ask(ctx, wire.NewGet(wire.GetRequest{Ref: ref}), answerPatience)
	if err != nil {
		return xlreg.Cluster{}, fmt.Errorf("get %s: %w", refText(ref), err)
	}
	cluster, err := c.clusterOf(reply, ref)
	if err != nil {
		return xlreg.Cluster{}, fmt.Errorf("get %s: %w", refText(ref), err)
	}
	return cluster, nil
}

// Join makes the node a member. The zero ref is the cluster of this session's
// last Create. Joining again changes nothing but the token that the others see,
// which is what the node registered last.
func (c *Client) Join(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	if err := c.begin(ctx); err != nil {
		return xlreg.Cluster{}, fmt.Errorf("join %s: %w", refText(ref), err)
	}
	defer c.done()
	reply, err := c.ask(ctx, wire.NewJoin(ref), answerPatience)
	if err != nil {
		return xlreg.Cluster{}, fmt.Errorf("join %s: %w", refText(ref), err)
	}
	cluster, err := c.clusterOf(reply, ref)
	if err != nil {
		return xlreg.Cluster{}, fmt.Errorf("join %s: %w", refText(ref), err)
	}
	c.current = cluster.ID
	return cluster, nil
}

// Leave gives the node's place in the cluster up. The zero ref is the cluster of
// this session's last Create or Join. Classic carriers have no Leave.
func (c *Client) Leave(ctx context.Context, ref xlreg.ClusterRef) error {
	if c.protocol.Classic() {
		return fmt.Errorf("leave %s: %w", refText(ref), ErrNeeds20)
	}
	if err := c.begin(ctx); err != nil {
		return fmt.Errorf("leave %s: %w", refText(ref), err)
	}
	defer c.done()
	if _, err := c.ask(ctx, wire.NewLeave(ref), answerPatience); err != nil {
		return fmt.Errorf("leave %s: %w", refText(ref), err)
	}
	return nil
}

// clusterOf reads the cluster of a reply, which has to be the one asked for.
func (c *Client) clusterOf(reply *wire.Message, asked xlreg.ClusterRef) (xlreg.Cluster, error) {
	cluster, err := reply.Cluster()
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

func refText(ref xlreg.ClusterRef) string {
	switch {
	case ref.Name != "":
		return fmt.Sprintf("cluster %q", ref.Name)
	case ref.ID != "":
		return "cluster " + ref.ID.String()
	}
	return "cluster"
}
