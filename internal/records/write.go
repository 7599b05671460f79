package records

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
)

// Writer reads and writes records in one Update. It reads what it has written.
type Writer struct {
	Reader
	tx    store.Writer
	grown *Totals
}

// NewWriter returns a Writer in the Update tx.
func NewWriter(tx store.Writer) Writer { return Writer{Reader{tx}, tx, new(Totals)} }

// Grown returns by how much this Writer has made the totals grow.
func (w Writer) Grown() Totals { return *w.grown }

// PutNode makes the record of the node with the token's ID, or replaces known, which is
// nil if there is none. Of the token, DigSig and Joined are not kept.
func (w Writer) PutNode(node, known *xlreg.Token) error {
	if err := checkID("node", string(node.ID)); err != nil {
		return err
	}
	if known == nil {
		w.grown.Nodes++
	} else {
		w.grown.Bytes -= sizeOfNode(known)
	}
	w.grown.Bytes += sizeOfNode(node)
	return w.put(nodeKey(node.ID), &recordspb.Node{Token: tokenToPB(node)})
}

// AddCluster makes the record of a new cluster, without members, and binds its name
// to it. Its ID and its name are not in use, and never change.
func (w Writer) AddCluster(c *xlreg.Cluster) error {
	if err := checkID("cluster", string(c.ID)); err != nil {
		return err
	}
	if err := c.Name.Validate(); err != nil {
		return fmt.Errorf("add cluster: %w", err)
	}
	w.grown.Clusters++
	w.grown.Bytes += sizeOfCluster(&Cluster{Cluster: *c}) + sizeOfName(c)
	err := w.put(clusterKey(c.ID), clusterToPB(&Cluster{Cluster: *c}))
	if err != nil {
		return err
	}
	return w.put(nameKey(c.Name), &recordspb.ClusterName{ClusterId: []byte(c.ID)})
}

// PutSeat gives m the seat with its index, in the place of whoever had it, and
// records that in c, which is the cluster as it was read. Of the token DigSig is not
// kept, and of Joined not what is below a millisecond.
func (w Writer) PutSeat(c *Cluster, m *xlreg.Member) error {
	if !xlreg.AllSeats.Has(m.Index) {
		return fmt.Errorf("put seat: no index %d", m.Index)
	}
	if err := w.clearSeat(c, m.Index); err != nil {
		return err
	}
	ref := &recordspb.SeatRef{Index: uint32(m.Index)}
	w.grown.Bytes += sizeOfSeat(c.ID, m) - sizeOfCluster(c)
	c.Taken = c.Taken.With(m.Index)
	c.Revision++
	w.grown.Bytes += sizeOfCluster(c)
	return errors.Join(
		w.put(seatKey(c.ID, m.Index), seatToPB(m)),
		w.put(seatByIDKey(c.ID, m.Token.ID), ref),
		w.put(seatByNameKey(c.ID, m.Token.Name), ref),
		w.put(clusterKey(c.ID), clusterToPB(c)),
	)
}

// DeleteSeat frees the seat with this index, and records that in c, which is the
// cluster as it was read.
func (w Writer) DeleteSeat(c *Cluster, index int) error {
	if err := w.clearSeat(c, index); err != nil {
		return err
	}
	w.grown.Bytes -= sizeOfCluster(c)
	c.Taken = c.Taken.Without(index)
	c.Revision++
	w.grown.Bytes += sizeOfCluster(c)
	return errors.Join(
		w.tx.Delete(seatKey(c.ID, index)),
		w.put(clusterKey(c.ID), clusterToPB(c)),
	)
}

// clearSeat takes away by what the occupant of a seat is found.
func (w Writer) clearSeat(c *Cluster, index int) error {
	if !c.Taken.Has(index) {
		return nil
	}
	occupant, err := w.Seat(c.ID, index)
	if err != nil {
		return err
	}
	w.grown.Bytes -= sizeOfSeat(c.ID, &occupant)
	return errors.Join(
		w.tx.Delete(seatByIDKey(c.ID, occupant.Token.ID)),
		w.tx.Delete(seatByNameKey(c.ID, occupant.Token.Name)),
	)
}

func (w Writer) put(key string, m proto.Message) error {
	record, err := current.encode(key, m)
	if err != nil {
		return err
	}
	return w.tx.Put(key, record)
}

func checkID(of, id string) error {
	if !isID(id) {
		return fmt.Errorf("put %s: %w of %d bytes", of, xlreg.ErrBadID, len(id))
	}
	return nil
}
