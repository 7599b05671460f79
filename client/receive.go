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

// classicPart is how many members are asked for at once over a classic carrier.
// Original servers put all of them into one message, even when it gets longer than
// a message may be.
const classicPart = 12

// receive asks for members, over a classic carrier in parts, and for the rest of a
// part until a reply adds none. Only the first request waits. Signatures are not
// verified yet: that costs more than all else and is a step of its own.
func (c *Client) receive(ctx context.Context, get wire.GetRequest, patience time.Duration) (*xlreg.Roster, error) {
	get.Ref = c.known(get.Ref)
	var r *xlreg.Roster
	for rest := get.Which; !rest.IsEmpty(); {
		get.Which = c.part(rest)
		some, whole, err := c.receiveSome(ctx, get, patience)
		if err != nil {
			return nil, err
		}
		rest = rest.Minus(some.Seats())
		if whole || len(some.Members) == 0 {
			rest = rest.Minus(get.Which)
		}
		if size := some.Cluster.MaxSize; size > 0 {
			rest = rest.And(xlreg.SeatsBelow(size))
		}
		if r == nil {
			r = some
		} else {
			r.Members = merge(r.Members, some.Members)
		}
		get, patience = wire.GetRequest{Ref: xlreg.ClusterRef{ID: r.Cluster.ID}}, c.silence
	}
	return r, nil
}

// part returns those of the seats that one request may ask for.
func (c *Client) part(seats xlreg.Seats) xlreg.Seats {
	if !c.protocol.Classic() {
		return seats
	}
	var part xlreg.Seats
	for index := range seats.All() {
		if part.Len() == classicPart {
			break
		}
		part = part.With(index)
	}
	return part
}

// known returns ref by ID if this session has seen the cluster: original servers
// look for the members of no other.
func (c *Client) known(ref xlreg.ClusterRef) xlreg.ClusterRef {
	if !c.original || ref.ID != "" {
		return ref
	}
	if ref.Name == "" {
		return xlreg.ClusterRef{ID: c.current}
	}
	for id, cluster := range c.clusters {
		if cluster.Name == ref.Name {
			ref.ID = id
		}
	}
	return ref
}

// receiveSome reads one reply, and reports whether it holds all that was asked
// for, as far as its size shows.
func (c *Client) receiveSome(ctx context.Context, get wire.GetRequest, patience time.Duration) (*xlreg.Roster, bool, error) {
	reply, err := c.ask(ctx, wire.NewGet(get, c.protocol), patience)
	if err != nil {
		return nil, false, err
	}
	cluster, err := c.clusterOf(reply, get.Ref)
	if err != nil {
		return nil, false, err
	}
	read, err := reply.Roster(c.protocol)
	if err != nil {
		return nil, false, c.parsed(err)
	}
	members := read.Members
	if err := c.checkMembers(&cluster, members, get.Which); err != nil {
		return nil, false, err
	}
	whole := !c.protocol.Classic() || len(members) == cluster.MaxSize || reply.Size()+classicRoom <= xlreg.MaxClassicMessage
	return &xlreg.Roster{Cluster: cluster, State: read.State, Members: members}, whole, nil
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
