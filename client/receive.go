package client

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// classicRoom is what a classic reply of the largest size still has to have
// room for to show that no member was left out of it: one more token, and the
// message's IV and padding.
const classicRoom = xlreg.MaxTokenLen + 64

// receive asks for members, and over a classic carrier, where one reply may not
// hold all of them, again for the rest until a reply adds none. Signatures are
// not verified yet: that costs more than all else and is a step of its own.
func (c *Client) receive(ctx context.Context, get wire.GetRequest, patience time.Duration) (*xlreg.Roster, error) {
	r, whole, err := c.receiveSome(ctx, get, patience)
	if err != nil {
		return nil, err
	}
	rest, ref := get.Which&^r.Seats(), xlreg.ClusterRef{ID: r.Cluster.ID}
	for !whole && rest != 0 {
		more, last, err := c.receiveSome(ctx, wire.GetRequest{Ref: ref, Which: rest}, answerPatience)
		if err != nil {
			return nil, err
		}
		r.Members = merge(r.Members, more.Members)
		rest, whole = rest&^more.Seats(), last || len(more.Members) == 0
	}
	return r, nil
}

// receiveSome reads one reply, and reports whether it holds all that was asked
// for, as far as its size shows.
func (c *Client) receiveSome(ctx context.Context, get wire.GetRequest, patience time.Duration) (*xlreg.Roster, bool, error) {
	reply, err := c.ask(ctx, wire.NewGet(get), patience)
	if err != nil {
		return nil, false, err
	}
	cluster, err := c.clusterOf(reply, get.Ref)
	if err != nil {
		return nil, false, err
	}
	members, err := reply.Roster()
	if err != nil {
		return nil, false, c.parsed(err)
	}
	if err := c.checkMembers(&cluster, members, get.Which); err != nil {
		return nil, false, err
	}
	whole := !c.protocol.Classic() || len(members) == cluster.MaxSize || reply.Size()+classicRoom <= xlreg.MaxClassicMessage
	return &xlreg.Roster{Cluster: cluster, Members: members}, whole, nil
}

// checkMembers refuses a roster that contradicts itself or the request.
func (c *Client) checkMembers(cluster *xlreg.Cluster, members []xlreg.Member, which xlreg.Seats) error {
	ids := make(map[xlreg.NodeID]bool, len(members))
	names := make(map[xlreg.Name]bool, len(members))
	for i := range members {
		m := &members[i]
		if !which.Has(m.Index) || cluster.MaxSize > 0 && m.Index >= cluster.MaxSize {
			return c.misbehaved("member with index %d, which was not asked for or cannot be", m.Index)
		}
		if ids[m.Token.ID] || names[m.Token.Name] {
			return c.misbehaved("two members with the ID or name of %q", m.Token.Name)
		}
		ids[m.Token.ID], names[m.Token.Name] = true, true
	}
	return nil
}

// merge adds what a later reply shows. A node that moved to another index
// between two replies counts where it was seen last.
func merge(members, later []xlreg.Member) []xlreg.Member {
	members = slices.DeleteFunc(members, func(m xlreg.Member) bool {
		return slices.ContainsFunc(later, func(l xlreg.Member) bool {
			return l.Token.ID == m.Token.ID || l.Token.Name == m.Token.Name
		})
	})
	members = append(members, later...)
	slices.SortFunc(members, func(a, b xlreg.Member) int { return cmp.Compare(a.Index, b.Index) })
	return members
}
