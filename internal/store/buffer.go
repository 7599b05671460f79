package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
)

// Buffer is a Writer that keeps what is put to itself until Flush. Drivers run
// each closure of an Update on a Buffer of its own, so that one which fails
// leaves nothing behind. A closure puts few records, so they stand in a list
// that is searched from its end.
type Buffer struct {
	base    Reader
	changes []change
}

// change is one call of a method of Sink.
type change interface {
	apply(Sink) error
}

type nodePut struct{ node xlreg.Token }

type clusterPut struct{ cluster Cluster }

type seatPut struct {
	id     xlreg.ClusterID
	member xlreg.Member
}

type seatDelete struct {
	id    xlreg.ClusterID
	index int
}

var _ Writer = (*Buffer)(nil)

// NewBuffer returns an empty Buffer over base.
func NewBuffer(base Reader) *Buffer { return &Buffer{base: base} }

// Empty reports whether nothing has been put.
func (b *Buffer) Empty() bool { return len(b.changes) == 0 }

// Flush hands everything that was put to s, in the order in which it came.
func (b *Buffer) Flush(s Sink) error {
	for _, c := range b.changes {
		if err := c.apply(s); err != nil {
			return err
		}
	}
	return nil
}

// Changed returns the clusters whose seats were put or deleted, each once.
func (b *Buffer) Changed() []xlreg.ClusterID {
	var ids []xlreg.ClusterID
	for _, c := range b.changes {
		if id, ok := seatsOf(c); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Node returns the node put last, else what the base has.
func (b *Buffer) Node(id xlreg.NodeID) (xlreg.Token, error) {
	for _, c := range slices.Backward(b.changes) {
		if p, ok := c.(*nodePut); ok && p.node.ID == id {
			return p.node, nil
		}
	}
	return b.base.Node(id)
}

// Cluster returns the cluster put last, else what the base has.
func (b *Buffer) Cluster(id xlreg.ClusterID) (Cluster, error) {
	for _, c := range slices.Backward(b.changes) {
		if p, ok := c.(*clusterPut); ok && p.cluster.ID == id {
			return p.cluster, nil
		}
	}
	return b.base.Cluster(id)
}

// ClusterByName returns the cluster put last, else what the base has.
func (b *Buffer) ClusterByName(name xlreg.Name) (Cluster, error) {
	for _, c := range slices.Backward(b.changes) {
		if p, ok := c.(*clusterPut); ok && p.cluster.Name == name {
			return p.cluster, nil
		}
	}
	return b.base.ClusterByName(name)
}

// Seats returns the seats that the base has, with what was put and deleted.
func (b *Buffer) Seats(id xlreg.ClusterID) ([]xlreg.Member, error) {
	seats, err := b.base.Seats(id)
	if err != nil {
		return nil, err
	}
	for _, c := range b.changes {
		if changed, ok := seatsOf(c); ok && changed == id {
			seats = applyToSeats(c, seats)
		}
	}
	return seats, nil
}

// PutNode implements Sink.
func (b *Buffer) PutNode(node xlreg.Token) error {
	if err := checkID("node", string(node.ID)); err != nil {
		return err
	}
	b.changes = append(b.changes, &nodePut{kept(node)})
	return nil
}

// PutCluster implements Sink.
func (b *Buffer) PutCluster(c Cluster) error {
	if err := checkID("cluster", string(c.ID)); err != nil {
		return err
	}
	if err := c.Name.Validate(); err != nil {
		return fmt.Errorf("put cluster: %w", err)
	}
	b.changes = append(b.changes, &clusterPut{c})
	return nil
}

// PutSeat implements Sink.
func (b *Buffer) PutSeat(id xlreg.ClusterID, m xlreg.Member) error {
	if err := checkSeat(id, m.Index); err != nil {
		return err
	}
	m.Token = kept(m.Token)
	b.changes = append(b.changes, &seatPut{id, m})
	return nil
}

// DeleteSeat implements Sink.
func (b *Buffer) DeleteSeat(id xlreg.ClusterID, index int) error {
	if err := checkSeat(id, index); err != nil {
		return err
	}
	b.changes = append(b.changes, &seatDelete{id, index})
	return nil
}

func (p *nodePut) apply(s Sink) error    { return s.PutNode(p.node) }
func (p *clusterPut) apply(s Sink) error { return s.PutCluster(p.cluster) }
func (p *seatPut) apply(s Sink) error    { return s.PutSeat(p.id, p.member) }
func (p *seatDelete) apply(s Sink) error { return s.DeleteSeat(p.id, p.index) }

// seatsOf returns the cluster whose seats c changes.
func seatsOf(c change) (xlreg.ClusterID, bool) {
	switch c := c.(type) {
	case *seatPut:
		return c.id, true
	case *seatDelete:
		return c.id, true
	}
	return "", false
}

func applyToSeats(c change, seats []xlreg.Member) []xlreg.Member {
	switch c := c.(type) {
	case *seatPut:
		return WithSeat(seats, c.member)
	case *seatDelete:
		return WithoutSeat(seats, c.index)
	}
	return seats
}

// kept returns what every driver keeps of a token, so that a closure reads the
// same before and after the commit, and from one driver as from another.
func kept(t xlreg.Token) xlreg.Token {
	t.DigSig = nil
	t.Endpoints = nilIfEmpty(t.Endpoints)
	t.DigSig2 = nilIfEmpty(t.DigSig2)
	t.Certificate = nilIfEmpty(t.Certificate)
	if !t.Joined.IsZero() {
		t.Joined = time.UnixMilli(t.Joined.UnixMilli()).UTC()
	}
	return t
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func checkID(of, id string) error {
	if len(id) != xlreg.ShortIDLen && len(id) != xlreg.LongIDLen {
		return fmt.Errorf("put %s: %w of %d bytes", of, xlreg.ErrBadID, len(id))
	}
	return nil
}

func checkSeat(id xlreg.ClusterID, index int) error {
	if !xlreg.AllSeats.Has(index) {
		return fmt.Errorf("put seat: no index %d", index)
	}
	return checkID("seat", string(id))
}
