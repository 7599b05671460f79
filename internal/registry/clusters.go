package registry

import (
	"context"
	"errors"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// CreateRequest asks for a cluster. Size and EndpointCount are brought into
// range, and unknown Attrs dropped.
type CreateRequest struct {
	Name          string // empty: a new name
	MaxSize       uint32
	EndpointCount uint32
	Attrs         xlreg.ClusterAttrs
	// AllowNew is false if the peer may make no new clusters for now: a request
	// that would is then refused as xlreg.ErrTooManyRequests.
	AllowNew bool
}

// Create returns the cluster with the name, making it if there is none, and
// whether it did. What exists is returned as it is, whatever was asked.
func (r *Registry) Create(ctx context.Context, req CreateRequest) (c xlreg.Cluster, isNew bool, err error) {
	if req.Name != "" {
		if _, err := xlreg.ParseName(req.Name); err != nil {
			return xlreg.Cluster{}, false, err
		}
	}
	err = r.update(ctx, func(tx store.Writer) error {
		c, isNew, err = r.create(tx, &req)
		return err
	})
	if err != nil {
		return xlreg.Cluster{}, false, err
	}
	return c, isNew, nil
}

func (r *Registry) create(tx store.Writer, req *CreateRequest) (c xlreg.Cluster, isNew bool, err error) {
	name, existing, err := clusterName(tx, req)
	if err != nil || existing != nil {
		return deref(existing), false, err
	}
	if !req.AllowNew {
		return c, false, xlreg.ErrTooManyRequests
	}
	id, err := r.freeID(tx)
	if err != nil {
		return c, false, err
	}
	c = xlreg.Cluster{
		ID:            xlreg.ClusterID(id),
		Name:          name,
		Attrs:         req.Attrs & xlreg.KnownClusterAttrs,
		MaxSize:       clamp(req.MaxSize, xlreg.MinClusterSize, xlreg.MaxClusterSize),
		EndpointCount: clamp(req.EndpointCount, 1, xlreg.MaxEndpoints),
	}
	return c, true, tx.PutCluster(store.Cluster{Cluster: c})
}

// clusterName returns the name a new cluster gets, or the cluster that has the
// name asked for.
func clusterName(tx store.Reader, req *CreateRequest) (xlreg.Name, *xlreg.Cluster, error) {
	name := xlreg.Name(req.Name)
	if name == "" || req.Attrs&xlreg.ClusterUnique != 0 {
		name, err := freeName(tx, name)
		return name, nil, err
	}
	existing, err := tx.ClusterByName(name)
	if errors.Is(err, store.ErrNotFound) {
		return name, nil, nil
	}
	return name, &existing.Cluster, err
}

func deref(c *xlreg.Cluster) xlreg.Cluster {
	if c == nil {
		return xlreg.Cluster{}
	}
	return *c
}

// clamp is done on the unsigned value as it came, before it becomes an int.
func clamp(n uint32, low, high uint32) int { return int(min(max(n, low), high)) }

// Join gives the node a seat in the cluster, or the seat it has already, with
// what it registered last, and returns the cluster and the seat's index.
func (r *Registry) Join(ctx context.Context, id xlreg.NodeID, ref xlreg.ClusterRef) (c xlreg.Cluster, index int, err error) {
	now := r.clock.Now().UTC().Truncate(time.Millisecond)
	err = r.update(ctx, func(tx store.Writer) error {
		c, index, err = join(tx, id, ref, now)
		return err
	})
	if err != nil {
		return xlreg.Cluster{}, 0, err
	}
	return c, index, nil
}

func join(tx store.Writer, id xlreg.NodeID, ref xlreg.ClusterRef, now time.Time) (c xlreg.Cluster, index int, err error) {
	found, err := find(tx, ref)
	if err != nil {
		return c, 0, err
	}
	node, err := tx.Node(id)
	if err != nil {
		return c, 0, orKind(err, xlreg.ErrIdentityRequired)
	}
	seats, err := tx.Seats(found.ID)
	if err != nil {
		return c, 0, err
	}
	index, err = chooseSeat(&found, seats, &node)
	if err != nil {
		return c, 0, err
	}
	node.Joined = now
	if err := tx.PutSeat(found.ID, xlreg.Member{Index: index, Token: node}); err != nil {
		return c, 0, err
	}
	return found.Cluster, index, putTaken(tx, found, found.Taken.With(index))
}

// chooseSeat returns the index that the node gets. A node that has a seat, or
// the name and the key of one that has, gets that, in a full cluster too and
// whatever endpoints it has; else it needs a free name, a free seat and enough
// endpoints, and faults are looked for in that order.
func chooseSeat(c *store.Cluster, seats []xlreg.Member, node *xlreg.Token) (int, error) {
	own, holder := findSeats(seats, node)
	switch {
	case own != nil && (holder == nil || holder == own):
		return own.Index, nil
	case own == nil && holder != nil && holder.Token.SigKey == node.SigKey:
		return holder.Index, nil
	case holder != nil:
		return 0, xlreg.ErrMemberNameInUse
	case c.Taken.Len() >= c.MaxSize:
		return 0, xlreg.ErrClusterFull
	case len(node.Endpoints) < c.EndpointCount:
		return 0, xlreg.Errorf(xlreg.ErrTooFewEndpoints, "%d given, %d wanted", len(node.Endpoints), c.EndpointCount)
	default:
		return c.Taken.LowestFree(), nil
	}
}

// findSeats returns the seat that has the node's ID and the one that has its
// name, or nil.
func findSeats(seats []xlreg.Member, node *xlreg.Token) (own, holder *xlreg.Member) {
	for i := range seats {
		if seats[i].Token.ID == node.ID {
			own = &seats[i]
		}
		if seats[i].Token.Name == node.Name {
			holder = &seats[i]
		}
	}
	return own, holder
}

// putTaken records that the seats of a cluster are now these.
func putTaken(tx store.Writer, c store.Cluster, taken xlreg.Seats) error {
	c.Taken = taken
	c.Revision++
	return tx.PutCluster(c)
}

// Leave frees the node's seat in the cluster, and returns the cluster's ID.
func (r *Registry) Leave(ctx context.Context, id xlreg.NodeID, ref xlreg.ClusterRef) (cluster xlreg.ClusterID, err error) {
	err = r.update(ctx, func(tx store.Writer) error {
		c, err := find(tx, ref)
		if err != nil {
			return err
		}
		cluster = c.ID
		return leave(tx, c, id)
	})
	return cluster, err
}

func leave(tx store.Writer, c store.Cluster, id xlreg.NodeID) error {
	seats, err := tx.Seats(c.ID)
	if err != nil {
		return err
	}
	own, _ := findSeats(seats, &xlreg.Token{ID: id})
	if own == nil {
		return xlreg.ErrNotMember
	}
	if err := tx.DeleteSeat(c.ID, own.Index); err != nil {
		return err
	}
	return putTaken(tx, c, c.Taken.Without(own.Index))
}
