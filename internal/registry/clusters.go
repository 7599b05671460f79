package registry

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// Create returns the cluster with the name in spec, making it if there is none, and
// whether it did. What exists is returned as it is, whatever was asked; what is made
// has its numbers brought into range, and no unknown attribute.
func (r *Registry) Create(ctx context.Context, spec xlreg.ClusterSpec, allow Allowance) (c xlreg.Cluster, did Effect, err error) {
	if spec.Name != "" {
		if _, err := xlreg.ParseName(spec.Name); err != nil {
			return xlreg.Cluster{}, Unchanged, err
		}
	}
	err = r.update(ctx, func(tx records.Writer) error {
		if c, did, err = r.create(tx, &spec); err != nil {
			return err
		}
		return allow.check(did)
	})
	if err != nil {
		return xlreg.Cluster{}, Unchanged, err
	}
	if did == MadeNew {
		r.log.Info("cluster created", "cluster", c.Name, "cluster_id", c.ID, "size", c.MaxSize)
	}
	return c, did, nil
}

func (r *Registry) create(tx records.Writer, spec *xlreg.ClusterSpec) (c xlreg.Cluster, did Effect, err error) {
	name, existing, err := clusterName(tx.Reader, spec)
	if err != nil || existing != nil {
		return deref(existing), Unchanged, err
	}
	if err := r.totals.roomForCluster(); err != nil {
		return c, Unchanged, err
	}
	id, err := r.freeID(tx.Reader)
	if err != nil {
		return c, Unchanged, err
	}
	c = xlreg.Cluster{
		ID:            xlreg.ClusterID(id),
		Name:          name,
		Attrs:         spec.Attrs & xlreg.KnownClusterAttrs,
		MaxSize:       clamp(spec.MaxSize, xlreg.MinClusterSize, xlreg.MaxClusterSize),
		EndpointCount: clamp(spec.EndpointCount, 1, xlreg.MaxEndpoints),
	}
	return c, MadeNew, tx.AddCluster(&c)
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

// Seat is a place in a cluster.
type Seat struct {
	Cluster xlreg.Cluster
	Index   int
}

// joinedWithin is how old the time of a member's last Join may become before a Join
// that changes nothing else is written down: a member that asks again and again costs
// a write a minute, and its time is right to the minute. The Join that takes a seat is
// always written, with its exact time.
const joinedWithin = time.Minute

// Join gives the node a seat in the cluster, or the seat it has already, with what it
// registered last.
func (r *Registry) Join(ctx context.Context, id xlreg.NodeID, ref xlreg.ClusterRef, allow Allowance) (seat Seat, did Effect, err error) {
	now := r.clock.Now().UTC().Truncate(time.Millisecond)
	var s seating
	err = r.update(ctx, func(tx records.Writer) error {
		if s, err = r.join(tx, id, ref, now); err != nil {
			return err
		}
		return allow.check(s.did)
	})
	if err != nil {
		return Seat{}, Unchanged, err
	}
	if s.did == Changed {
		r.tell(s.event, &s.cluster, &s.member)
	}
	return Seat{s.cluster, s.member.Index}, s.did, nil
}

// seating is who got which seat, and how.
type seating struct {
	event   string // what the log says of it
	did     Effect
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

func (r *Registry) join(tx records.Writer, id xlreg.NodeID, ref xlreg.ClusterRef, now time.Time) (s seating, err error) {
	found, err := find(tx.Reader, ref)
	if err != nil {
		return s, err
	}
	node, err := tx.Node(id)
	if err != nil {
		return s, orKind(err, xlreg.ErrIdentityRequired)
	}
	index, before, err := chooseSeat(tx.Reader, &found, &node)
	if err != nil {
		return s, err
	}
	s = seating{eventOf(before, id), Unchanged, found.Cluster, xlreg.Member{Index: index, Token: node}}
	if before != nil && sameRegistration(&before.Token, &node) && isRecent(before.Token.Joined, now) {
		return s, nil
	}
	if before == nil {
		err = r.totals.roomForSeat()
	}
	if err != nil {
		return s, err
	}
	s.did, s.member.Token.Joined = Changed, now
	return s, tx.PutSeat(&found, &s.member)
}

// eventOf names what a Join is for whoever had the seat before, or nobody.
func eventOf(before *xlreg.Member, id xlreg.NodeID) string {
	switch {
	case before == nil:
		return eventJoined
	case before.Token.ID == id:
		return eventRejoined
	}
	return eventTookOver
}

func isRecent(joined, now time.Time) bool {
	age := now.Sub(joined)
	return age >= 0 && age < joinedWithin
}

// chooseSeat returns the index that the node gets, and the member who has it, if there
// is one. A node that has a seat, or the name and the key of a member, gets that seat,
// in a full cluster too and whatever endpoints it has; else it needs a free name, a
// free seat and enough endpoints, and faults are looked for in that order.
func chooseSeat(tx records.Reader, c *records.Cluster, node *xlreg.Token) (index int, before *xlreg.Member, err error) {
	own, err := occupant(tx.SeatOf(c.ID, node.ID))
	if err != nil {
		return 0, nil, err
	}
	holder, err := occupant(tx.SeatNamed(c.ID, node.Name))
	switch {
	case err != nil:
		return 0, nil, err
	case own != nil && (holder == nil || holder.Index == own.Index):
		return own.Index, own, nil
	case own == nil && holder != nil && holder.Token.SigKey == node.SigKey:
		return holder.Index, holder, nil
	case holder != nil:
		return 0, nil, xlreg.ErrMemberNameInUse
	case c.Taken.Len() >= c.MaxSize:
		return 0, nil, xlreg.ErrClusterFull
	case len(node.Endpoints) < c.EndpointCount:
		return 0, nil, xlreg.Errorf(xlreg.ErrTooFewEndpoints, "%d given, %d wanted", len(node.Endpoints), c.EndpointCount)
	default:
		return c.Taken.LowestFree(), nil, nil
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
func (r *Registry) Leave(ctx context.Context, id xlreg.NodeID, ref xlreg.ClusterRef, allow Allowance) (cluster xlreg.ClusterID, err error) {
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
		if err := allow.check(Changed); err != nil {
			return err
		}
		return tx.DeleteSeat(&c, own.Index)
	})
	if err != nil {
		return c.ID, err
	}
	r.tell(eventLeft, &c.Cluster, &own)
	return c.ID, nil
}
