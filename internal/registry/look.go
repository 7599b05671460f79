package registry

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// Detail is one cluster as it is kept, with what this server knows besides.
type Detail struct {
	Head    records.Cluster
	Members []records.Seat // in the order of their indexes
	Leases  []Lease        // of each member
	Waiting int            // how many reads wait for this cluster, at this server
}

// Lease is how long a seat lasts without a sign of life of its member. Times are zero where
// another server keeps the lease; without a lease everything is.
type Lease struct {
	Length time.Duration
	Seen   time.Time // the last sign of life
	Due    time.Time // when the seat ends if there is no other
}

// Detail returns the cluster with an ID, with or without an owner. It reads nothing but
// that cluster.
func (r *Registry) Detail(ctx context.Context, id xlreg.ClusterID) (d Detail, err error) {
	err = r.view(ctx, func(tx records.Reader) error {
		if d.Head, err = tx.Cluster(id); err != nil {
			return orKind(err, xlreg.ErrNoSuchClusterID)
		}
		if !d.Head.Deleted.IsZero() {
			return xlreg.ErrNoSuchClusterID
		}
		d.Members, err = tx.Members(&d.Head)
		return err
	})
	if err != nil {
		return Detail{}, err
	}
	d.Leases = make([]Lease, len(d.Members))
	for i := range d.Members {
		d.Leases[i] = r.leases.of(&d.Head, &d.Members[i])
	}
	d.Waiting = r.hub.waitFor(id)
	return d, nil
}

// of returns what is known of the lease of a seat. A key that came over a classic carrier
// has no lease, and may have another's seats beside it.
func (ls *leases) of(c *records.Cluster, seat *records.Seat) Lease {
	known := Lease{Length: termOf(seat.Token.Seat.Lease, seat.Fresh && seat.Epoch > c.Completed)}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.seats[seatID{c.ID, keySum(seat)}]
	if known.Length == 0 || l == nil || l.index != seat.Index || l.moved || l.keeper != seat.Keeper {
		return known
	}
	known.Seen = l.seen.UTC()
	known.Due = ls.clock.Now().Add(l.due.Sub(ls.clock.Monotonic())).UTC()
	return known
}

// mostParts is how many parts of all nodes one View of NodesAfter looks at.
const mostParts = 32

// NodesAfter returns up to limit nodes behind the one with an ID, which need not exist, in
// the order of the bytes of their IDs, and whether there are more. It decodes those that
// it returns, and passes over about a 256th of the others: IDs begin with random bytes.
func (r *Registry) NodesAfter(ctx context.Context, after xlreg.NodeID, limit int) (nodes []records.Node, more bool, err error) {
	first := 0
	if after != "" {
		first = int(after[0])
	}
	for parts := 1; first < 256 && !more; parts = min(2*parts, mostParts) {
		last := min(first+parts, 256)
		var found []records.Node
		err := r.view(ctx, func(tx records.Reader) (err error) {
			found, more, err = nodesIn(ctx, tx, first, last, after, limit-len(nodes))
			return err
		})
		if err != nil {
			return nil, false, err
		}
		nodes, first = append(nodes, found...), last
	}
	return nodes, more, nil
}

// nodesIn is NodesAfter for those whose IDs begin with first or more, and less than last.
func nodesIn(ctx context.Context, tx records.Reader, first, last int, after xlreg.NodeID, limit int) (nodes []records.Node, more bool, err error) {
	for ; first < last && !more; first++ {
		found, rest, err := tx.NodesAfter(ctx, byte(first), after, limit-len(nodes))
		if err != nil {
			return nil, false, err
		}
		nodes, more = append(nodes, found...), rest
	}
	return nodes, more, nil
}

// Node returns the node with an ID, or ErrNoSuchNode.
func (r *Registry) Node(ctx context.Context, id xlreg.NodeID) (n records.Node, err error) {
	err = r.view(ctx, func(tx records.Reader) error {
		n, err = tx.Node(id)
		return orKind(err, ErrNoSuchNode)
	})
	return n, err
}

// Totals returns how much is kept, as far as this server knows.
func (r *Registry) Totals() records.Totals { return r.totals.get() }

// Servers returns the servers that share the store, as far as this one has been told, the
// earliest first, and which of them it is. There are none for a registry that has its
// store to itself.
func (r *Registry) Servers() (servers []records.Server, self records.ServerID) {
	return r.fleet.all(), r.fleet.self
}
