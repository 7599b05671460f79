package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
)

// Resume is Form for a member that starts while its registry is away: it returns at once,
// with the roster that LoadRoster read, and takes the seat again as soon as the registry is
// back. From then on the Membership is as one that Form returned, with the Lease that
// FormOptions ask for; Watch begins with what is different from the saved roster, and
// Joined is told, in a goroutine of the Membership's own. It keeps a session until it is
// closed, lease or not. The node keeps its endpoints, so FormOptions must not have
// Listeners or Advertise; Cluster, Size and NoWait count for nothing, and there is no fresh
// start without the others.
//
// If the seat is the node's no more, because its cluster's owner evicted it, another member
// has its index or another process runs as this node, the Membership ends as it does when
// that happens while it runs: see Membership.Err.
func Resume(target Target, saved *SavedRoster, o FormOptions) (*Membership, error) {
	m, err := resume(target, saved, o)
	if err != nil {
		return nil, fmt.Errorf("resume %s: %w", clusterText(&saved.Cluster), err)
	}
	return m, nil
}

func resume(target Target, saved *SavedRoster, o FormOptions) (*Membership, error) {
	if o.Fresh || len(o.Listeners) > 0 || len(o.Advertise) > 0 {
		return nil, errors.New("a member that resumes keeps its place and its addresses: no Fresh, Listeners or Advertise")
	}
	o.Cluster, o.Size, o.EndpointCount, o.JoinOnly, o.NoWait = xlreg.ClusterRef{}, 0, 0, true, true
	if ticketOf(target) == nil {
		o.Cluster = xlreg.ClusterRef{ID: saved.Cluster.ID, Name: saved.Cluster.Name}
	}
	f, err := newFormation(target, o)
	if err != nil {
		return nil, err
	}
	if f.o.protocol().Classic() {
		return nil, ErrNeeds20
	}
	if o.Labels != nil {
		if err := SetLabels(o.Node, o.Labels); err != nil {
			return nil, err
		}
	}
	if err := o.Node.SetEndpoints(saved.Self.Token.Endpoints); err != nil {
		return nil, err
	}
	f.ref.ID, f.o.Size = saved.Cluster.ID, 0
	f.o.warnOfDates(saved.Roster)
	if err := f.checkVerified(saved.Roster, xlreg.Protocol20); err != nil {
		return nil, err
	}
	m := &Membership{
		target: target, o: f.o.Options, lease: o.Lease, allowUnverified: o.AllowUnverified, ref: f.ref,
		place:  place{id: saved.Self.Token.ID, key: f.place.key, run: f.place.run, epoch: saved.State.Epoch},
		formed: saved.Roster, roster: saved.Roster, heard: saved.Heard, moved: make(chan struct{}),
	}
	m.remember(saved.Roster)
	m.keeper.init(m, o.Stranger)
	m.keeper.again = &rejoining{formation: f, saved: saved}
	m.keeper.hold(nil)
	return m, nil
}

// rejoining takes a seat again that the node had when its roster was saved.
type rejoining struct {
	*formation
	saved *SavedRoster
}

// run tries until ctx ends or the registry refuses. The session that it returns is open.
func (r *rejoining) run(ctx context.Context) (c *Client, roster *Roster, err error) {
	err = r.o.keepTrying(ctx, func(ctx context.Context) (err error) {
		c, roster, err = r.attempt(ctx)
		return err
	}, r.again)
	return c, roster, err
}

// attempt goes all the way with one session.
func (r *rejoining) attempt(ctx context.Context) (c *Client, roster *Roster, err error) {
	if c, err = reachAgain(ctx, r.target, r.o.Options); err != nil {
		return nil, nil, err
	}
	if err = r.register(ctx, c); err == nil {
		err = r.checkSeat(ctx, c)
	}
	if err == nil {
		roster, err = r.meet(ctx, c)
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, roster, nil
}

// register tells the registry of the node. If the node's directory is closed by now, what the
// registry has besides news of itself has to be what is known.
func (r *rejoining) register(ctx context.Context, c *Client) error {
	id, err := c.Register(ctx)
	if errors.Is(err, identity.ErrReadOnly) && id == r.saved.Self.Token.ID {
		err = nil
	}
	r.place.id = id
	return err
}

// checkSeat looks whether the seat is the node's to take. One that is free is, if it had a
// lease, which has run out; without one it is lost only to those who may take it away.
func (r *rejoining) checkSeat(ctx context.Context, c *Client) error {
	now, err := call(ctx, c, "look for the own seat", func() (*received, error) {
		return c.receive(ctx, wire.GetRequest{Ref: r.ref, Which: xlreg.AllSeats()}, nil, c.silence)
	})
	if err != nil || slices.ContainsFunc(now.Members, func(m xlreg.Member) bool { return m.Token.SigKey == r.place.key }) {
		return err
	}
	if now.State.Epoch != r.saved.State.Epoch {
		return newEpoch(now.State.Epoch, r.saved.State.Epoch)
	}
	self := r.saved.Self
	for i := range now.Members {
		if m := &now.Members[i]; m.Index == self.Index {
			return xlreg.Errorf(xlreg.ErrNotMember, "%q has its seat, with index %d", m.Token.Name, m.Index)
		}
	}
	if self.Token.Seat.Lease == 0 {
		return xlreg.Errorf(xlreg.ErrNotMember, "%s", r.place.gone())
	}
	return nil
}
