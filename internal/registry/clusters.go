package registry

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// Create returns the cluster with the name in spec, making it if there is none, and
// whether it did. What exists is returned as it is, whatever was asked; what is made
// has its numbers brought into range, and no unknown attribute. With allowNew false
// a request that would make a cluster is refused as xlreg.ErrTooManyRequests.
func (r *Registry) Create(ctx context.Context, spec xlreg.ClusterSpec, allowNew bool) (c xlreg.Cluster, isNew bool, err error) {
	if spec.Name != "" {
		if _, err := xlreg.ParseName(spec.Name); err != nil {
			return xlreg.Cluster{}, false, err
		}
	}
	err = r.update(ctx, func(tx records.Writer) error {
		c, isNew, err = r.create(tx, &spec, allowNew)
		return err
	})
	if err != nil {
		return xlreg.Cluster{}, false, err
	}
	if isNew {
		r.log.Info("cluster created", "cluster", c.Name, "cluster_id", c.ID, "size", c.MaxSize)
	}
	return c, isNew, nil
}

func (r *Registry) create(tx records.Writer, spec *xlreg.ClusterSpec, allowNew bool) (c xlreg.Cluster, isNew bool, err error) {
	name, existing, err := clusterName(tx.Reader, spec)
	if err != nil || existing != nil {
		return deref(existing), false, err
	}
	if !allowNew {
		return c, false, xlreg.ErrTooManyRequests
	}
	id, err := r.freeID(tx.Reader)
	if err != nil {
		return c, false, err
	}
	c = xlreg.Cluster{
		ID:            xlreg.ClusterID(id),
		Name:          name,
		Attrs:         spec.Attrs & xlreg.KnownClusterAttrs,
		MaxSize:       clamp(spec.MaxSize, xlreg.MinClusterSize, xlreg.MaxClusterSize),
		EndpointCount: clamp(spec.EndpointCount, 1, xlreg.MaxEndpoints),
	}
	return c, true, tx.AddCluster(&c)
}

// clusterName returns the name that a new cluster gets, or the cluster that has the
// name asked for.
func clusterName(tx records.Reader, spec *xlreg.ClusterSpec) (xlreg.Name, *xlreg.Cluster, error) {
	name := xlreg.Name(spec.Name)
	if name == "" || spec.Attrs&xlreg.ClusterUnique != 0 {
		name, err := freeName(tx, name)
		return name, nil, err
	}
	existing, err := tx.ClusterByName(name)
	if records.IsNotFound(err) {
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
	var s seating
	err = r.update(ctx, func(tx records.Writer) error {
		s, err = join(tx, id, ref, now)
		return err
	})
	if err != nil {
		return xlreg.Cluster{}, 0, err
	}
	r.tell(s.event, &s.cluster, &s.member)
	return s.cluster, s.member.Index, nil
}

// seating is who got which seat, and how.
type seating struct {
	event   string
	cluster xlreg.Cluster
	member  xlreg.Member
}

// The events of seats, as the log names them.
const (
	eventJoined   = "joined"
	eventRejoined = "joined again"
	eventTookOver = "took over" // its own seat, under a new ID
	eventLeft     = "left"
)

// tell logs what happened to a seat.
func (r *Registry) tell(event string, c *xlreg.Cluster, m *xlreg.Member) {
	r.log.Info("seat changed", "event", event, "cluster", c.Name, "cluster_id", c.ID, "member", m.Token.Name, "index", m.Index, "node", m.Token.ID)
}

func join(tx records.Writer, id xlreg.NodeID, ref xlreg.ClusterRef, now time.Time) (s seating, err error) {
	found, err := find(tx.Reader, ref)
	if err != nil {
		return s, err
	}
	node, err := tx.Node(id)
	if err != nil {
		return s, orKind(err, xlreg.ErrIdentityRequired)
	}
	s.cluster = found.Cluster
	if s.event, s.member.Index, err = chooseSeat(tx.Reader, &found, &node); err != nil {
		return s, err
	}
	s.member.Token = node
	s.member.Token.Joined = now
	return s, tx.PutSeat(&found, &s.member)
}

// chooseSeat returns the index that the node gets, and what that is to it. A node that has a seat, or the
// name and the key of a member, gets that seat, in a full cluster too and whatever
// endpoints it has; else it needs a free name, a free seat and enough endpoints, and
// faults are looked for in that order.
func chooseSeat(tx records.Reader, c *records.Cluster, node *xlreg.Token) (event string, index int, err error) {
	own, err := occupant(tx.SeatOf(c.ID, node.ID))
	if err != nil {
		return "", 0, err
	}
	holder, err := occupant(tx.SeatNamed(c.ID, node.Name))
	switch {
	case err != nil:
		return "", 0, err
	case own != nil && (holder == nil || holder.Index == own.Index):
		return eventRejoined, own.Index, nil
	case own == nil && holder != nil && holder.Token.SigKey == node.SigKey:
		return eventTookOver, holder.Index, nil
	case holder != nil:
		return "", 0, xlreg.ErrMemberNameInUse
	case c.Taken.Len() >= c.MaxSize:
		return "", 0, xlreg.ErrClusterFull
	case len(node.Endpoints) < c.EndpointCount:
		return "", 0, xlreg.Errorf(xlreg.ErrTooFewEndpoints, "%d given, %d wanted", len(node.Endpoints), c.EndpointCount)
	default:
		return eventJoined, c.Taken.LowestFree(), nil
	}
}

// occupant returns the member that was looked for, nil if there is none.
func occupant(m xlreg.Member, err error) (*xlreg.Member, error) {
	if records.IsNotFound(err) {
		return nil, nil
	}
	return &m, err
}

// Leave frees the node's seat in the cluster, and returns the cluster's ID.
func (r *Registry) Leave(ctx context.Context, id xlreg.NodeID, ref xlreg.ClusterRef) (cluster xlreg.ClusterID, err error) {
	var c records.Cluster
	var own xlreg.Member
	err = r.update(ctx, func(tx records.Writer) error {
		var err error
		if c, err = find(tx.Reader, ref); err != nil {
			return err
		}
		if own, err = tx.SeatOf(c.ID, id); err != nil {
			return orKind(err, xlreg.ErrNotMember)
		}
		return tx.DeleteSeat(&c, own.Index)
	})
	if err != nil {
		return c.ID, err
	}
	r.tell(eventLeft, &c.Cluster, &own)
	return c.ID, nil
}
