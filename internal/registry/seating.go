package registry

import (
	"bytes"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// maxPastRuns is how many runs that others have replaced a seat remembers.
const maxPastRuns = 8

// freshLease is the longest that a seat lasts without a sign of life which was taken for
// a new start, as long as that start has not come about.
const freshLease = 30 * time.Second

// claim is what a Join asks for, and what there is that bears on it.
type claim struct {
	token *xlreg.Token
	run   xlreg.Run
	fresh bool

	seats  []records.Seat // that the sig key has, of all epochs, the lowest first
	left   xlreg.Seats    // free ones that it had last
	holder *records.Seat  // who holds the name, nil if nobody
}

// place is the answer to a claim.
type place struct {
	index  int
	before *records.Seat  // who had it, if that goes on: the claimant's own seat
	opens  bool           // the next epoch begins, with this seat as its first
	frees  []records.Seat // others that go
}

// choose returns the place of a claim in c, or why there is none. It is the heart of
// sections 5.6 and 10.5: the claimant's own seat first, then faults in their order.
func choose(c *records.Cluster, cl *claim) (place, error) {
	own, others := cl.own()
	if own != nil && slices.Contains(own.Past, cl.run) && cl.run != "" {
		return place{}, xlreg.Errorf(xlreg.ErrMemberIDInUse, "another run has taken this seat")
	}
	p := place{before: own, frees: others, opens: cl.opens(c, own)}
	switch h := cl.holder; {
	case h == nil || h.Token.SigKey == cl.token.SigKey:
	case !cl.mayDisplace(c, h):
		return place{}, xlreg.ErrMemberNameInUse
	case own == nil:
		return p.enter(c, cl, xlreg.SeatsOf(h.Index))
	default:
		p.frees = append(slices.Clone(p.frees), *h) // it keeps a name that is needed
	}
	if own != nil {
		return p.at(own.Index), nil
	}
	free := c.Free()
	if free.IsEmpty() && cl.fresh && c.Key != "" {
		free = c.Reserved
	}
	return p.enter(c, cl, free)
}

// enter takes the lowest of the seats that there are for one who has none: who has too few
// endpoints gets none of them.
func (p place) enter(c *records.Cluster, cl *claim, free xlreg.Seats) (place, error) {
	switch {
	case free.IsEmpty():
		return place{}, xlreg.ErrClusterFull
	case len(cl.token.Endpoints) < c.EndpointCount:
		return place{}, xlreg.Errorf(xlreg.ErrTooFewEndpoints, "%d given, %d wanted", len(cl.token.Endpoints), c.EndpointCount)
	}
	return p.at(free.Lowest()), nil
}

func (p place) at(index int) place {
	p.index = index
	return p
}

// own returns the claimant's seat, and the others that its key has, from classic times: a
// key has one seat.
func (cl *claim) own() (own *records.Seat, others []records.Seat) {
	if len(cl.seats) == 0 {
		return nil, nil
	}
	return &cl.seats[0], cl.seats[1:]
}

// opens reports whether a Join that succeeds begins the next epoch: its node has been
// in this one with another run, or it comes back to one that has been complete.
func (cl *claim) opens(c *records.Cluster, own *records.Seat) bool {
	if !cl.fresh {
		return false
	}
	if own != nil && own.Epoch == c.State.Epoch {
		return own.Run() != cl.run
	}
	return c.Complete() && (c.Key != "" || !cl.left.And(c.Free()).IsEmpty())
}

// mayDisplace reports whether a seat of an earlier epoch has to give way: in a cluster
// whose owner admits every member, to one who begins anew.
func (cl *claim) mayDisplace(c *records.Cluster, holder *records.Seat) bool {
	return cl.fresh && c.Key != "" && holder.Epoch < c.State.Epoch
}

// chooseClassic is choose for a Join over a classic carrier, where a node is its ID: the
// seat of that ID, or of the name and the key, in a full cluster too.
func chooseClassic(c *records.Cluster, cl *claim) (place, error) {
	var own *records.Seat
	for i := range cl.seats {
		if cl.seats[i].Token.ID == cl.token.ID {
			own = &cl.seats[i]
		}
	}
	switch h := cl.holder; {
	case own != nil && (h == nil || h.Index == own.Index):
		return place{index: own.Index, before: own}, nil
	case own == nil && h != nil && h.Token.SigKey == cl.token.SigKey:
		return place{index: h.Index, before: h}, nil
	case h != nil:
		return place{}, xlreg.ErrMemberNameInUse
	}
	return place{}.enter(c, cl, c.Free())
}

// seatFor returns the seat that a claim gets in its place, of the epoch that is current
// then.
func seatFor(c *records.Cluster, cl *claim, p *place) records.Seat {
	s := records.Seat{
		Member: xlreg.Member{Index: p.index, Token: *cl.token},
		Epoch:  c.State.Epoch, Fresh: cl.fresh,
	}
	s.Token.Seat.Run = cl.run
	if p.before == nil {
		return s
	}
	s.Past = p.before.Past
	switch before := p.before.Run(); {
	case cl.run == "":
		s.Token.Seat.Run = before // it replaces none
	case before != "" && before != cl.run:
		s.Past = append(slices.Clone(s.Past), before)
		s.Past = s.Past[max(0, len(s.Past)-maxPastRuns):]
	}
	return s
}

// sameSeat reports whether readers see two seats as the same, but for times.
func sameSeat(a, b *records.Seat) bool {
	x, y := &a.Token.Seat, &b.Token.Seat
	return a.Epoch == b.Epoch && sameRegistration(&a.Token, &b.Token) &&
		x.Lease == y.Lease && x.Run == y.Run && bytes.Equal(x.Admission, y.Admission)
}

// openEpoch begins the next epoch of a cluster: the members' seats are kept for them.
func openEpoch(c *records.Cluster) {
	c.State.Epoch++
	c.Reserved, c.Taken = c.Reserved.Or(c.Taken), xlreg.Seats{}
}

// reopen begins an epoch in which every seat is free.
func reopen(c *records.Cluster) {
	openEpoch(c)
	c.Reserved, c.Lowest = xlreg.Seats{}, c.State.Epoch
}

// raise gives a cluster its next revision: no number is used twice, also by a registry
// that was restored to an old state, and the clock sees to that.
func raise(c *records.Cluster, now time.Time) {
	c.State.Revision = max(c.State.Revision+1, uint64(max(0, now.UnixMilli())))
}
