package records

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records/recordspb"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/keys"
)

// Writer reads and writes records in one Update. It reads what it has written.
type Writer struct {
	Reader
	tx    store.Writer
	form  form
	grown *Totals
}

// NewWriter returns a Writer in the Update tx.
func NewWriter(tx store.Writer) Writer { return NewWriterOf(tx, NewestVersion) }

// NewWriterOf returns a Writer whose records have a version that this program reads.
func NewWriterOf(tx store.Writer, version int) Writer {
	return Writer{Reader{tx, make(map[string]int)}, tx, form{written: byte(version)}, new(Totals)}
}

// Grown returns by how much this Writer has made the totals grow.
func (w Writer) Grown() Totals { return *w.grown }

// PutNode makes or replaces the record of the node with the token's ID. Of the token,
// DigSig and Seat are not kept.
func (w Writer) PutNode(n *Node) error {
	if err := checkID("node", string(n.Token.ID)); err != nil {
		return err
	}
	key := nodeKey(n.Token.ID)
	if _, known := w.sizes[key]; !known {
		w.grown.Nodes++
	}
	return w.put(key, &recordspb.Node{Token: tokenToPB(&n.Token), SeenDay: toDay(n.Seen)})
}

// BindKey makes a sig key that node.
func (w Writer) BindKey(sum xlreg.KeySum, id xlreg.NodeID) error {
	return w.put(nodeOfKeyKey(sum), &recordspb.NodeOfKey{NodeId: []byte(id)})
}

// DeleteNode takes away a node, and that its key is that node if bound says so. Both
// have been read.
func (w Writer) DeleteNode(id xlreg.NodeID, bound xlreg.KeySum) error {
	w.grown.Nodes--
	err := w.remove(nodeKey(id))
	if bound != "" {
		err = errors.Join(err, w.remove(nodeOfKeyKey(bound)))
	}
	return err
}

// AddCluster makes the record of a new cluster, without members, and binds its name
// to it. Its ID and its name are not in use, and never change.
func (w Writer) AddCluster(c *Cluster) error {
	if err := checkID("cluster", string(c.ID)); err != nil {
		return err
	}
	if err := c.Name.Validate(); err != nil {
		return fmt.Errorf("add cluster: %w", err)
	}
	w.grown.Clusters++
	return errors.Join(
		w.put(clusterKey(c.ID), clusterToPB(c)),
		w.put(nameKey(c.Name, c.Key), &recordspb.ClusterName{ClusterId: []byte(c.ID)}))
}

// PutCluster replaces the head of a cluster.
func (w Writer) PutCluster(c *Cluster) error { return w.put(clusterKey(c.ID), clusterToPB(c)) }

// PutSeat gives s its index in the place of whoever had it, and says so in the sets of
// c, whose record is the caller's to put. Of the token DigSig is not kept, nor Seen,
// and of times not what is below a millisecond.
func (w Writer) PutSeat(c *Cluster, s *Seat) error {
	if s.Index < 0 || s.Index >= xlreg.MaxClusterSize {
		return fmt.Errorf("put seat: no index %d", s.Index)
	}
	sum := keys.KeySum(s.Token.SigKey)
	before, err := w.trace(c.ID, s.Index)
	if err != nil && !IsNotFound(err) {
		return err
	}
	if err == nil {
		err = w.unlink(c.ID, &before, sum, s.Token.Name)
	} else {
		err = nil
	}
	c.Taken, c.Reserved = c.Taken.Without(s.Index), c.Reserved.Without(s.Index)
	if s.Epoch == c.State.Epoch {
		c.Taken = c.Taken.With(s.Index)
	} else {
		c.Reserved = c.Reserved.With(s.Index)
	}
	return errors.Join(err,
		w.put(seatKey(c.ID, s.Index), seatToPB(s)),
		w.link(c.ID, s.Index, sum, s.Token.Name))
}

// VacateSeats frees seats that have been read, and says so in the sets of c, whose record
// is the caller's to put. Each leaves its key and its name behind, by which it can be
// found until somebody else takes the place: a key that came over a classic carrier may
// have so many seats that an Update could not do more for each.
func (w Writer) VacateSeats(c *Cluster, seats []Seat) error {
	var errs []error
	for i := range seats {
		index, token := seats[i].Index, &seats[i].Token
		c.Taken, c.Reserved = c.Taken.Without(index), c.Reserved.Without(index)
		errs = append(errs, w.put(seatKey(c.ID, index), &recordspb.Seat{
			Index: uint32(index), Token: &recordspb.Token{Name: string(token.Name)}, LastKeySum: []byte(keys.KeySum(token.SigKey)),
		}))
	}
	return errors.Join(errs...)
}

// unlink takes away by what a seat is found, as far as its next owner is not found by
// the same. What leads to another seat by now is left alone.
func (w Writer) unlink(id xlreg.ClusterID, before *trace, sum xlreg.KeySum, name xlreg.Name) error {
	var errs []error
	if old := before.Token.Name; old != "" && old != name {
		errs = append(errs, w.unlinkName(id, old, before.Index))
	}
	if old := before.keySum(); old != sum {
		errs = append(errs, w.unlinkKey(id, old, before.Index))
	}
	return errors.Join(errs...)
}

func (w Writer) unlinkName(id xlreg.ClusterID, name xlreg.Name, index int) error {
	key := seatByNameKey(id, name)
	var pb recordspb.SeatRef
	err := w.get(key, &pb)
	if IsNotFound(err) || err == nil && int(pb.GetIndex()) != index {
		return nil
	}
	return errors.Join(err, w.remove(key))
}

func (w Writer) unlinkKey(id xlreg.ClusterID, sum xlreg.KeySum, index int) error {
	refs, err := w.refsOf(id, sum)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearch(refs.GetIndexes(), uint32(index))
	if !found {
		return nil
	}
	refs.Indexes = slices.Delete(refs.GetIndexes(), at, at+1)
	if len(refs.GetIndexes()) == 0 {
		return w.remove(seatsOfKeyKey(id, sum))
	}
	return w.put(seatsOfKeyKey(id, sum), refs)
}

// link makes a seat to be found by its key and its name.
func (w Writer) link(id xlreg.ClusterID, index int, sum xlreg.KeySum, name xlreg.Name) error {
	var named recordspb.SeatRef
	err := w.get(seatByNameKey(id, name), &named)
	if IsNotFound(err) || err == nil && int(named.GetIndex()) != index {
		err = w.put(seatByNameKey(id, name), &recordspb.SeatRef{Index: uint32(index)})
	}
	if err != nil {
		return err
	}
	return w.linkKey(id, index, sum)
}

func (w Writer) linkKey(id xlreg.ClusterID, index int, sum xlreg.KeySum) error {
	refs, err := w.refsOf(id, sum)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearch(refs.GetIndexes(), uint32(index))
	if found {
		return nil
	}
	refs.Indexes = slices.Insert(refs.GetIndexes(), at, uint32(index))
	return w.put(seatsOfKeyKey(id, sum), refs)
}

// PutInvite makes or replaces what is known of an invite.
func (w Writer) PutInvite(id xlreg.ClusterID, invite xlreg.ClusterKey, i Invite) error {
	return w.put(inviteKey(id, invite), &recordspb.Invite{Revoked: i.Revoked, Uses: i.Uses})
}

// PutUse notes that a sig key has become a member by an invite.
func (w Writer) PutUse(id xlreg.ClusterID, invite xlreg.ClusterKey, sum xlreg.KeySum) error {
	return w.put(useKey(id, invite, sum), &recordspb.Use{})
}

// PutBan notes that a sig key may not become a member.
func (w Writer) PutBan(id xlreg.ClusterID, sum xlreg.KeySum) error {
	return w.put(banKey(id, sum), &recordspb.Ban{})
}

// put keeps account of how the records grow. A record that is replaced has been read in
// this Update before, or its old size counts as nothing.
func (w Writer) put(key string, m proto.Message) error {
	record, err := w.form.encode(key, m)
	if err != nil {
		return err
	}
	size := len(key) + len(record)
	w.grown.Bytes += int64(size - w.sizes[key])
	w.sizes[key] = size
	return w.tx.Put(key, record)
}

func (w Writer) remove(key string) error {
	w.grown.Bytes -= int64(w.sizes[key])
	delete(w.sizes, key)
	return w.tx.Delete(key)
}

func checkID(of, id string) error {
	if !isID(id) {
		return fmt.Errorf("put %s: %w of %d bytes", of, xlreg.ErrBadID, len(id))
	}
	return nil
}
