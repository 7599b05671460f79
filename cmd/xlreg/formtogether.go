package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/ticket"
)

// together is how the nodes of one process form a cluster. Over 2.0 they start afresh, so
// members of an earlier run are not taken for some of this one.
type together struct {
	client.Options // except Node
	target         client.Target

	nodes         []*identity.Node // those of this process; their endpoints are set
	cluster       xlreg.ClusterRef // zero: a new one
	size          int              // how many members it is made for, some of which may be elsewhere
	endpointCount int
	lease         time.Duration         // after which the seats of a process that was killed are free; 0: never
	unverified    bool                  // take members that came over a classic carrier
	progress      func(client.Progress) // told how far the first node has come; nil: nobody is, as with the next one
	sparing       bool                  // it need not be told of each step
	seated        func(i int)           // told that the node i has its seat
	news          *strangerNews         // told while the members follow the cluster

	runs []xlreg.Run // one for each node; none over a classic carrier
}

// form makes all nodes members of one cluster and returns when everybody is there.
// They take their seats one after the other, so in a new cluster the index of a member
// is its place in nodes. And when two processes want to form a cluster of the same
// name, with nodes of the same names, one of them succeeds and the other learns of it
// before it has taken a seat.
func (o *together) form(ctx context.Context) ([]*client.Membership, error) {
	o.runs = make([]xlreg.Run, len(o.nodes))
	o.Proven = new(client.Proven)
	if !o.Protocol.Classic() || o.Protocol == 0 {
		for i := range o.runs {
			o.runs[i] = newStart()
		}
	}
	sessions, cluster, err := o.takeSeats(ctx)
	if err != nil {
		closeSessions(sessions)
		return nil, err
	}
	o.news.cluster = cluster.Name
	members := make([]*client.Membership, len(o.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.nodes {
		group.Go(func() (err error) {
			members[i], err = o.await(ctx, i, sessions[i], cluster)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		closeMembers(members)
		o.giveUpSeats(cluster)
		return nil, err
	}
	return members, nil
}

// newStart names a start of a program.
func newStart() xlreg.Run {
	b := make([]byte, xlreg.MaxRunLen/2)
	rand.Read(b) // never fails
	return xlreg.Run(b)
}

func closeSessions(sessions []*client.Client) {
	for _, c := range sessions {
		if c != nil {
			c.Close()
		}
	}
}

func closeMembers(members []*client.Membership) {
	for _, m := range members {
		if m != nil {
			m.Close()
		}
	}
}

// giveUpSeats is for a formation that failed after the nodes had taken their seats, which
// nobody would come back to. What cannot be given up is lost, as with a run that was
// killed; the error that matters is the one that led here.
func (o *together) giveUpSeats(cluster xlreg.Cluster) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	var group errgroup.Group
	for i := range o.nodes {
		group.Go(func() error {
			c, err := o.open(ctx, i)
			if err != nil {
				return err
			}
			defer c.Close()
			return c.Leave(ctx, refOf(cluster))
		})
	}
	_ = group.Wait()
}

func refOf(cluster xlreg.Cluster) xlreg.ClusterRef {
	return xlreg.ClusterRef{ID: cluster.ID, Key: cluster.Key}
}

// takeSeats returns the cluster in which all nodes have a seat now, and the sessions that
// hold the seats. With an error there may be sessions, too.
func (o *together) takeSeats(ctx context.Context) (sessions []*client.Client, cluster xlreg.Cluster, err error) {
	sessions, err = o.openSessions(ctx)
	if err != nil {
		return sessions, cluster, err
	}
	if cluster, err = o.find(ctx, sessions[0]); err != nil {
		return sessions, cluster, err
	}
	for i, c := range sessions {
		if err := o.takeSeat(ctx, i, c, cluster); err != nil {
			return sessions, cluster, o.of(i, err)
		}
		if o.seated != nil {
			o.seated(i)
		}
	}
	return sessions, cluster, nil
}

// find creates the cluster, or finds it if there is one.
func (o *together) find(ctx context.Context, c *client.Client) (xlreg.Cluster, error) {
	create := client.CreateOptions{Name: o.cluster.Name, Size: o.size, EndpointCount: o.endpointCount}
	t, isTicket := o.target.(*ticket.Ticket)
	if !isTicket {
		return c.Create(ctx, create)
	}
	if create.Owner = t.Owner(); create.Owner != nil {
		return c.Create(ctx, create)
	}
	return o.awaitOwner(ctx, c)
}

// awaitOwner waits for the cluster's owner to create it.
func (o *together) awaitOwner(ctx context.Context, c *client.Client) (xlreg.Cluster, error) {
	for {
		cluster, err := c.Cluster(ctx, o.cluster)
		if !errors.Is(err, xlreg.ErrNoSuchClusterName) {
			return cluster, err
		}
		if pause(ctx, lookAgain) != nil {
			return cluster, err
		}
	}
}

const lookAgain = 200 * time.Millisecond

// pause waits, and returns ctx's error if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeSeat takes the seat of one node. If others have the name or the last seat, they may
// be what a run has left that was killed: then their leases run out.
func (o *together) takeSeat(ctx context.Context, i int, c *client.Client, cluster xlreg.Cluster) error {
	join := client.JoinOptions{Cluster: refOf(cluster), Run: o.runs[i], Fresh: o.runs[i] != "", Lease: o.lease}
	var until time.Time
	for {
		_, err := c.JoinWith(ctx, join)
		if !errors.Is(err, xlreg.ErrMemberNameInUse) && !errors.Is(err, xlreg.ErrClusterFull) || c.Protocol().Classic() {
			return err
		}
		longest := o.leaseOfOthers(ctx, c, cluster)
		if until.IsZero() {
			until = time.Now().Add(longest + time.Second)
		}
		if longest == 0 || time.Now().After(until) || pause(ctx, lookAgain) != nil {
			return err
		}
	}
}

// leaseOfOthers returns within which time all members that are not of this process will be
// gone if they are dead. It is 0 if one of them never goes.
func (o *together) leaseOfOthers(ctx context.Context, c *client.Client, cluster xlreg.Cluster) time.Duration {
	own := make(map[xlreg.SigKey]bool)
	for _, node := range o.nodes {
		own[node.Keys().SigKey] = true
	}
	roster, err := c.Members(ctx, refOf(cluster))
	if err != nil {
		return 0
	}
	var longest time.Duration
	for i := range roster.Members {
		t := &roster.Members[i].Token
		switch {
		case own[t.SigKey]:
		case t.Seat.Lease == 0:
			return 0
		default:
			longest = max(longest, t.Seat.Lease)
		}
	}
	return longest
}

// of says which member an error is about.
func (o *together) of(i int, err error) error {
	return fmt.Errorf("member %s: %w", o.nodes[i].Name(), err)
}

// openSessions opens a session for each node and registers it. With an error some of
// the sessions may be nil.
func (o *together) openSessions(ctx context.Context) ([]*client.Client, error) {
	sessions := make([]*client.Client, len(o.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.nodes {
		group.Go(func() (err error) {
			if sessions[i], err = o.open(ctx, i); err != nil {
				return o.of(i, err)
			}
			return nil
		})
	}
	return sessions, group.Wait()
}

func (o *together) open(ctx context.Context, i int) (*client.Client, error) {
	options := o.Options
	options.Node = o.nodes[i]
	c, err := client.Dial(ctx, o.target, options)
	if err != nil {
		return nil, err
	}
	if _, err := c.Register(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// await waits for the others as one member, which has its seat already. Until all are there
// a seat that was taken afresh goes with the session that took it.
func (o *together) await(ctx context.Context, i int, session *client.Client, cluster xlreg.Cluster) (*client.Membership, error) {
	options := client.FormOptions{
		Options: o.Options, Session: session, Size: o.size, EndpointCount: o.endpointCount, AllowUnverified: o.unverified,
		Run: o.runs[i], Fresh: o.runs[i] != "", Lease: o.lease,
		Stranger: o.news.stranger,
	}
	if _, isTicket := o.target.(*ticket.Ticket); !isTicket {
		options.Cluster = xlreg.ClusterRef{Name: cluster.Name}
	}
	options.Node = o.nodes[i]
	if i == 0 {
		options.Progress, options.Sparing = o.progress, o.sparing
	}
	m, err := client.Form(ctx, o.target, options)
	if err != nil {
		return nil, o.of(i, err)
	}
	return m, nil
}

// leaveAll gives up the seats of members.
func leaveAll(ctx context.Context, members []*client.Membership) error {
	var group errgroup.Group
	for _, m := range members {
		group.Go(func() error { return m.Leave(ctx) })
	}
	return group.Wait()
}
