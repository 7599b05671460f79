package client

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// received is a roster whose members are not verified yet: that costs more than all else
// and is a step of its own.
type received struct {
	xlreg.Roster
	seats []keys.Seat // what of each member goes into the sum; nil over a classic carrier
	sum   keys.Sum    // of all of it
}

// receive asks for members and returns, over 2.0, the whole roster: what has come, and of
// base what has not changed. Over a classic carrier it returns what has come. Only the first
// request waits.
func (c *Client) receive(ctx context.Context, get wire.GetRequest, base *Roster, patience time.Duration) (*received, error) {
	if c.protocol.Classic() {
		r, err := c.receiveParts(ctx, get, patience)
		if err != nil {
			return nil, err
		}
		return &received{Roster: *r}, nil
	}
	return c.receiveWhole(ctx, get, base, patience)
}

// receiveWhole asks for what it does not have until it has all of one revision, and the
// sum agrees. What was known before may be what it does not agree with; then it asks anew.
func (c *Client) receiveWhole(ctx context.Context, get wire.GetRequest, base *Roster, patience time.Duration) (*received, error) {
	a := assembly{base: base}
	for {
		reply, err := c.askRoster(ctx, get, patience)
		if err != nil {
			return nil, err
		}
		before := a.missing
		a.add(reply)
		if a.missing.IsEmpty() {
			r := a.received()
			if r.sum == reply.Sum {
				return r, c.checkMembers(&r.Cluster, r.Members)
			}
			if !a.patched {
				return nil, c.misbehaved("members of %s that do not make its Sum", clusterText(&r.Cluster))
			}
			a = assembly{missing: reply.Seats}
		} else if a.missing == before && len(reply.Members) == 0 {
			return nil, c.misbehaved("no member of those that were asked for")
		}
		get = wire.GetRequest{Ref: xlreg.ClusterRef{ID: reply.Cluster.ID}, Which: a.missing, Sign: get.Sign}
		patience = c.silence
	}
}

// askRoster makes one request over 2.0, and holds its answer against it.
func (c *Client) askRoster(ctx context.Context, get wire.GetRequest, patience time.Duration) (*wire.RosterReply, error) {
	reply, err := c.ask(ctx, wire.NewGet(get, c.protocol), patience)
	if err != nil {
		return nil, err
	}
	return c.rosterOf(reply, &get)
}

func (c *Client) rosterOf(reply *wire.Message, get *wire.GetRequest) (*wire.RosterReply, error) {
	cluster, err := c.clusterOf(reply, get.Ref)
	if err != nil {
		return nil, err
	}
	r, err := reply.Roster(c.protocol)
	if err != nil {
		return nil, c.parsed(err)
	}
	r.Cluster = cluster
	switch {
	case r.Since != nil && (get.Since == nil || *r.Since != *get.Since):
		return nil, c.misbehaved("news since a revision that was not asked for")
	case !r.Given.Minus(get.Which).IsEmpty():
		return nil, c.misbehaved("members that were not asked for")
	case r.State.Revision < c.revision[cluster.ID]:
		return nil, c.misbehaved("revision %d of %s after revision %d", r.State.Revision, clusterText(&cluster), c.revision[cluster.ID])
	}
	c.revision[cluster.ID] = r.State.Revision
	return r, nil
}

// checkMembers refuses a roster that contradicts itself.
func (c *Client) checkMembers(cluster *xlreg.Cluster, members []xlreg.Member) error {
	ids := make(map[xlreg.NodeID]bool, len(members))
	names := make(map[xlreg.Name]bool, len(members))
	for i := range members {
		m := &members[i]
		if cluster.MaxSize > 0 && m.Index >= cluster.MaxSize {
			return c.misbehaved("member with index %d, which cannot be", m.Index)
		}
		if ids[m.Token.ID] || names[m.Token.Name] {
			return c.misbehaved("two members with the ID or name of %q", m.Token.Name)
		}
		ids[m.Token.ID], names[m.Token.Name] = true, true
	}
	return nil
}

// assembly is a roster of 2.0 that is put together of several answers, or of an answer
// and what was known before.
type assembly struct {
	base    *Roster     // what is known; nil if nothing is
	missing xlreg.Seats // the seats that are taken and whose members have not come

	last    *wire.RosterReply
	members map[int]seated
	patched bool // there is something of base in it
}

type seated struct {
	member *xlreg.Member
	sum    keys.Sum
}

// add takes an answer in. One of another revision than the last makes what came before it
// worthless, but for base, which is of another revision in any case.
func (a *assembly) add(r *wire.RosterReply) {
	if a.last == nil || a.last.State.Revision != r.State.Revision || a.last.Sum != r.Sum {
		a.begin(r)
	}
	a.last = r
	for i := range r.Members {
		m := &r.Members[i]
		a.members[m.Index] = seated{m, keys.SeatSum(&m.Token)}
		a.missing = a.missing.Without(m.Index)
	}
}

// begin starts with what base knows of those who still have a seat.
func (a *assembly) begin(r *wire.RosterReply) {
	a.members, a.missing, a.patched = make(map[int]seated, r.Seats.Len()), r.Seats, false
	if a.base == nil || a.base.Cluster.ID != r.Cluster.ID || a.base.State.Epoch != r.State.Epoch {
		return
	}
	for i := range a.base.Members {
		m := &a.base.Members[i]
		if r.Seats.Has(m.Index) && !r.Given.Has(m.Index) {
			a.members[m.Index] = seated{&m.Member, m.sum}
			a.missing, a.patched = a.missing.Without(m.Index), true
		}
	}
}

// received returns the roster when nobody is missing.
func (a *assembly) received() *received {
	r := &received{Roster: xlreg.Roster{Cluster: a.last.Cluster, State: a.last.State}}
	for index := range a.last.Seats.All() {
		s := a.members[index]
		r.Members = append(r.Members, *s.member)
		r.seats = append(r.seats, keys.Seat{Index: index, Sum: s.sum})
	}
	r.sum = keys.SumSeats(&r.Cluster, &r.State, r.seats)
	return r
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
