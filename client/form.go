package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/ticket"
)

// FormOptions say which cluster to form, and as whom. Node is required.
type FormOptions struct {
	Options

	// Session is an open session of the Node with the target to begin with, in which it may
	// have its seat already. Form takes it over and closes it, with an error too. Nil: Form
	// opens one.
	Session *Client

	// Cluster is the cluster by name or ID. One that is named and does not exist
	// is created. The zero value, or xlreg.ClusterUnique in Attrs, asks for a new
	// cluster of a name that the registry makes up; Progress tells which. A ticket
	// names the cluster, so with one it is the zero value.
	Cluster xlreg.ClusterRef
	// Size is how many members the cluster is made for. 0 takes it as it is, and
	// then it has to exist; or as the ticket says.
	Size int
	// JoinOnly says not to create the cluster if it does not exist.
	JoinOnly bool
	// EndpointCount and Attrs are for a cluster that is created.
	EndpointCount int // 0 is 1, or what the ticket says
	Attrs         xlreg.ClusterAttrs

	// Listeners are where the node is reached; their addresses are registered, in
	// order. An element of Advertise that is not empty replaces the address of the
	// listener at its place, and those beyond the listeners follow. With neither,
	// the node keeps the endpoints it has. The host "observed" in Advertise stands for
	// the one from which the registry sees this machine.
	Listeners []net.Listener
	Advertise []xlreg.Endpoint
	Resolver  Resolver // looks up the names in Advertise; nil: net.DefaultResolver

	// AllowUnverified accepts a roster with members that registered over a classic
	// carrier: they have no certificate, so nothing proves what they say of themselves,
	// and they are left out of mutual TLS. By default a Form over 2.0 ends with
	// ErrUnverified and their names instead. A Form over a classic carrier verifies
	// nobody, and returns its roster either way.
	AllowUnverified bool
	// Labels are what the node tells the others besides its addresses, of the form of
	// names and at most 2048 bytes together. Nil leaves those that it has.
	Labels map[string]string

	// Lease is how long the node keeps its seat without a sign of life, as precisely as a
	// second; 0 is for ever. The Membership gives these signs until it is closed.
	Lease time.Duration
	// Fresh meets members of this start alone: a cluster whose members all restart, each
	// with Fresh, begins a new epoch and shows none of them an address of the last one.
	// A single member that comes back to a cluster that runs on joins without it.
	Fresh bool
	// Run names this start of the program to the registry, which tells a process by it from
	// another one with the same key. Empty is a new one for each Form.
	Run xlreg.Run
	// TakeOver takes the node's seat although another process with its key has it that shows
	// signs of life. That one is told. Without it the Form ends with a *TwinError. Without a
	// lease there are no such signs, and the newer process always takes the seat.
	TakeOver bool

	// NoWait returns as soon as the node has its seat, with the members that have joined by then.
	NoWait bool

	// Joined is told, in Form's goroutine, when the node has its place. It costs nothing,
	// and is told again when the registry had to be asked again.
	Joined func(xlreg.Cluster)
	// Stranger is told, once the node is a member and in a goroutine of the Membership's own,
	// that somebody else than the registry answers at its address: another registry, or a
	// server of something else (ErrUntrusted, ErrNotARegistry). It is told so once, and with
	// nil when the registry is back; so is the Logger. Nothing that the other one says is
	// believed. The Membership looks for the registry again, after pauses that grow to half a
	// minute, or a third of the Lease if that is less, and then follows as before. Until the
	// node is a member, a Form ends with ErrUntrusted instead. Stranger must not close the
	// Membership, which waits for it.
	Stranger func(error)
	// Progress is told, in Form's goroutine, when the node has joined, when others
	// have, and when something has to be tried again. It costs one request for each
	// member that joins; without it a whole formation costs one.
	Progress func(Progress)
	// Sparing tells Progress of members no sooner than a second after the wait has begun,
	// and then every five seconds at most. So a formation of less than a second costs no
	// more than without Progress, and a long one hardly so.
	Sparing bool
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
// not resolve is tried again until ctx ends, or without a deadline for 30 seconds);
// registers the node; creates the cluster or finds it, and if it has another size returns
// xlreg.ErrClusterSize without having joined (an original server tells the size of a
// cluster that is not to be created only to those who join); joins it; and waits.
//
// When the registry goes away meanwhile, or says to come back later, Form tries
// again from the start, as the same node, until ctx ends. It works even if the
// registry comes back without its memory. If ctx ends first the error is an
// *IncompleteError. Without a deadline Form waits without end, for members and for the
// registry to be within reach alike; Progress and the Logger are told.
//
// The target may be a ticket. The owner's creates the cluster if need be; who has an invite
// or an admission and comes before the owner waits for the cluster, until ctx ends. Every
// member's leave from the owner is verified, and the cluster's key is that of the ticket.
//
// If another process with the node's key takes its seat meanwhile, the error is a *TwinError.
//
// The node's endpoints are replaced; it should not be in several formations at a
// time. Form leaves a connection open only for a Lease; close the Membership then.
func Form(ctx context.Context, target Target, o FormOptions) (*Membership, error) {
	f, err := newFormation(target, o)
	if err != nil {
		o.closeSession()
		return nil, fmt.Errorf("form %s: %w", refText(o.Cluster), err)
	}
	m, err := f.form(ctx)
	if err != nil {
		f.o.closeSession()
		return nil, fmt.Errorf("form %s: %w", refText(f.ref), err)
	}
	return m, nil
}

// withTicket fills in what a ticket says.
func (o FormOptions) withTicket(t *ticket.Ticket) (FormOptions, error) {
	switch {
	case t == nil:
		return o, nil
	case !o.Cluster.IsZero() && (o.Cluster.ID != "" || o.Cluster.Name != t.Cluster):
		return o, fmt.Errorf("the ticket is for another cluster, %q", t.Cluster)
	case o.Attrs&xlreg.ClusterUnique != 0:
		return o, errors.New("the ticket has a name for the cluster: the registry cannot make it unique")
	case o.protocol().Classic():
		return o, fmt.Errorf("cluster with a key: %w", ErrNeeds20)
	}
	o.Cluster = t.Ref()
	o.Size, o.EndpointCount = cmp.Or(o.Size, t.Size), cmp.Or(o.EndpointCount, t.EndpointCount)
	o.JoinOnly = o.JoinOnly || t.Owner() == nil
	return o, nil
}

// closeSession closes a session that was given and is not in use yet.
func (o *FormOptions) closeSession() {
	if o.Session != nil {
		o.Session.Close()
	}
}

func (o *FormOptions) check() error {
	switch {
	case o.Node == nil:
		return ErrReadOnly
	case o.Session != nil && o.Session.node != o.Node:
		return errors.New("the session is another node's")
	}
	if err := o.checkSeat(); err != nil {
		return err
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
	create := CreateOptions{Name: o.Cluster.Name, Size: o.Size, EndpointCount: o.EndpointCount, Attrs: o.Attrs}
	return create.check(o.protocol())
}

// checkSeat looks at what is asked for the seat.
func (o *FormOptions) checkSeat() error {
	switch {
	case o.protocol().Classic() && (o.Fresh || o.Lease != 0 || o.Labels != nil):
		return fmt.Errorf("fresh start, lease or labels: %w", ErrNeeds20)
	case o.Lease < 0:
		return fmt.Errorf("lease of %v", o.Lease)
	case o.Fresh && o.NoWait:
		return errors.New("a fresh start waits for the others: its seat goes with the connection until all are there")
	case len(o.Run) > xlreg.MaxRunLen:
		return fmt.Errorf("run of %d bytes, at most %d allowed", len(o.Run), xlreg.MaxRunLen)
	}
	return nil
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
