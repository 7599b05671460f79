package records

import (
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
type Reader struct{ tx store.Reader }

// NewReader returns a Reader in the transaction tx.
func NewReader(tx store.Reader) Reader { return Reader{tx} }

// Node returns what the node last registered.
func (r Reader) Node(id xlreg.NodeID) (xlreg.Token, error) {
	if !isID(string(id)) {
		return xlreg.Token{}, fmt.Errorf("node: %w", store.ErrNotFound)
	}
	var pb recordspb.Node
	if err := r.get(nodeKey(id), &pb); err != nil {
		return xlreg.Token{}, fmt.Errorf("node %v: %w", id, err)
	}
	return tokenFromPB(pb.GetToken()), nil
}

// Cluster returns the cluster with this ID.
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

// ClusterByName returns the cluster with this name.
func (r Reader) ClusterByName(name xlreg.Name) (Cluster, error) {
	if len(name) > xlreg.MaxNameLen {
		return Cluster{}, fmt.Errorf("cluster: %w", store.ErrNotFound)
	}
	var pb recordspb.ClusterName
	if err := r.get(nameKey(name), &pb); err != nil {
		return Cluster{}, fmt.Errorf("cluster %q: %w", name, err)
	}
	return r.Cluster(xlreg.ClusterID(pb.GetClusterId()))
}

// Seats returns all members of the cluster, in the order of their indexes; none if
// there is no such cluster.
func (r Reader) Seats(id xlreg.ClusterID) ([]xlreg.Member, error) {
	var seats []xlreg.Member
	for item, err := range r.tx.Scan(clusterKey(id)) {
		if err != nil {
			return nil, fmt.Errorf("seats of %v: %w", id, err)
		}
		var pb recordspb.Seat
		if err := current.decode(item.Key, item.Value, &pb); err != nil {
			return nil, fmt.Errorf("seats of %v: %w", id, err)
		}
		seats = append(seats, seatFromPB(&pb))
	}
	return seats, nil
}

// Seat returns the member with this index.
func (r Reader) Seat(id xlreg.ClusterID, index int) (xlreg.Member, error) {
	var pb recordspb.Seat
	if err := r.get(seatKey(id, index), &pb); err != nil {
		return xlreg.Member{}, fmt.Errorf("seat %d of %v: %w", index, id, err)
	}
	return seatFromPB(&pb), nil
}

// SeatOf returns the seat that a node has in a cluster, found by its ID.
func (r Reader) SeatOf(id xlreg.ClusterID, node xlreg.NodeID) (xlreg.Member, error) {
	return r.seatAt(id, seatByIDKey(id, node))
}

// SeatNamed returns the seat of the member with this name.
func (r Reader) SeatNamed(id xlreg.ClusterID, name xlreg.Name) (xlreg.Member, error) {
	return r.seatAt(id, seatByNameKey(id, name))
}

// seatAt returns the seat that the SeatRef under key names.
func (r Reader) seatAt(id xlreg.ClusterID, key string) (xlreg.Member, error) {
	var pb recordspb.SeatRef
	if err := r.get(key, &pb); err != nil {
		return xlreg.Member{}, fmt.Errorf("seat in %v: %w", id, err)
	}
	return r.Seat(id, int(pb.GetIndex()))
}

func (r Reader) get(key string, m proto.Message) error {
	record, err := r.tx.Get(key)
	if err != nil {
		return err
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
