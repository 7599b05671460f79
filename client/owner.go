package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/ticket"
)

// Owner gives the orders of a cluster's owner. They are signed with the cluster's key and
// need no node; each is done once, however often it has to be sent. Methods may be called
// from any goroutine.
type Owner struct {
	ticket *ticket.Ticket
	o      Options
}

// NewOwner returns the owner whose ticket it is; any other ticket is ticket.ErrNotOwner.
// The Node of o is not used.
func NewOwner(t *ticket.Ticket, o Options) (*Owner, error) {
	if t == nil || t.Owner() == nil {
		return nil, fmt.Errorf("owner of a cluster: %w", ticket.ErrNotOwner)
	}
	o = o.withDefaults()
	o.Node = nil
	return &Owner{ticket: t, o: o}, nil
}

// Members returns who is in the cluster now, verified.
func (w *Owner) Members(ctx context.Context) (*Roster, error) {
	c, err := Dial(ctx, w.ticket, w.o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Members(ctx, xlreg.ClusterRef{})
}

// Evict frees the seat of a sig key. It may come back; see Ban. A key without a seat is an
// error of kind xlreg.ErrNotMember.
func (w *Owner) Evict(ctx context.Context, key xlreg.SigKey) error {
	return w.give(ctx, xlreg.Order{Kind: xlreg.OrderEvict, KeySum: keys.KeySum(key)})
}

// Ban frees the seat of a sig key, if it has one, and keeps it out. It says nothing about
// the invite that the key may have come with, by which others like it still come: BanMember
// does.
func (w *Owner) Ban(ctx context.Context, key xlreg.SigKey) error {
	return w.give(ctx, xlreg.Order{Kind: xlreg.OrderBan, KeySum: keys.KeySum(key)})
}

// BanMember bans a member, and revokes the invite that it came with, if it came with one:
// whoever holds that could come back with a new key. Others who came with it stay.
func (w *Owner) BanMember(ctx context.Context, m *Member) error {
	a, err := wire.DecodeAdmission(m.Token.Seat.Admission)
	if err != nil {
		return fmt.Errorf("ban %q: %w", m.Token.Name, err)
	}
	if !a.Invite.IsZero() {
		if err := w.Revoke(ctx, a.Invite.Key); err != nil {
			return err
		}
	}
	return w.Ban(ctx, m.Token.SigKey)
}

// Revoke makes an invite admit nobody any more, nor anybody back who came with it.
func (w *Owner) Revoke(ctx context.Context, invite xlreg.ClusterKey) error {
	return w.give(ctx, xlreg.Order{Kind: xlreg.OrderRevoke, Invite: invite})
}

// Reopen begins a new epoch of the cluster, in which every seat is free.
func (w *Owner) Reopen(ctx context.Context) error {
	return w.give(ctx, xlreg.Order{Kind: xlreg.OrderReopen})
}

// Delete deletes the cluster for good: this name and key make no other.
func (w *Owner) Delete(ctx context.Context) error {
	return w.give(ctx, xlreg.Order{Kind: xlreg.OrderDelete})
}

// give gives an order, again as long as the registry is not reached and ctx lasts.
func (w *Owner) give(ctx context.Context, order xlreg.Order) error {
	g := giving{owner: w.ticket.Owner(), order: order}
	err := w.o.keepTrying(ctx, func(ctx context.Context) error {
		c, err := reach(ctx, w.ticket, w.o)
		if err != nil {
			return err
		}
		defer c.Close()
		return g.do(ctx, c)
	}, func(err error) {
		w.o.Logger.Warn("order is given again", "order", order.Kind.String(), "cluster", w.ticket.Cluster, "err", err)
	})
	if err != nil {
		return fmt.Errorf("%v in cluster %q: %w", order.Kind, w.ticket.Cluster, err)
	}
	return nil
}

// giving is an order on its way. Its bytes are sent anew if an answer got lost, since the
// registry does the same bytes once.
type giving struct {
	owner  *keys.Owner
	order  xlreg.Order
	signed xlreg.SignedOrder // no bytes: the serial is not known yet
	unsure bool              // the bytes were sent, and it is not known what came of it
}

// do gives the order in one session, with each serial that the registry names.
func (g *giving) do(ctx context.Context, c *Client) error {
	if g.signed.Bytes == nil {
		cluster, state, err := c.State(ctx, xlreg.ClusterRef{})
		if err != nil {
			return err
		}
		g.order.Cluster = cluster.ID
		g.sign(state.Orders)
	}
	for {
		before := g.unsure
		g.unsure = true
		err := c.order(ctx, g.signed)
		g.unsure = before || errors.Is(err, ErrSessionEnded)
		var refused *xlreg.Error
		switch {
		case g.unsure && g.known(err):
			return nil // it was done before its answer got lost
		case !errors.Is(err, xlreg.ErrOrdersChanged) || !errors.As(err, &refused):
			return err
		case g.unsure && g.order.Kind == xlreg.OrderReopen:
			return fmt.Errorf("it may have been done, and another order after it: %w", err)
		}
		g.sign(refused.Orders)
	}
}

func (g *giving) sign(done uint64) {
	g.order.Serial = done + 1
	g.signed = g.owner.SignOrder(wire.EncodeOrder(g.order))
}

// known reports whether an error says that what was ordered is so already.
func (g *giving) known(err error) bool {
	switch g.order.Kind {
	case xlreg.OrderEvict:
		return errors.Is(err, xlreg.ErrNotMember)
	case xlreg.OrderDelete:
		return errors.Is(err, xlreg.ErrNoSuchClusterID)
	}
	return false
}

func (c *Client) order(ctx context.Context, signed xlreg.SignedOrder) error {
	_, err := call(ctx, c, "give order", func() (Seat, error) {
		return c.askCluster(ctx, wire.NewOrder(signed), xlreg.ClusterRef{})
	})
	return err
}
