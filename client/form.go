package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/regcred"
)

// FormOptions say which cluster to form, and as whom. Node is required.
type FormOptions struct {
	Options

	// Cluster is the cluster by name or ID. One that is named and does not exist
	// is created. The zero value, or xlreg.ClusterUnique in Attrs, asks for a new
	// cluster of a name that the registry makes up; Progress tells which.
	Cluster xlreg.ClusterRef
	// Size is how many members the cluster is made for. 0 takes it as it is, and
	// then it has to exist.
	Size int
	// JoinOnly says not to create the cluster if it does not exist.
	JoinOnly bool
	// EndpointCount and Attrs are for a cluster that is created.
	EndpointCount int // 0 is 1
	Attrs         xlreg.ClusterAttrs

	// Listeners are where the node is reached; their addresses are registered, in
	// order. An element of Advertise that is not empty replaces the address of the
	// listener at its place, and those beyond the listeners follow. With neither,
	// the node keeps the endpoints it has.
	Listeners []net.Listener
	Advertise []xlreg.Endpoint
	Resolver  Resolver // looks up the names in Advertise; nil: net.DefaultResolver

	// AllowUnverified accepts a roster with members that registered over a classic
	// carrier: they have no certificate, so nothing proves what they say of themselves,
	// and they are left out of mutual TLS. By default a Form over 2.0 ends with
	// ErrUnverified and their names instead. A Form over a classic carrier verifies
	// nobody, and returns its roster either way.
	AllowUnverified bool
	// NoWait returns as soon as the node has its seat, with the members that have joined by then.
	NoWait bool

	// Joined is told, in Form's goroutine, when the node has its place. It costs nothing,
	// and is told again when the registry had to be asked again.
	Joined func(xlreg.Cluster)
	// Progress is told, in Form's goroutine, when the node has joined, when others
	// have, and when something has to be tried again. It costs one request for each
	// member that joins; without it a whole formation costs one.
	Progress func(Progress)
}

// Progress is how far a formation has come, or a wait for members.
type Progress struct {
	Cluster xlreg.Cluster // zero until it is created or found
	Roster  *Roster       // who has joined, verified; nil until that is known
	Size    int           // members wanted; 0 until that is known
	Err     error         // why something has to be tried again; nil otherwise
}

// Form makes the node a member of a cluster and returns when everybody is there,
// with the verified roster. In order: it finds out the addresses of the
// listeners, which have to be ones that others can reach (ErrAddress; a name that does
// not resolve is tried again until ctx ends); registers
// the node; creates the cluster or finds it, and if it has another size returns
// xlreg.ErrClusterSize without having joined (an original server tells the size of a
// cluster that is not to be created only to those who join); joins it; and waits.
//
// When the registry goes away meanwhile, or says to come back later, Form tries
// again from the start, as the same node, until ctx ends. It works even if the
// registry comes back without its memory. If ctx ends first the error is an
// *IncompleteError. Without a deadline Form waits without end, for members and for the
// registry to be within reach alike; Progress and the Logger are told.
//
// The node's endpoints are replaced; it should not be in several formations at a
// time. Form leaves no connection open.
func Form(ctx context.Context, target *regcred.Target, o FormOptions) (*Membership, error) {
	f := &formation{target: target, o: o, ref: o.Cluster, attrs: o.Attrs, size: o.Size}
	f.o.Options = o.Options.withDefaults()
	m, err := f.form(ctx)
	if err != nil {
		return nil, fmt.Errorf("form %s: %w", refText(f.ref), err)
	}
	return m, nil
}

func (o *FormOptions) check() error {
	if o.Node == nil {
		return ErrReadOnly
	}
	if o.Cluster.IsZero() && o.JoinOnly {
		return xlreg.ErrNoClusterNamed
	}
	if o.Size == 0 && o.creates() {
		return errors.New("a cluster that may have to be created needs a size")
	}
	if o.Size == 0 {
		return nil
	}
	protocol := o.Protocol
	if protocol == 0 {
		protocol = xlreg.Protocol20
	}
	create := CreateOptions{Name: o.Cluster.Name, Size: o.Size, EndpointCount: o.EndpointCount, Attrs: o.Attrs}
	return create.check(protocol)
}

// creates reports whether the cluster is to be created if need be. An ID cannot
// be chosen, so a cluster named by ID has to exist.
func (o *FormOptions) creates() bool { return !o.JoinOnly && o.Cluster.ID == "" }

func (o *FormOptions) setEndpoints(ctx context.Context) error {
	advertise := o.Advertise
	if len(o.Listeners) == 0 && len(advertise) == 0 {
		advertise = o.Node.Endpoints()
	}
	endpoints, err := addresses(ctx, o.Listeners, advertise, o.Resolver)
	if err != nil {
		return err
	}
	if len(endpoints) < max(1, o.EndpointCount) {
		return xlreg.Errorf(xlreg.ErrTooFewEndpoints, "%d, want %d", len(endpoints), max(1, o.EndpointCount))
	}
	return o.Node.SetEndpoints(endpoints)
}

// formation is one Form under way.
type formation struct {
	target *regcred.Target
	o      FormOptions

	ref     xlreg.ClusterRef // what to create or join; a name once one is made up
	attrs   xlreg.ClusterAttrs
	size    int           // 0 until it is known
	cluster xlreg.Cluster // zero until it is known
	last    *Roster       // nil until the registry has told who has joined
	id      xlreg.NodeID  // of the node; empty until it is registered
	joined  bool          // the node has a seat
	heard   time.Time     // when the registry last answered
}

func (f *formation) form(ctx context.Context) (*Membership, error) {
	if err := f.o.check(); err != nil {
		return nil, err
	}
	if err := f.settleEndpoints(ctx); err != nil {
		return nil, err
	}
	return f.run(ctx)
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
	err = keepTrying(ctx, func(ctx context.Context) (err error) {
		m, err = f.attempt(ctx)
		return err
	}, func(err error) {
		f.o.Logger.Warn("formation is tried again", "cluster", refText(f.ref), "err", err)
		f.tell(err)
	})
	if err != nil && (ctx.Err() != nil || isTimeUp(err)) {
		return nil, incomplete(ctx, f.state(), err)
	}
	return m, err
}

// state is what is known when the time is up.
func (f *formation) state() *IncompleteError {
	e := &IncompleteError{Roster: f.last, Size: f.size, Joined: f.joined, Index: -1, Heard: f.heard, forming: true}
	if f.last == nil {
		return e
	}
	if self := f.last.ByID(f.id); self != nil {
		e.Index = self.Index
	}
	return e
}

// attempt goes all the way with one session.
func (f *formation) attempt(ctx context.Context) (*Membership, error) {
	c, err := reach(ctx, f.target, f.o.Options)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer func() { f.heard = c.heard }()
	if f.id, err = c.Register(ctx); err != nil {
		return nil, err
	}
	if err := f.enter(ctx, c); err != nil {
		return nil, err
	}
	roster, err := f.roster(ctx, c)
	if err != nil {
		return nil, err
	}
	f.o.warnOfDates(roster)
	if err := f.checkVerified(roster, c.protocol); err != nil {
		return nil, err
	}
	return newMembership(f.target, &f.o, roster, f.id)
}

// roster returns the members when everybody is there, or with NoWait those of now.
func (f *formation) roster(ctx context.Context, c *Client) (*Roster, error) {
	ref := xlreg.ClusterRef{ID: f.cluster.ID, Name: f.cluster.Name}
	if f.o.NoWait {
		return c.Members(ctx, ref)
	}
	w := waiter{c: c, ref: ref, size: f.size, seen: f.seen()}
	roster, err := w.wait(ctx)
	f.keep(w.last)
	return roster, err
}

// checkVerified refuses members that prove nothing, unless they are allowed. Anybody
// can take a free seat over a classic carrier, so whoever accepts them has to say so.
func (f *formation) checkVerified(r *Roster, p xlreg.Protocol) error {
	if names := r.Unverified(); len(names) > 0 && !f.o.AllowUnverified && !p.Classic() {
		return fmt.Errorf("%w: %s", ErrUnverified, quoted(names))
	}
	return nil
}

// enter creates or finds the cluster, looks at its size, and joins it.
func (f *formation) enter(ctx context.Context, c *Client) error {
	ref, err := f.find(ctx, c)
	if err != nil {
		return err
	}
	cluster, err := c.Join(ctx, ref)
	if err != nil {
		return err
	}
	f.joined = true
	if err := f.found(cluster); err != nil {
		return err
	}
	if f.o.Joined != nil {
		f.o.Joined(cluster)
	}
	return nil
}

func (f *formation) find(ctx context.Context, c *Client) (xlreg.ClusterRef, error) {
	if !f.o.creates() {
		return f.ref, f.look(ctx, c)
	}
	cluster, err := c.Create(ctx, CreateOptions{Name: f.ref.Name, Size: f.size, EndpointCount: f.o.EndpointCount, Attrs: f.attrs})
	if err != nil {
		return f.ref, err
	}
	// A name that was made up now is the cluster's name, should the registry have
	// to be asked again.
	if cluster.Name != "" {
		f.ref.Name = cluster.Name
	}
	f.attrs &^= xlreg.ClusterUnique
	return xlreg.ClusterRef{ID: cluster.ID}, f.found(cluster)
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
	return checkSize(&cluster, f.size)
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
