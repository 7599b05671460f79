package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/ticket"
)

// formation is one Form under way.
type formation struct {
	target Target
	ticket *ticket.Ticket // nil: the target is none
	o      FormOptions
	leave  xlreg.Admission // of the cluster's owner; zero in an open cluster

	ref      xlreg.ClusterRef // what to create or join; a name once one is made up
	attrs    xlreg.ClusterAttrs
	size     int           // 0 until it is known
	cluster  xlreg.Cluster // zero until it is known
	last     *Roster       // nil until the registry has told who has joined
	place    place         // the node's own; without ID until it is registered
	lease    time.Duration // that holds
	joined   bool          // the node has a seat
	tookOver bool          // its run is the one that has taken the seat back
	heard    time.Time     // when the registry last answered
}

func newFormation(target Target, o FormOptions) (*formation, error) {
	t := ticketOf(target)
	o, err := o.withTicket(t)
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return nil, err
	}
	o.Options = o.Options.withDefaults()
	f := &formation{target: target, ticket: t, o: o, ref: o.Cluster, attrs: o.Attrs, size: o.Size}
	f.place.key = o.Node.Keys().SigKey
	if !o.protocol().Classic() {
		f.place.run = o.Run
	}
	if f.place.run == "" && !o.protocol().Classic() {
		f.place.run = newRun()
	}
	if t != nil {
		f.leave, err = t.Admission(f.place.key)
	}
	return f, err
}

// newRun names a start of a program.
func newRun() xlreg.Run {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return xlreg.Run(b[:])
}

func (f *formation) form(ctx context.Context) (*Membership, error) {
	if f.o.Labels != nil {
		if err := SetLabels(f.o.Node, f.o.Labels); err != nil {
			return nil, err
		}
	}
	if err := f.settleObserved(ctx); err != nil {
		return nil, err
	}
	if err := f.settleEndpoints(ctx); err != nil {
		return nil, err
	}
	return f.run(ctx)
}

// settleObserved asks the registry from where it sees this machine, if need be.
func (f *formation) settleObserved(ctx context.Context) error {
	if !slices.ContainsFunc(f.o.Advertise, isObserved) {
		return nil
	}
	err := f.o.keepTrying(ctx, func(ctx context.Context) (err error) {
		f.o.Advertise, err = resolveObserved(ctx, f.target, f.o.Options, f.o.Advertise)
		return err
	}, f.again)
	return f.orIncomplete(ctx, err)
}

// settleEndpoints finds out the node's addresses. A name that does not resolve is tried
// again while there is time: that of a machine which has just started may not be known
// to the servers of names yet.
func (f *formation) settleEndpoints(ctx context.Context) error {
	ctx, cancel := withPatience(ctx)
	defer cancel()
	pauses := backoff{first: againFirstPause, most: againMostPause}
	for {
		err := f.o.setEndpoints(ctx)
		var unknown *net.DNSError
		if err == nil || f.o.NoWait || !errors.As(err, &unknown) {
			return err
		}
		f.tell(err)
		if pauses.pause(ctx, 0) != nil {
			return incomplete(ctx, f.state(), err)
		}
	}
}

func (f *formation) run(ctx context.Context) (m *Membership, err error) {
	err = f.o.keepTrying(ctx, func(ctx context.Context) (err error) {
		m, err = f.attempt(ctx)
		return err
	}, f.again)
	return m, f.orIncomplete(ctx, err)
}

func (f *formation) again(err error) {
	f.o.Logger.Warn("formation is tried again", "cluster", refText(f.ref), "err", err)
	f.tell(err)
}

// orIncomplete makes of an error that comes because the time is up one that says so.
func (f *formation) orIncomplete(ctx context.Context, err error) error {
	if err != nil && (ctx.Err() != nil || isTimeUp(err)) {
		return incomplete(ctx, f.state(), err)
	}
	return err
}

// state is what is known when the time is up.
func (f *formation) state() *IncompleteError {
	e := &IncompleteError{Roster: f.last, Size: f.size, Joined: f.joined, Index: -1, Heard: f.heard, forming: true}
	if f.last == nil {
		return e
	}
	if self := f.place.find(f.last); self != nil {
		e.Index = self.Index
	}
	return e
}

// attempt goes all the way with one session, which the Membership keeps if it has a lease.
func (f *formation) attempt(ctx context.Context) (*Membership, error) {
	c, err := f.session(ctx)
	if err != nil {
		return nil, err
	}
	roster, err := f.complete(ctx, c)
	f.heard = c.lastHeard()
	if err != nil {
		c.Close()
		return nil, err
	}
	return newMembership(f, roster, c)
}

// complete enters the cluster in a session, and returns who is in it when everybody is there.
func (f *formation) complete(ctx context.Context, c *Client) (roster *Roster, err error) {
	if f.place.id, err = c.Register(ctx); err != nil {
		return nil, err
	}
	if roster, err = f.meet(ctx, c); err != nil {
		return nil, err
	}
	f.o.warnOfDates(roster)
	return roster, f.checkVerified(roster, c.protocol)
}

// session returns the one that was given, the first time, or opens one.
func (f *formation) session(ctx context.Context) (c *Client, err error) {
	if c, f.o.Session = f.o.Session, nil; c != nil {
		return c, nil
	}
	return reach(ctx, f.target, f.o.Options)
}

// meet enters the cluster and waits for the others. A node that starts afresh enters again
// each time that the epoch moves on.
func (f *formation) meet(ctx context.Context, c *Client) (*Roster, error) {
	var ref xlreg.ClusterRef
	err := f.patiently(ctx, func() (err error) {
		ref, err = f.find(ctx, c)
		return err
	})
	if err == nil {
		err = f.refuseTwin(ctx, ref)
	}
	if err != nil {
		return nil, err
	}
	for {
		if err := f.patiently(ctx, func() error { return f.enter(ctx, c, ref) }); err != nil {
			return nil, err
		}
		roster, err := f.roster(ctx, c)
		if !errors.Is(err, errEpochMoved) {
			return roster, err
		}
		f.o.Logger.Info("the cluster has started anew, and this node joins it again", "cluster", refText(f.ref))
	}
}

// patiently does something again, in the same session, while it fails because of what
// others have not done yet.
func (f *formation) patiently(ctx context.Context, do func() error) error {
	pauses := backoff{first: againFirstPause, most: againMostPause}
	for told := false; ; told = true {
		err := do()
		if err == nil || !f.passes(err) {
			return err
		}
		if !told {
			f.again(err)
		}
		if pauses.pause(ctx, 0) != nil {
			return err
		}
	}
}

// passes reports whether an error is one that passes when others come: the owner of the
// cluster, who creates it, or those who open the next epoch.
func (f *formation) passes(err error) bool {
	kind, _ := xlreg.KindOf(err)
	switch kind {
	case xlreg.ErrNoSuchClusterName:
		return f.ticket != nil && f.ticket.Owner() == nil
	case xlreg.ErrMemberNameInUse, xlreg.ErrClusterFull:
		return f.o.Fresh
	}
	return false
}

// roster returns the members when everybody is there, or with NoWait those of now.
func (f *formation) roster(ctx context.Context, c *Client) (*Roster, error) {
	ref := xlreg.ClusterRef{ID: f.cluster.ID, Name: f.cluster.Name, Key: f.ref.Key}
	if f.o.NoWait {
		return c.Members(ctx, ref)
	}
	w := waiter{c: c, ref: ref, size: f.size, seen: f.seen(), sparing: f.o.Sparing, check: f.check}
	if f.o.Fresh {
		w.epoch = &f.place.epoch
	}
	roster, err := w.wait(ctx)
	f.keep(w.last)
	return roster, err
}

// check looks on the way whether the node still has its seat.
func (f *formation) check(r *Roster) error {
	if f.place.run == "" {
		return nil
	}
	return f.place.check(r)
}

// checkVerified refuses members that prove nothing, unless they are allowed. Anybody
// can take a free seat over a classic carrier, so whoever accepts them has to say so.
func (f *formation) checkVerified(r *Roster, p xlreg.Protocol) error {
	if names := r.Unverified(); len(names) > 0 && !f.o.AllowUnverified && !p.Classic() {
		return fmt.Errorf("%w: %s", ErrUnverified, quoted(names))
	}
	return nil
}

// enter joins the cluster.
func (f *formation) enter(ctx context.Context, c *Client, ref xlreg.ClusterRef) error {
	seat, err := c.JoinWith(ctx, JoinOptions{
		Cluster: ref, Admission: f.leave, Run: f.place.run, Fresh: f.o.Fresh, Lease: f.o.Lease,
	})
	if errors.Is(err, xlreg.ErrMemberIDInUse) {
		return f.replaced(ctx, c, ref, err)
	}
	if err != nil {
		return err
	}
	f.joined, f.lease, f.place.epoch = true, seat.Lease, seat.State.Epoch
	c.lease = seat.Lease
	if err := f.found(seat.Cluster); err != nil {
		return err
	}
	if f.o.Joined != nil {
		f.o.Joined(seat.Cluster)
	}
	return nil
}

// find creates or finds the cluster, and looks at its size.
func (f *formation) find(ctx context.Context, c *Client) (xlreg.ClusterRef, error) {
	if !f.o.creates() {
		return f.ref, f.look(ctx, c)
	}
	o := CreateOptions{Name: f.ref.Name, Size: f.size, EndpointCount: f.o.EndpointCount, Attrs: f.attrs}
	if f.ticket != nil {
		o.Owner = f.ticket.Owner()
	}
	cluster, err := c.Create(ctx, o)
	if err != nil {
		return f.ref, err
	}
	// A name that was made up now is the cluster's name, should the registry have
	// to be asked again.
	if cluster.Name != "" {
		f.ref.Name = cluster.Name
	}
	f.attrs &^= xlreg.ClusterUnique
	return xlreg.ClusterRef{ID: cluster.ID, Key: f.ref.Key}, f.found(cluster)
}

// look asks for the cluster but none of its members. An original server says
// nothing of a cluster before Join.
func (f *formation) look(ctx context.Context, c *Client) error {
	if c.original {
		return nil
	}
	cluster, err := c.Cluster(ctx, f.ref)
	if err != nil {
		return err
	}
	return checkSize(&cluster, f.o.Size)
}

func (f *formation) found(cluster xlreg.Cluster) error {
	if err := checkSize(&cluster, f.o.Size); err != nil {
		return err
	}
	f.cluster = cluster
	if f.size = cluster.MaxSize; f.size == 0 {
		f.size = f.o.Size
	}
	return nil
}

// lasting returns the lease that the seat has once everybody is there: what was asked for, as
// the registry has bounded it. A seat of a fresh start has had a shorter one until then.
func (f *formation) lasting(self *Member) time.Duration {
	if f.o.Lease == 0 || self == nil {
		return 0
	}
	if f.o.Fresh && self.Token.Seat.Lease > 0 {
		return self.Token.Seat.Lease
	}
	return f.lease
}

// seen returns what to do with each roster on the way, nil for nothing.
func (f *formation) seen() func(*Roster) {
	if f.o.Progress == nil {
		return nil
	}
	return func(r *Roster) {
		f.keep(r)
		f.tell(nil)
	}
}

func (f *formation) keep(r *Roster) {
	if r != nil {
		f.last, f.cluster = r, r.Cluster
	}
}

func (f *formation) tell(err error) {
	if f.o.Progress != nil {
		f.o.Progress(Progress{Cluster: f.cluster, Roster: f.last, Size: f.size, Err: err})
	}
}
