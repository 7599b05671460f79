package client

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// CreateOptions describe a cluster.
type CreateOptions struct {
	Name          xlreg.Name // empty: one is made up
	Size          int        // members, 2 to 1024; over a classic carrier to 64
	EndpointCount int        // endpoints each member must have, up to 16; 0 is 1
	Attrs         xlreg.ClusterAttrs

	// Owner makes it a cluster with a key: only those whom the owner admits become members.
	// Such a cluster has a name that the owner chooses. Nil: an open cluster. 2.0 only.
	Owner *keys.Owner
}

func (o *CreateOptions) check(p xlreg.Protocol) error {
	if o.Name != "" {
		if err := o.Name.Validate(); err != nil {
			return err
		}
	}
	if most := mostMembers(p); o.Size < xlreg.MinClusterSize || o.Size > most {
		return fmt.Errorf("size %d: want %d to %d", o.Size, xlreg.MinClusterSize, most)
	}
	if o.EndpointCount < 0 || o.EndpointCount > xlreg.MaxEndpoints {
		return fmt.Errorf("%d endpoints: want 1 to %d", o.EndpointCount, xlreg.MaxEndpoints)
	}
	if p.Classic() && o.Attrs&xlreg.ClusterUnique != 0 {
		return fmt.Errorf("unique name: %w", ErrNeeds20)
	}
	return o.checkOwner(p)
}

func (o *CreateOptions) checkOwner(p xlreg.Protocol) error {
	switch {
	case o.Owner == nil:
		return nil
	case p.Classic():
		return fmt.Errorf("cluster with a key: %w", ErrNeeds20)
	case o.Name == "" || o.Attrs&xlreg.ClusterUnique != 0:
		return xlreg.Errorf(xlreg.ErrIllFormedName, "the owner of a cluster with a key chooses its name")
	}
	return nil
}

func mostMembers(p xlreg.Protocol) int {
	if p.Classic() {
		return xlreg.MaxClassicClusterSize
	}
	return xlreg.MaxClusterSize
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
		made, err := c.enterCluster(ctx, o.request(), o.asked())
		if err != nil {
			return cluster, err
		}
		return made.Cluster, checkSize(&made.Cluster, o.Size)
	})
}

func (o *CreateOptions) request() *wire.Message {
	spec := xlreg.ClusterSpec{
		Name: string(o.Name), MaxSize: uint32(o.Size), Attrs: o.Attrs, EndpointCount: uint32(max(1, o.EndpointCount)),
	}
	if o.Owner != nil {
		o.Owner.SignCreate(&spec)
	}
	return wire.NewCreate(spec)
}

// asked returns how the cluster in the reply must be called. One whose name is made
// unique may have any.
func (o *CreateOptions) asked() xlreg.ClusterRef {
	if o.Attrs&xlreg.ClusterUnique != 0 {
		return xlreg.ClusterRef{}
	}
	ref := xlreg.ClusterRef{Name: o.Name}
	if o.Owner != nil {
		ref.Key = o.Owner.Public()
	}
	return ref
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
	cluster, _, err := c.State(ctx, ref)
	return cluster, err
}

// State returns what Cluster returns, and besides what changes about the cluster.
func (c *Client) State(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, xlreg.ClusterState, error) {
	ref = clusterNamed(ref, c.ticket)
	found, err := call(ctx, c, "get "+refText(ref), func() (Seat, error) {
		return c.askCluster(ctx, wire.NewGet(wire.GetRequest{Ref: ref}, c.protocol), ref)
	})
	return found.Cluster, found.State, err
}

// JoinOptions say what a node asks for when it joins a cluster. Over a classic carrier
// there is a Cluster alone.
type JoinOptions struct {
	// Cluster is the cluster to join. The zero value is that of the ticket that the session
	// was dialled with, or else that of this session's last Create.
	Cluster xlreg.ClusterRef
	// Admission is the leave of the owner of a cluster with a key. Where it is zero and the
	// session was dialled with a ticket, it is the ticket's.
	Admission xlreg.Admission
	// Run names this start of the program; see FormOptions.
	Run xlreg.Run
	// Fresh asks to meet members of this start alone; it needs Run. See FormOptions.
	Fresh bool
	// Lease is how long the seat lasts without a sign of life; 0 is for ever.
	Lease time.Duration
}

// Seat is what the registry said of a Join.
type Seat struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState // zero over a classic carrier
	Lease   time.Duration      // that holds: the registry may have changed it; 0: none
}

// Join makes the node a member. The zero ref is the cluster of this session's
// last Create. Joining again changes nothing but the token that the others see,
// which is what the node registered last.
func (c *Client) Join(ctx context.Context, ref xlreg.ClusterRef) (xlreg.Cluster, error) {
	seat, err := c.JoinWith(ctx, JoinOptions{Cluster: ref})
	return seat.Cluster, err
}

// JoinWith is Join with all that a node may ask for.
func (c *Client) JoinWith(ctx context.Context, o JoinOptions) (Seat, error) {
	ref := clusterNamed(o.Cluster, c.ticket)
	return call(ctx, c, "join "+refText(ref), func() (Seat, error) {
		request, err := c.joinRequest(ref, &o)
		if err != nil {
			return Seat{}, err
		}
		return c.enterCluster(ctx, wire.NewJoin(request), ref)
	})
}

func (c *Client) joinRequest(ref xlreg.ClusterRef, o *JoinOptions) (wire.JoinRequest, error) {
	r := wire.JoinRequest{Ref: ref}
	if c.protocol.Classic() {
		return r, nil
	}
	r.Run, r.Fresh, r.Lease = o.Run, o.Fresh, o.Lease
	a := o.Admission
	if len(a.Sig) == 0 && c.ticket != nil && c.node != nil && c.ticket.Key == ref.Key {
		var err error
		if a, err = c.ticket.Admission(c.node.Keys().SigKey); err != nil {
			return r, err
		}
	}
	if len(a.Sig) > 0 {
		r.Admission = wire.EncodeAdmission(a)
	}
	return r, nil
}

// Leave gives up the node's seat in the cluster. The zero ref is the cluster of
// this session's last Create or Join. Classic carriers have no Leave.
func (c *Client) Leave(ctx context.Context, ref xlreg.ClusterRef) error {
	ref = clusterNamed(ref, c.ticket)
	_, err := call(ctx, c, "leave "+refText(ref), func() (*wire.Message, error) {
		if c.protocol.Classic() {
			return nil, ErrNeeds20
		}
		return c.ask(ctx, wire.NewLeave(ref), c.silence)
	})
	return err
}

// enterCluster is askCluster for the requests that make the cluster the session's own.
func (c *Client) enterCluster(ctx context.Context, m *wire.Message, asked xlreg.ClusterRef) (Seat, error) {
	seat, err := c.askCluster(ctx, m, asked)
	if err == nil {
		c.current = seat.Cluster.ID
	}
	return seat, err
}

// askCluster sends a request whose reply tells what is fixed about a cluster.
func (c *Client) askCluster(ctx context.Context, m *wire.Message, asked xlreg.ClusterRef) (Seat, error) {
	reply, err := c.ask(ctx, m, c.silence)
	if err != nil {
		return Seat{}, err
	}
	cluster, err := c.clusterOf(reply, asked)
	if err != nil {
		return Seat{}, err
	}
	seat := Seat{Cluster: cluster, State: reply.State(c.protocol)}
	if !c.protocol.Classic() {
		seat.Lease = reply.Lease()
	}
	return seat, nil
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
	if err := c.checkKey(&cluster, asked); err != nil {
		return xlreg.Cluster{}, err
	}
	return c.complete(cluster), nil
}

// checkKey holds the key of a cluster against the one that the caller knows. A name
// without a key is that of an open cluster; an ID alone may be that of any, but not of one
// with another key than before.
func (c *Client) checkKey(cluster *xlreg.Cluster, asked xlreg.ClusterRef) error {
	known, seen := c.clusters[cluster.ID]
	byName := asked.ID == "" && asked.Name != ""
	if (asked.Key != "" || byName) && cluster.Key != asked.Key || seen && cluster.Key != known.Key {
		err := xlreg.Errorf(xlreg.ErrBadSignature, "the registry shows another cluster key for %s", clusterText(cluster))
		c.end(err)
		return err
	}
	if asked.Key != "" {
		c.pinned[cluster.ID] = true
	}
	return nil
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
