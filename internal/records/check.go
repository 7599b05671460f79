package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
)

// Counts says how many records of each kind there are.
type Counts struct {
	Nodes, Clusters, Seats int
}

// Checker goes through all records of a store and finds those that do not decode,
// and those that contradict each other: a seat that its cluster does not count, a
// name or a key that leads to no seat, or to another one. It takes the records one
// by one, in the order of their keys, and keeps a few words for each cluster.
type Checker struct {
	counts   Counts
	clusters map[xlreg.ClusterID]*tally
	names    map[string]xlreg.ClusterID // keys of names that lead to a cluster not seen yet
	current  *tally
	old      bool // there is what Upgrade replaces
	work     bool // something has been begun and is not finished
}

// tally is what the records of one cluster say so far. Sums of what its seats ask for
// become zero with the references that are there.
type tally struct {
	cluster         Cluster
	taken, reserved xlreg.Seats
	byKey, byName   uint64
}

// NewChecker returns a Checker that has seen no record.
func NewChecker() *Checker {
	return &Checker{clusters: make(map[xlreg.ClusterID]*tally), names: make(map[string]xlreg.ClusterID)}
}

// Add takes the next record.
func (c *Checker) Add(key string, value []byte) error {
	err := c.add(key, value)
	if err != nil {
		return fmt.Errorf("%s: %w", Describe(key), err)
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
	case nodeOfKeyRoot:
		return addAny(key, value, new(recordspb.NodeOfKey))
	case nameRoot, keyedNameRoot:
		return c.addName(key, value)
	case clusterRoot:
		if _, ok := ClusterAt(key); ok {
			return c.addCluster(key, value)
		}
		return c.addSeat(key, value)
	case seatByNameRoot:
		return c.addNameRef(key, value)
	case seatsOfKeyRoot:
		return c.addKeyRefs(key, value)
	case seatByIDRoot:
		c.old = true
		return addAny(key, value, new(recordspb.SeatRef))
	case inviteRoot:
		return addAny(key, value, new(recordspb.Invite))
	case useRoot:
		return addAny(key, value, new(recordspb.Use))
	case banRoot:
		return addAny(key, value, new(recordspb.Ban))
	}
	if m := shared(key); m != nil {
		c.work = c.work || key == workKey
		return words.decode(key, value, m)
	}
	return fmt.Errorf("%w: there is no such kind", ErrDamaged)
}

// addAny takes a record that contradicts no other.
func addAny(key string, value []byte, m proto.Message) error { return current.decode(key, value, m) }

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

// addName takes the name of a cluster. Those of open clusters come before their
// clusters, and those of keyed ones behind.
func (c *Checker) addName(key string, value []byte) error {
	var pb recordspb.ClusterName
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	id := xlreg.ClusterID(pb.GetClusterId())
	if t := c.clusters[id]; t != nil && nameKey(t.cluster.Name, t.cluster.Key) != key {
		return fmt.Errorf("%w: it leads to the cluster %q", ErrDamaged, t.cluster.Name)
	}
	c.names[key] = id
	return nil
}

// addCluster takes the head of a cluster.
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
	found := traceFromPB(&pb)
	t := c.current
	if t == nil || seatKey(t.cluster.ID, found.Index) != key || found.Index >= t.cluster.MaxSize {
		return fmt.Errorf("%w: it is seat %d of no cluster, or of another", ErrDamaged, found.Index)
	}
	if !found.alive(&t.cluster) {
		return nil
	}
	if found.Epoch == t.cluster.State.Epoch {
		t.taken = t.taken.With(found.Index)
	} else {
		t.reserved = t.reserved.With(found.Index)
	}
	t.byKey += refSum(seatsOfKeyKey(t.cluster.ID, found.keySum()), found.Index)
	t.byName += refSum(seatByNameKey(t.cluster.ID, found.Token.Name), found.Index)
	c.counts.Seats++
	return nil
}

// addNameRef takes what leads from a name to a seat; all seats have come before it. It
// counts if there is a seat: one that has ended may still be named.
func (c *Checker) addNameRef(key string, value []byte) error {
	var pb recordspb.SeatRef
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	t := c.clusters[clusterIn(key)]
	if t == nil {
		return fmt.Errorf("%w: it leads to no cluster", ErrDamaged)
	}
	if index := int(pb.GetIndex()); t.has(index) {
		t.byName -= refSum(key, index)
	}
	return nil
}

func (c *Checker) addKeyRefs(key string, value []byte) error {
	var pb recordspb.SeatRefs
	if err := current.decode(key, value, &pb); err != nil {
		return err
	}
	t := c.clusters[clusterIn(key)]
	if t == nil {
		return fmt.Errorf("%w: it leads to no cluster", ErrDamaged)
	}
	for _, index := range pb.GetIndexes() {
		if t.has(int(index)) {
			t.byKey -= refSum(key, int(index))
		}
	}
	return nil
}

func (t *tally) has(index int) bool { return t.taken.Has(index) || t.reserved.Has(index) }

// Finish returns how many records there were, and what is wrong with them as a whole.
func (c *Checker) Finish() (Counts, error) {
	if c.work {
		return c.counts, ErrUnfinished
	}
	for id, t := range c.clusters {
		if err := c.checkCluster(id, t); err != nil {
			return c.counts, fmt.Errorf("%w: cluster %v: %w", ErrDamaged, id, err)
		}
	}
	if len(c.names) > 0 {
		return c.counts, fmt.Errorf("%w: %d names lead to no cluster", ErrDamaged, len(c.names))
	}
	return c.counts, nil
}

func (c *Checker) checkCluster(id xlreg.ClusterID, t *tally) error {
	name := nameKey(t.cluster.Name, t.cluster.Key)
	if c.names[name] != id && !t.cluster.Deleted.IsZero() {
		return nil // the name is free again, and the rest goes by and by
	}
	if c.names[name] != id {
		return fmt.Errorf("its name %q leads elsewhere", t.cluster.Name)
	}
	delete(c.names, name)
	switch {
	case !t.cluster.Deleted.IsZero():
		return nil // its seats go by and by
	case t.taken != t.cluster.Taken || t.reserved != t.cluster.Reserved:
		return fmt.Errorf("it has %d and %d seats, and its record says %d and %d",
			t.taken.Len(), t.reserved.Len(), t.cluster.Taken.Len(), t.cluster.Reserved.Len())
	case t.byKey != 0 && !c.old:
		return errors.New("its seats are not found by the keys of its members")
	case t.byName != 0:
		return errors.New("its seats are not found by the names of its members")
	}
	return nil
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
