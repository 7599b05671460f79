package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// Why an admin is refused, beside the kinds of package xlreg.
var (
	// ErrOwned says that a cluster has an owner, who alone gives orders in it.
	ErrOwned = errors.New("the cluster has an owner")
	// ErrChanged says that a cluster has another revision than the admin has seen.
	ErrChanged = errors.New("the cluster has changed since")
	// ErrNoSuchNode says that no node has the ID asked for.
	ErrNoSuchNode = errors.New("there is no node with this ID")
	// ErrSeated says that a node cannot be forgotten, since it has a seat.
	ErrSeated = errors.New("the node has a seat")
	// ErrNoOrder says that an admin asks for what no order does.
	ErrNoOrder = errors.New("there is no such order")
)

// isAdmins reports whether an error is one that only admins are given.
func isAdmins(err error) bool {
	for _, known := range []error{ErrOwned, ErrChanged, ErrNoSuchNode, ErrSeated, ErrNoOrder} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// AdminOrder is an order of whoever runs the registry, in a cluster that has no owner.
type AdminOrder struct {
	Kind    xlreg.OrderKind // evict, ban, reopen or delete
	Cluster xlreg.ClusterID

	// Whom an evict or a ban is about: all seats of a key or, if that is empty, the seat
	// with a name. To ban a member by its name is to ban its key.
	Member xlreg.Name
	KeySum xlreg.KeySum

	Revision *uint64 // that the cluster must have; nil: whichever it has
}

// AdminDone is what an order of an admin has done.
type AdminDone struct {
	Head    records.Cluster // as it is now
	Evicted []xlreg.Name    // by an evict or a ban; the others end all seats
	Deleted bool            // the cluster is gone: by the order, or with its last member
}

// AdminOrder does what an admin orders. Errors are ErrOwned, ErrChanged, ErrNoOrder, or
// have a kind. To ban a key that is banned already changes nothing.
func (r *Registry) AdminOrder(ctx context.Context, by Actor, a AdminOrder) (AdminDone, error) {
	if err := a.check(); err != nil {
		return AdminDone{}, err
	}
	o := ordering{Registry: r, order: new(xlreg.Order), now: r.clock.Now()}
	err := r.update(ctx, func(tx records.Writer) error {
		if err := o.doAdmins(tx, &a); err != nil {
			return err
		}
		o.number = r.leases.next()
		return nil
	})
	if err != nil {
		return AdminDone{}, err
	}
	if o.did == Changed {
		o.tell(by)
	}
	done := AdminDone{Head: o.cluster, Deleted: !o.cluster.Deleted.IsZero()}
	for i := range o.seats {
		done.Evicted = append(done.Evicted, o.seats[i].Token.Name)
	}
	return done, nil
}

func (a *AdminOrder) check() error {
	switch a.Kind {
	case xlreg.OrderReopen, xlreg.OrderDelete:
		return nil
	case xlreg.OrderEvict, xlreg.OrderBan:
		if a.Member == "" && len(a.KeySum) != xlreg.KeySumLen {
			return fmt.Errorf("%w: say which member or which key to %v", ErrNoOrder, a.Kind)
		}
		return nil
	}
	return fmt.Errorf("%w: %v", ErrNoOrder, a.Kind)
}

// doAdmins is do for an order of an admin.
func (o *ordering) doAdmins(tx records.Writer, a *AdminOrder) (err error) {
	o.did, o.seats = Unchanged, nil
	if o.cluster, err = tx.Cluster(a.Cluster); err != nil {
		return orKind(err, xlreg.ErrNoSuchClusterID)
	}
	c := &o.cluster
	switch {
	case !c.Deleted.IsZero():
		return xlreg.ErrNoSuchClusterID
	case c.Key != "":
		return ErrOwned
	case a.Revision != nil && *a.Revision != c.State.Revision:
		return fmt.Errorf("%w: it has the revision %d, not %d", ErrChanged, c.State.Revision, *a.Revision)
	}
	*o.order = xlreg.Order{Cluster: a.Cluster, Kind: a.Kind, KeySum: a.KeySum}
	if err := o.name(tx, a); err != nil {
		return err
	}
	if idle, err := o.isIdle(tx); idle || err != nil {
		return err
	}
	return o.change(tx)
}

// name finds out the key of a member that is named.
func (o *ordering) name(tx records.Writer, a *AdminOrder) error {
	o.member = ""
	if a.KeySum != "" || a.Member == "" {
		return nil
	}
	seat, err := tx.SeatNamed(&o.cluster, a.Member)
	if err != nil {
		return orKind(err, xlreg.ErrNotMember)
	}
	o.order.KeySum = keySum(&seat)
	if a.Kind == xlreg.OrderEvict {
		o.member = a.Member // others may have their seats by the same key, over a classic carrier
	}
	return nil
}

// isIdle reports whether a ban would change nothing.
func (o *ordering) isIdle(tx records.Writer) (bool, error) {
	if o.order.Kind != xlreg.OrderBan {
		return false, nil
	}
	banned, err := tx.Banned(o.cluster.ID, o.order.KeySum)
	if err != nil || !banned {
		return false, err
	}
	seats, _, err := tx.SeatsOfKey(&o.cluster, o.order.KeySum)
	return len(seats) == 0, err
}

// ForgetNode takes away a node that has no seat. Errors are ErrNoSuchNode, ErrSeated, or
// have a kind.
//
// A node that is connected may take a seat while this looks for one, or afterwards. That
// does no harm: its seat has all that others need, and when the node registers the next
// time it gets a new ID and finds its seat by its key, as a node does that was forgotten
// because it had not been seen for long.
func (r *Registry) ForgetNode(ctx context.Context, by Actor, id xlreg.NodeID) error {
	n, bound, err := r.nodeAndKey(ctx, id)
	if err != nil {
		return err
	}
	seated, err := r.isSeated(ctx, &n, bound)
	if err != nil {
		return err
	}
	if seated {
		return ErrSeated
	}
	gone := false
	err = r.update(ctx, func(tx records.Writer) (err error) {
		gone, err = takeNode(tx, id, keys.KeySum(n.Token.SigKey))
		return err
	})
	if err != nil || !gone {
		return err
	}
	r.log.Info("node forgotten", "node", id, "admin", by.Admin)
	r.nodeForgotten(by, id)
	return nil
}

// nodeAndKey returns a node, and whether its key is bound to it.
func (r *Registry) nodeAndKey(ctx context.Context, id xlreg.NodeID) (n records.Node, bound bool, err error) {
	err = r.view(ctx, func(tx records.Reader) error {
		if n, err = tx.Node(id); err != nil {
			return orKind(err, ErrNoSuchNode)
		}
		of, err := tx.NodeOfKey(keys.KeySum(n.Token.SigKey))
		bound = err == nil && of == id
		return ignoreNotFound(err)
	})
	return n, bound, err
}

// isSeated reports whether a node has a seat: over 2.0 any of its key, and over a classic
// carrier, where others may have the same key, one of its ID.
func (r *Registry) isSeated(ctx context.Context, n *records.Node, bound bool) (seated bool, err error) {
	sum := keys.KeySum(n.Token.SigKey)
	err = records.EachPart(func(part records.Part) error {
		if seated {
			return nil
		}
		var ids []xlreg.ClusterID
		err := r.view(ctx, func(tx records.Reader) (err error) {
			ids, err = tx.ClustersOfKey(ctx, part, sum)
			return err
		})
		for _, id := range ids {
			if err == nil && !seated {
				seated, err = r.isSeatedIn(ctx, id, sum, func(s *records.Seat) bool { return bound || s.Token.ID == n.Token.ID })
			}
		}
		return err
	})
	return seated, err
}

// isSeatedIn reports whether one of the seats that a key has in a cluster is one of those
// that are looked for.
func (r *Registry) isSeatedIn(ctx context.Context, id xlreg.ClusterID, sum xlreg.KeySum, looked func(*records.Seat) bool) (seated bool, err error) {
	var seats []records.Seat
	err = r.view(ctx, func(tx records.Reader) error {
		seats = nil
		c, err := tx.Cluster(id)
		if err != nil || !c.Deleted.IsZero() {
			return ignoreNotFound(err) // what is left of it goes by and by
		}
		seats, _, err = tx.SeatsOfKey(&c, sum)
		return err
	})
	return slices.ContainsFunc(seats, func(s records.Seat) bool { return looked(&s) }), err
}
