package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// TwinError says that another process runs as this node, with its key, and has taken its
// seat: a copy of the machine, for example, or a second start of the program. Its kind is
// xlreg.ErrMemberIDInUse.
type TwinError struct {
	Endpoints []xlreg.Endpoint // where the other one says that it is reached
	Joined    time.Time        // when it took the seat, by the registry's clock
}

// Error says where the other one is, and since when.
func (e *TwinError) Error() string {
	var b strings.Builder
	b.WriteString("another process runs as this node, with its key")
	if len(e.Endpoints) > 0 {
		fmt.Fprintf(&b, ", at %s", e.Endpoints[0])
	}
	if !e.Joined.IsZero() {
		fmt.Fprintf(&b, ", and took its seat at %s", utc(e.Joined))
	}
	return b.String()
}

// Unwrap returns the kind.
func (e *TwinError) Unwrap() error { return xlreg.ErrMemberIDInUse }

func twinIn(t *xlreg.Token) *TwinError {
	return &TwinError{Endpoints: t.Endpoints, Joined: t.Seat.Joined}
}

// place is what a node knows of its own seat.
type place struct {
	id    xlreg.NodeID
	key   xlreg.SigKey
	run   xlreg.Run // empty: nobody is told apart, as over a classic carrier
	epoch uint64    // in which the seat was taken
}

// find returns the node's own seat. Over 2.0 it is that of its key.
func (p *place) find(r *Roster) *Member {
	self := r.ByID(p.id)
	if self == nil && p.run != "" {
		self = r.ByKey(p.key)
	}
	return self
}

// check returns why the seat in r is not the node's own any more, and nil if it is. What it
// is told of itself is the one thing that a node can know to be wrong.
func (p *place) check(r *Roster) error {
	self := p.find(r)
	switch {
	case self == nil && r.State.Epoch != p.epoch:
		return newEpoch(r.State.Epoch, p.epoch)
	case self == nil:
		return xlreg.Errorf(xlreg.ErrNotMember, "%s", p.gone())
	case self.Token.SigKey != p.key:
		return xlreg.Errorf(xlreg.ErrBadSignature, "the registry shows another key as that of this node")
	}
	return p.checkRun(self)
}

func newEpoch(now, before uint64) error {
	return fmt.Errorf("%w: %w", ErrNewEpoch, xlreg.Errorf(xlreg.ErrNotMember, "epoch %d follows %d", now, before))
}

// checkRun reports another process in the node's seat.
func (p *place) checkRun(self *Member) error {
	if run := self.Token.Seat.Run; p.run != "" && run != p.run {
		return twinIn(&self.Token)
	}
	return nil
}

func (p *place) gone() string {
	if p.run == "" {
		return fmt.Sprintf("another node of this name and key has taken the place of %v, or it left", p.id)
	}
	return "this node left, its lease ran out, or its cluster's owner evicted it"
}

// replaced is for a node that is refused since another run has taken its seat. If it means
// it the node takes the seat back, once.
func (f *formation) replaced(ctx context.Context, c *Client, ref xlreg.ClusterRef, err error) error {
	if f.o.TakeOver && !f.tookOver && f.place.run != "" {
		f.place.run, f.tookOver = newRun(), true
		return f.enter(ctx, c, ref)
	}
	other, lookErr := c.ownSeat(ctx, ref, xlreg.AllSeats(), f.place.key)
	if lookErr != nil || other == nil {
		return err
	}
	return fmt.Errorf("%w: %w", twinIn(&other.Token), err)
}

// signOfLife is how late the time of a sign of life may be told: registries tell it in whole
// seconds, and it may lag by another.
const signOfLife = 2 * time.Second

// refuseTwin returns a *TwinError if another process with the node's key has its seat and
// lives. One that has a lease gives a sign of life in each third of it. One that has none
// cannot be told from an earlier start of this program. Of several servers one hears of the
// other process, and the others are asked until it is found.
func (f *formation) refuseTwin(ctx context.Context, ref xlreg.ClusterRef) error {
	if f.o.Lease == 0 || f.o.Fresh || f.o.TakeOver || f.joined {
		return nil
	}
	for began := time.Now(); ; {
		lease, err := f.lookForTwin(ctx, ref)
		if err != nil || lease == 0 || time.Since(began) > lease/2+2*signOfLife {
			return err
		}
		if err := sleep(ctx, min(time.Second, lease/8)); err != nil {
			return err
		}
	}
}

// lookForTwin asks one server. If that does not hear of the seat, because another one does,
// it returns the seat's lease, and 0 if there is no more to ask. It asks as nobody: what a
// node itself asks about its cluster is a sign of life, and would make a dead process look
// alive.
func (f *formation) lookForTwin(ctx context.Context, ref xlreg.ClusterRef) (elsewhere time.Duration, err error) {
	nobody := f.o.Options
	nobody.Node = nil
	c, err := Dial(ctx, f.target, nobody)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	now, err := c.ownSeat(ctx, ref, xlreg.AllSeats(), f.place.key)
	if err != nil || now == nil || now.Token.Seat.Lease == 0 || now.Token.Seat.Run == f.place.run {
		return 0, err
	}
	lease, last := now.Token.Seat.Lease, now.Token.Seat.Seen
	for began := time.Now(); time.Since(began) < lease/2+2*signOfLife; { // its next sign of life may be told as late
		seen := now.Token.Seat.Seen
		switch {
		case seen.IsZero():
			c.route.pass(c.endpoint)
			return lease, nil
		case time.Since(began) < signOfLife: // it may be from before
			last = seen
		case seen.After(last):
			return 0, twinIn(&now.Token)
		}
		if err := sleep(ctx, min(time.Second, lease/8)); err != nil {
			return 0, err
		}
		if now, err = c.ownSeat(ctx, ref, xlreg.SeatsOf(now.Index), f.place.key); err != nil || now == nil {
			return 0, err
		}
	}
	return 0, nil
}

// ownSeat looks for the seat of a key among some of a cluster; nil if it is not there. It
// verifies nothing.
func (c *Client) ownSeat(ctx context.Context, ref xlreg.ClusterRef, among xlreg.Seats, key xlreg.SigKey) (*xlreg.Member, error) {
	reply, err := call(ctx, c, "look for the own seat", func() (*wire.RosterReply, error) {
		return c.askRoster(ctx, wire.GetRequest{Ref: ref, Which: among}, c.silence)
	})
	if err != nil {
		return nil, err
	}
	for i := range reply.Members {
		if reply.Members[i].Token.SigKey == key {
			return &reply.Members[i], nil
		}
	}
	return nil, nil
}
