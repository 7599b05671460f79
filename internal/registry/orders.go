package registry

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/keys"
)

// OrderRequest is an order of a cluster's owner, as it came and as it reads.
type OrderRequest struct {
	Signed xlreg.SignedOrder
	Order  xlreg.Order
}

// Ordered is the answer to an order.
type Ordered struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState // as it was when the order was done
}

// Order does what the owner of a cluster orders, once: the very bytes of the last order
// get its answer again, and an order with another serial than the next is refused.
func (r *Registry) Order(ctx context.Context, s *Session, req OrderRequest, allow Allowance) (done Ordered, did Effect, err error) {
	if err := r.checkOrder(ctx, s, &req); err != nil {
		return Ordered{}, Unchanged, err
	}
	o := ordering{Registry: r, order: &req.Order, bytes: req.Signed.Bytes, now: r.clock.Now()}
	err = r.update(ctx, func(tx records.Writer) error {
		if err := o.do(tx); err != nil {
			return err
		}
		o.number = r.leases.next()
		return allow.check(o.did)
	})
	if err != nil {
		return Ordered{}, Unchanged, err
	}
	if o.did == Changed {
		o.tell(s.Actor())
	}
	return Ordered{o.cluster.Cluster, o.cluster.LastAnswer}, o.did, nil
}

// checkOrder verifies the owner's signature. The key of a cluster never changes, so this
// need not be in the Update that does the order.
func (r *Registry) checkOrder(ctx context.Context, s *Session, req *OrderRequest) error {
	if err := checkSubject(&req.Order); err != nil {
		return err
	}
	var c records.Cluster
	err := r.view(ctx, func(tx records.Reader) (err error) {
		c, err = tx.Cluster(req.Order.Cluster)
		return orKind(err, xlreg.ErrNoSuchClusterID)
	})
	if err != nil {
		return err
	}
	if !c.Deleted.IsZero() && !bytes.Equal(c.LastOrder, req.Signed.Bytes) {
		return xlreg.ErrNoSuchClusterID
	}
	if c.Key == "" {
		return xlreg.Errorf(xlreg.ErrBadSignature, "an open cluster has no owner")
	}
	p := proofOf("order", string(c.Key), string(req.Signed.Bytes), string(req.Signed.Sig))
	return r.prove(ctx, s, p, func() error { return keys.VerifyOrder(c.Key, req.Signed) })
}

// checkSubject holds what an order is about against what its kind needs.
func checkSubject(o *xlreg.Order) error {
	switch {
	case (o.Kind == xlreg.OrderEvict || o.Kind == xlreg.OrderBan) && len(o.KeySum) != xlreg.KeySumLen:
		return xlreg.Errorf(xlreg.ErrBadSignature, "the sum of a key has %d bytes, not %d", xlreg.KeySumLen, len(o.KeySum))
	case o.Kind == xlreg.OrderRevoke && len(o.Invite) != xlreg.ClusterKeyLen:
		return xlreg.Errorf(xlreg.ErrBadSignature, "the key of an invite has %d bytes, not %d", xlreg.ClusterKeyLen, len(o.Invite))
	}
	return nil
}

// ordering is one order on its way, of an owner or of an admin. Its closure may run more
// than once.
type ordering struct {
	*Registry
	order  *xlreg.Order
	bytes  []byte     // as the owner has signed them; nil: an admin's
	member xlreg.Name // of an admin's evict: whose seat alone goes; empty: all those of the key
	now    time.Time

	did     Effect
	cluster records.Cluster
	seats   []records.Seat // that have been freed
	number  uint64         // among the Updates that bear on leases
}

func (o *ordering) do(tx records.Writer) (err error) {
	o.did, o.seats = Unchanged, nil
	if o.cluster, err = tx.Cluster(o.order.Cluster); err != nil {
		return orKind(err, xlreg.ErrNoSuchClusterID)
	}
	c := &o.cluster
	switch {
	case bytes.Equal(c.LastOrder, o.bytes):
		return nil
	case !c.Deleted.IsZero():
		return xlreg.ErrNoSuchClusterID
	case o.order.Serial != c.State.Orders+1:
		return &xlreg.Error{Kind: xlreg.ErrOrdersChanged, Orders: c.State.Orders}
	}
	return o.change(tx)
}

// change does what the order says, and puts the head of the cluster. Orders of an admin are
// not counted: that is for owners, who must not do one twice.
func (o *ordering) change(tx records.Writer) error {
	end, err := o.act(tx)
	if err != nil {
		return err
	}
	o.did = Changed
	c := &o.cluster
	if o.bytes != nil {
		c.State.Orders++
	}
	raise(c, o.now)
	c.Touched = records.Day(o.now)
	if o.bytes != nil {
		c.LastOrder, c.LastAnswer = o.bytes, c.State
	}
	return end()
}

// tell says what the order has done.
func (o *ordering) tell(by Actor) {
	c := &o.cluster
	o.log.Info("order done", "order", o.order.Kind.String(), "cluster", c.Name, "cluster_id", c.ID, "serial", o.order.Serial)
	if o.observe != nil {
		e := o.eventAbout(by, EventOrdered, c)
		e.Order, e.Serial, e.KeySum = o.order.Kind, o.order.Serial, o.order.KeySum
		o.observe(e)
	}
	o.freed(by, EventEvicted, c, o.seats, o.number)
}

// act does what the order says, but for the head of the cluster, which the function that
// it returns puts.
func (o *ordering) act(tx records.Writer) (end func() error, err error) {
	c := &o.cluster
	end = func() error { return tx.PutCluster(c) }
	switch o.order.Kind {
	case xlreg.OrderEvict:
		members := c.Taken.Len()
		if err := o.evict(tx, xlreg.ErrNotMember); err != nil {
			return nil, err
		}
		if members > 0 && goesWithLast(c) {
			end = func() error { return drop(tx, c, o.now) }
		}
		return end, nil
	case xlreg.OrderBan:
		if err := o.keepOne(tx.Banned(c.ID, o.order.KeySum)); err != nil {
			return nil, err
		}
		if err := o.evict(tx, nil); err != nil {
			return nil, err
		}
		return end, tx.PutBan(c.ID, o.order.KeySum)
	case xlreg.OrderRevoke:
		return end, o.revoke(tx)
	case xlreg.OrderReopen:
		reopen(c)
		return end, nil
	case xlreg.OrderDelete:
		c.Deleted, c.Taken, c.Reserved = o.now, xlreg.Seats{}, xlreg.Seats{}
		if c.Key == "" {
			end = func() error { return drop(tx, c, o.now) } // anyone may use the name again
		}
		return end, nil
	}
	return nil, xlreg.Errorf(xlreg.ErrIllFormedToken, "there is no order of kind %d", o.order.Kind)
}

// evict frees the seats of a key; where it has none, the result is missing.
func (o *ordering) evict(tx records.Writer, missing error) (err error) {
	if o.seats, _, err = tx.SeatsOfKey(&o.cluster, o.order.KeySum); err != nil {
		return err
	}
	if o.member != "" {
		o.seats = slices.DeleteFunc(o.seats, func(s records.Seat) bool { return s.Token.Name != o.member })
	}
	if len(o.seats) == 0 {
		return missing
	}
	return tx.VacateSeats(&o.cluster, o.seats)
}

func (o *ordering) revoke(tx records.Writer) error {
	c, key := &o.cluster, o.order.Invite
	known, err := tx.Invite(c.ID, key)
	if err != nil && !records.IsNotFound(err) {
		return err
	}
	if err := o.keepOne(known.Revoked, nil); err != nil {
		return err
	}
	known.Revoked = true
	return tx.PutInvite(c.ID, key, known)
}

// keepOne counts one thing more that is kept for the cluster, unless it is known.
func (o *ordering) keepOne(known bool, err error) error {
	switch {
	case known || err != nil:
		return err
	case o.cluster.Kept >= maxKept:
		return &xlreg.Error{Kind: xlreg.ErrRegistryFull, Detail: "orders of this cluster", Retry: retryFull}
	}
	o.cluster.Kept++
	return nil
}
