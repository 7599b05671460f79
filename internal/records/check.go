package records

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Counts says how many records of each kind there are.
type Counts struct {
	Nodes, Clusters, Seats int
}

// Checker goes through all records of a store and finds those that do not decode,
// and those that contradict each other: a seat that its cluster does not count, a
// name or a node that leads to no seat, or to another one. It takes the records one
// by one, in the order of their keys, and keeps a few words for each cluster.
type Checker struct {
	counts   Counts
	clusters map[xlreg.ClusterID]*tally
	names    map[xlreg.Name]xlreg.ClusterID // that lead to a cluster not seen yet
	current  *tally
}

// tally is what the records of one cluster say so far. Sums of what its seats ask for
// become zero with the references that are there.
type tally struct {
	cluster      Cluster
	seats        xlreg.Seats
	byID, byName uint64
}

// NewChecker returns a Checker that has seen no record.
func NewChecker() *Checker {
	return &Checker{clusters: make(map[xlreg.ClusterID]*tally), names: make(map[xlreg.Name]xlreg.ClusterID)}
}

// Add takes the next record.
func (c *Checker) Add(key string, value []byte) error {
	err := c.add(key, value)
	if err != nil {
		return fmt.Errorf("%s: %w", describe(key), err)
	}
	return nil
}

func (c *Checker) add(key string, value []byte) error {
	if key == "" {
		return ErrDamaged
	}
	switch key[:1] {
	case nodeRoot:
		return c.addNode(key, value)
	case nameRoot:
		return c.addName(key, value)
	case clusterRoot:
		if _, ok := ClusterAt(key); ok {
			return c.addCluster(key, value)
		}
		return c.addSeat(key, value)
	case seatByIDRoot, seatByNameRoot:
		return c.addRef(key, value)
	}
	return fmt.Errorf("%w: there is no such kind", ErrDamaged)
}

func (c *Checker) addNode(key string, value []byte) error {
	var pb recordspb.Node
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	if id := key[len(nodeRoot):]; !isID(id) || string(pb.GetToken().GetId()) != id {
		return fmt.Errorf("%w: it is that of the node %x", ErrDamaged, pb.GetToken().GetId())
	}
	c.counts.Nodes++
	return nil
}

func (c *Checker) addName(key string, value []byte) error {
	var pb recordspb.ClusterName
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	c.names[xlreg.Name(key[len(nameRoot):])] = xlreg.ClusterID(pb.GetClusterId())
	return nil
}

// addCluster takes a cluster's own record, whose name has come before it.
func (c *Checker) addCluster(key string, value []byte) error {
	var pb recordspb.Cluster
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	cluster, err := clusterFromPB(&pb)
	if err != nil {
		return err
	}
	if clusterKey(cluster.ID) != key || !isID(string(cluster.ID)) {
		return fmt.Errorf("%w: it is that of the cluster %v", ErrDamaged, cluster.ID)
	}
	if cluster.MaxSize < xlreg.MinClusterSize || cluster.MaxSize > xlreg.MaxClusterSize {
		return fmt.Errorf("%w: a cluster of %d", ErrDamaged, cluster.MaxSize)
	}
	if c.names[cluster.Name] != cluster.ID {
		return fmt.Errorf("%w: its name %q leads elsewhere", ErrDamaged, cluster.Name)
	}
	delete(c.names, cluster.Name)
	c.counts.Clusters++
	c.current = &tally{cluster: cluster}
	c.clusters[cluster.ID] = c.current
	return nil
}

// addSeat takes a seat, which comes behind its cluster.
func (c *Checker) addSeat(key string, value []byte) error {
	var pb recordspb.Seat
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	m := seatFromPB(&pb)
	t := c.current
	if t == nil || seatKey(t.cluster.ID, m.Index) != key || m.Index >= t.cluster.MaxSize {
		return fmt.Errorf("%w: it is seat %d of no cluster, or of another", ErrDamaged, m.Index)
	}
	t.seats = t.seats.With(m.Index)
	t.byID += refSum(seatByIDKey(t.cluster.ID, m.Token.ID), m.Index)
	t.byName += refSum(seatByNameKey(t.cluster.ID, m.Token.Name), m.Index)
	c.counts.Seats++
	return nil
}

// addRef takes what leads to a seat; all seats have come before it.
func (c *Checker) addRef(key string, value []byte) error {
	var pb recordspb.SeatRef
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	t := c.clusters[clusterIn(key)]
	if t == nil {
		return fmt.Errorf("%w: it leads to no cluster", ErrDamaged)
	}
	sum := refSum(key, int(pb.GetIndex()))
	if key[:1] == seatByIDRoot {
		t.byID -= sum
	} else {
		t.byName -= sum
	}
	return nil
}

// Finish returns how many records there were, and what is wrong with them as a whole.
func (c *Checker) Finish() (Counts, error) {
	for name := range c.names {
		return c.counts, fmt.Errorf("%w: the name %q leads to no cluster", ErrDamaged, name)
	}
	for id, t := range c.clusters {
		switch {
		case t.seats != t.cluster.Taken:
			return c.counts, fmt.Errorf("%w: cluster %v has the seats %b, and its record says %b", ErrDamaged, id, t.seats, t.cluster.Taken)
		case t.byID != 0:
			return c.counts, fmt.Errorf("%w: the seats of cluster %v are not found by the IDs of its members", ErrDamaged, id)
		case t.byName != 0:
			return c.counts, fmt.Errorf("%w: the seats of cluster %v are not found by the names of its members", ErrDamaged, id)
		}
	}
	return c.counts, nil
}

// clusterIn returns the cluster in a key whose root is followed by one.
func clusterIn(key string) xlreg.ClusterID {
	if len(key) < 2 || len(key) < 2+int(key[1]) {
		return ""
	}
	return xlreg.ClusterID(key[2 : 2+int(key[1])])
}

// refSum is a number for one reference to a seat; those of a cluster are added up.
func refSum(key string, index int) uint64 {
	sum := fnv.New64a()
	sum.Write([]byte(key))
	sum.Write(binary.BigEndian.AppendUint64(nil, uint64(index)))
	return sum.Sum64()
}
