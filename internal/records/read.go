package records

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
)

// Reader reads records in one transaction. What it returns shares nothing with the
// store and stays valid. Its methods return store.ErrNotFound for what does not
// exist, and so for an ID or a name of no legal form, and ErrDamaged for what cannot
// be believed.
type Reader struct {
	tx    store.Reader
	sizes map[string]int // of what a Writer has read and written; nil for others
}

// NewReader returns a Reader in the transaction tx.
func NewReader(tx store.Reader) Reader { return Reader{tx: tx} }

// Node returns what the node last registered, and the day on which it was last seen, as
// far as that is written.
func (r Reader) Node(id xlreg.NodeID) (Node, error) {
	if !isID(string(id)) {
		return Node{}, fmt.Errorf("node: %w", store.ErrNotFound)
	}
	var pb recordspb.Node
	if err := r.get(nodeKey(id), &pb); err != nil {
		return Node{}, fmt.Errorf("node %v: %w", id, err)
	}
	return Node{Token: tokenFromPB(pb.GetToken()), Seen: fromDay(pb.GetSeenDay())}, nil
}

// NodeOfKey returns the ID of the node that a sig key is.
func (r Reader) NodeOfKey(sum xlreg.KeySum) (xlreg.NodeID, error) {
	var pb recordspb.NodeOfKey
	if err := r.get(nodeOfKeyKey(sum), &pb); err != nil {
		return "", fmt.Errorf("node of a key: %w", err)
	}
	return xlreg.NodeID(pb.GetNodeId()), nil
}

// Cluster returns the cluster with this ID, or what is left of it if its owner has
// deleted it.
func (r Reader) Cluster(id xlreg.ClusterID) (Cluster, error) {
	if !isID(string(id)) {
		return Cluster{}, fmt.Errorf("cluster: %w", store.ErrNotFound)
	}
	var pb recordspb.Cluster
	if err := r.get(clusterKey(id), &pb); err != nil {
		return Cluster{}, fmt.Errorf("cluster %v: %w", id, err)
	}
	return clusterFromPB(&pb)
}

// ClusterByName returns the open cluster with this name, or the one with this name and
// key, or what is left of it.
func (r Reader) ClusterByName(name xlreg.Name, key xlreg.ClusterKey) (Cluster, error) {
	if len(name) > xlreg.MaxNameLen || key.Validate() != nil {
		return Cluster{}, fmt.Errorf("cluster: %w", store.ErrNotFound)
	}
	var pb recordspb.ClusterName
	if err := r.get(nameKey(name, key), &pb); err != nil {
		return Cluster{}, fmt.Errorf("cluster %q: %w", name, err)
	}
	return r.Cluster(xlreg.ClusterID(pb.GetClusterId()))
}

// Members returns the seats of the cluster's current epoch, in the order of their indexes.
func (r Reader) Members(c *Cluster) ([]Seat, error) {
	seats := make([]Seat, 0, c.Taken.Len())
	for item, err := range r.tx.Scan(clusterKey(c.ID)) {
		if err != nil {
			return nil, fmt.Errorf("seats of %v: %w", c.ID, err)
		}
		index := indexIn(item.Key, c.ID)
		if !c.Taken.Has(index) {
			continue
		}
		var pb recordspb.Seat
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return nil, fmt.Errorf("seats of %v: %w", c.ID, err)
		}
		seats = append(seats, seatFromPB(&pb))
	}
	return seats, nil
}

// EachSeat calls f for each seat of each cluster in a part, unless ctx ends.
func (r Reader) EachSeat(ctx context.Context, part Part, f func(*Cluster, *Seat)) error {
	var c Cluster
	for item, err := range r.tx.Scan(part.clusters()) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = eachSeat(&c, item, f)
		}
		if err != nil {
			return fmt.Errorf("read seats: %w", err)
		}
	}
	return nil
}

// eachSeat takes one record of a cluster or a seat, which come in this order.
func eachSeat(c *Cluster, item store.Item, f func(*Cluster, *Seat)) error {
	if _, ok := ClusterAt(item.Key); ok {
		var pb recordspb.Cluster
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return err
		}
		found, err := clusterFromPB(&pb)
		*c = found
		return err
	}
	var pb recordspb.Seat
	if err := current.decode(item.Key, item.Value, &pb); err != nil {
		return err
	}
	if found := traceFromPB(&pb); found.alive(c) && c.Deleted.IsZero() {
		f(c, &found.Seat)
	}
	return nil
}

// SeatAt returns the seat with this index, of whatever epoch.
func (r Reader) SeatAt(c *Cluster, index int) (Seat, error) {
	found, err := r.trace(c.ID, index)
	if err != nil {
		return Seat{}, fmt.Errorf("seat %d of %v: %w", index, c.ID, err)
	}
	if !found.alive(c) {
		return Seat{}, fmt.Errorf("seat %d of %v: %w", index, c.ID, store.ErrNotFound)
	}
	return found.Seat, nil
}

// SeatNamed returns the seat, of whatever epoch, that holds this name.
func (r Reader) SeatNamed(c *Cluster, name xlreg.Name) (Seat, error) {
	var pb recordspb.SeatRef
	if err := r.get(seatByNameKey(c.ID, name), &pb); err != nil {
		return Seat{}, fmt.Errorf("seat in %v: %w", c.ID, err)
	}
	s, err := r.SeatAt(c, int(pb.GetIndex()))
	if err == nil && s.Token.Name != name {
		err = fmt.Errorf("seat in %v: %w", c.ID, store.ErrNotFound)
	}
	return s, err
}

// SeatsOfKey returns the seats, of whatever epochs, that a sig key has in a cluster,
// and the free ones that it had last; both in the order of their indexes.
func (r Reader) SeatsOfKey(c *Cluster, sum xlreg.KeySum) (seats []Seat, left xlreg.Seats, err error) {
	refs, err := r.refsOf(c.ID, sum)
	if err != nil {
		return nil, left, err
	}
	for _, index := range refs.GetIndexes() {
		if !c.has(int(index)) {
			left = left.With(int(index)) // nobody has had it since, or this would not lead there
			continue
		}
		found, err := r.trace(c.ID, int(index))
		switch {
		case err != nil:
			return nil, left, fmt.Errorf("seat %d of %v: %w", index, c.ID, err)
		case found.keySum() != sum:
		case found.alive(c):
			seats = append(seats, found.Seat)
		default:
			left = left.With(int(index))
		}
	}
	return seats, left, nil
}

// Invite returns what is known of an invite of a cluster.
func (r Reader) Invite(id xlreg.ClusterID, invite xlreg.ClusterKey) (Invite, error) {
	var pb recordspb.Invite
	if err := r.get(inviteKey(id, invite), &pb); err != nil {
		return Invite{}, fmt.Errorf("invite of %v: %w", id, err)
	}
	return Invite{Revoked: pb.GetRevoked(), Uses: pb.GetUses()}, nil
}

// Used reports whether a sig key has become a member by an invite whose uses are counted.
func (r Reader) Used(id xlreg.ClusterID, invite xlreg.ClusterKey, sum xlreg.KeySum) (bool, error) {
	return exists(r.get(useKey(id, invite, sum), new(recordspb.Use)))
}

// Banned reports whether a sig key may not become a member of a cluster.
func (r Reader) Banned(id xlreg.ClusterID, sum xlreg.KeySum) (bool, error) {
	return exists(r.get(banKey(id, sum), new(recordspb.Ban)))
}

func (r Reader) refsOf(id xlreg.ClusterID, sum xlreg.KeySum) (*recordspb.SeatRefs, error) {
	refs := new(recordspb.SeatRefs)
	if err := r.get(seatsOfKeyKey(id, sum), refs); err != nil && !IsNotFound(err) {
		return nil, fmt.Errorf("seats of a key in %v: %w", id, err)
	}
	return refs, nil
}

func (r Reader) get(key string, m proto.Message) error {
	record, err := r.tx.Get(key)
	if err != nil {
		return err
	}
	if r.sizes != nil {
		r.sizes[key] = len(key) + len(record)
	}
	return current.decode(key, record, m)
}

func isID(id string) bool { return len(id) == xlreg.ShortIDLen || len(id) == xlreg.LongIDLen }

// ChangedCluster returns the cluster that a change of the store brings. There is
// none, and ok is false, where the change is one of a seat or takes a cluster away.
func ChangedCluster(c store.Change) (cluster Cluster, ok bool, err error) {
	if _, ok := ClusterAt(c.Key); !ok || c.Value == nil {
		return Cluster{}, false, nil
	}
	var pb recordspb.Cluster
	err = current.decode(c.Key, c.Value, &pb)
	if err == nil {
		cluster, err = clusterFromPB(&pb)
	}
	if err != nil {
		return Cluster{}, false, fmt.Errorf("changed cluster: %w", err)
	}
	return cluster, true, nil
}

// IsNotFound reports whether err says that a record does not exist.
func IsNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// exists tells from the error of a read whether there is such a record.
func exists(err error) (bool, error) {
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
