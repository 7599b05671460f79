package client

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// classicRoom is what a classic reply of the largest size still has to have
// room for to show that no member was left out of it: one more token, and the
// message's IV and padding.
const classicRoom = 8<<10 + 64

// classicPart is how many members are asked for at once over a classic carrier.
// Original servers put all of them into one message, even when it gets longer than
// a message may be.
const classicPart = 12

// receiveParts asks for members over a classic carrier, in parts, and for the rest of a
// part until a reply adds none. Only the first request waits.
func (c *Client) receiveParts(ctx context.Context, get wire.GetRequest, patience time.Duration) (*xlreg.Roster, error) {
	get.Ref = c.known(get.Ref)
	var r *xlreg.Roster
	for rest := get.Which.And(xlreg.SeatsBelow(xlreg.MaxClassicClusterSize)); !rest.IsEmpty(); {
		get.Which = part(rest)
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

// part returns those of the seats that one classic request may ask for.
func part(seats xlreg.Seats) xlreg.Seats {
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
	if !read.Given.Minus(get.Which).IsEmpty() {
		return nil, false, c.misbehaved("members that were not asked for")
	}
	if err := c.checkMembers(&cluster, members); err != nil {
		return nil, false, err
	}
	whole := len(members) == cluster.MaxSize || reply.Size()+classicRoom <= xlreg.MaxClassicMessage
	return &xlreg.Roster{Cluster: cluster, Members: members}, whole, nil
}
