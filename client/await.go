package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
)

// AwaitOptions say which cluster's roster to wait for, and how to read it.
type AwaitOptions struct {
	Options // over 2.0 no Node is needed

	Cluster xlreg.ClusterRef
	// Size is how many members to wait for; 0 is as many as the cluster is made for.
	Size int
	// Progress is told, in Await's goroutine, which members are there at first, each time
	// that others have joined, and when something has to be tried again. It costs one
	// request for each member that joins; without it the whole wait costs one.
	Progress func(Progress)
	Sparing  bool // see FormOptions
}

// Await returns the verified roster of a cluster as soon as it is complete. It is for
// readers, which need not be members: Form does the same for a node that is to join.
// Over a classic carrier, where only nodes may read, it registers the node first.
//
// When the registry goes away meanwhile, or says to come back later, Await asks again
// until ctx ends. If ctx ends first the error is an *IncompleteError that says who has
// joined, or, if the registry never said, why it did not. With a ticket it waits for the
// cluster's owner to create it, too. Without a deadline Await
// waits without end, for members and for the registry to be within reach alike; Progress
// and the Logger are told.
func Await(ctx context.Context, target Target, o AwaitOptions) (*Roster, error) {
	o.Cluster = clusterNamed(o.Cluster, ticketOf(target))
	a := &awaiting{target: target, o: o, size: o.Size}
	a.o.Options = o.Options.withDefaults()
	if err := a.run(ctx); err != nil {
		return nil, fmt.Errorf("wait for %s: %w", refText(o.Cluster), err)
	}
	a.o.warnOfDates(a.last)
	return a.last, nil
}

// awaiting is one Await under way.
type awaiting struct {
	target Target
	o      AwaitOptions

	size  int       // 0 until it is known
	last  *Roster   // nil until the registry has answered
	heard time.Time // when it last did
}

func (a *awaiting) run(ctx context.Context) error {
	if a.o.Cluster.IsZero() {
		return xlreg.ErrNoClusterNamed
	}
	err := a.o.keepTrying(ctx, a.attempt, func(err error) {
		a.o.Logger.Warn("wait for members is tried again", "cluster", refText(a.o.Cluster), "err", err)
		a.tell(err)
	})
	switch {
	case err == nil || ctx.Err() == nil && !isTimeUp(err):
		return err
	case a.last != nil:
		return incomplete(ctx, &IncompleteError{Roster: a.last, Size: a.size, Heard: a.heard}, err)
	case errors.Is(err, endOf(ctx)):
		return err
	}
	return fmt.Errorf("%w: %w", endOf(ctx), err)
}

// attempt waits in one session. Whoever wants to be told of progress is told at once
// how many members there are, even if there are none.
func (a *awaiting) attempt(ctx context.Context) error {
	c, err := openReader(ctx, reach, a.target, a.o.Options)
	if err != nil {
		return err
	}
	defer c.Close()
	err = a.wait(ctx, c)
	if ticketOf(a.target) != nil && errors.Is(err, xlreg.ErrNoSuchClusterName) {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	return err
}

func (a *awaiting) wait(ctx context.Context, c *Client) error {
	w := &waiter{c: c, ref: a.o.Cluster, size: a.o.Size, sparing: a.o.Sparing}
	defer func() { a.keep(w) }()
	if a.o.Progress != nil {
		w.seen = func(*Roster) { a.keep(w); a.tell(nil) }
	}
	if a.o.Progress != nil && !a.o.Sparing {
		if err := w.look(ctx); err != nil {
			return err
		}
	}
	return w.until(ctx)
}

func (a *awaiting) keep(w *waiter) {
	a.heard = w.c.lastHeard()
	if w.last != nil {
		a.last, a.size = w.last, w.size
	}
}

func (a *awaiting) tell(err error) {
	if a.o.Progress == nil {
		return
	}
	p := Progress{Roster: a.last, Size: a.size, Err: err}
	if a.last != nil {
		p.Cluster = a.last.Cluster
	}
	a.o.Progress(p)
}

// dialReader opens a session in which rosters can be read. Over 2.0 anybody may. Over
// a classic carrier the node has to register: original servers know no log-in, and
// registering again as before is as good as one with every server.
func dialReader(ctx context.Context, target Target, o Options) (*Client, error) {
	return openReader(ctx, Dial, target, o)
}

// dialer is Dial, or reach.
type dialer func(context.Context, Target, Options) (*Client, error)

// openReader is dialReader with the dialer given.
func openReader(ctx context.Context, dial dialer, target Target, o Options) (*Client, error) {
	c, err := dial(ctx, target, o)
	if err != nil || !c.Protocol().Classic() {
		return c, err
	}
	if _, err := c.Register(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
