package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// follower follows a cluster through sessions: it asks for what is new until its context
// ends or the cluster is gone. Each request that waits is a sign of life, if the session is
// the node's own.
type follower struct {
	ref  xlreg.ClusterRef
	o    *Options
	open func(context.Context) (*Client, error)
	// news is told of each roster that is another than the last, and of the last, which is
	// nil at first. An error ends it.
	news func(before, now *Roster) error
	// same is told when the registry says that the last roster is still the one; may be nil.
	same func()
	// strangers are outlasted as soon as the registry has once been there.
	strangers *strangers

	session *Client   // one that is open already; nil: none is
	last    *Roster   // nil: nothing is known yet
	behind  time.Time // since when the registry has shown nothing but older rosters; zero: it has not
}

// run follows. It returns ctx's error, or why there is nothing to follow any more.
func (f *follower) run(ctx context.Context) error {
	err := f.strangers.outlast(ctx, f.known, func(ctx context.Context) error {
		return f.o.keepTrying(ctx, f.attempt, func(err error) {
			f.o.Logger.Warn("cluster is watched again", "cluster", refText(f.ref), "err", err)
		})
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// known reports whether the registry has been there before: it has told of the cluster.
func (f *follower) known() bool { return f.last != nil }

// attempt follows with one session.
func (f *follower) attempt(ctx context.Context) error {
	c, err := f.take(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if f.last != nil {
		c.verifier.follow(&f.last.Cluster)
		c.verifier.remember(f.last)
	}
	for {
		if err := f.ask(ctx, c); err != nil {
			return err
		}
	}
}

func (f *follower) take(ctx context.Context) (*Client, error) {
	c := f.session
	if f.session = nil; c != nil {
		return c, nil
	}
	c, err := f.open(ctx)
	if err == nil {
		f.strangers.gone()
	}
	return c, err
}

// ask asks for news once, and passes them on.
func (f *follower) ask(ctx context.Context, c *Client) error {
	roster, err := c.news(ctx, f.ref, f.last)
	if err != nil {
		return err
	}
	if err := f.checkAge(roster); err != nil {
		c.route.leave(c.endpoint, 0)
		return err
	}
	if f.last != nil && roster.Sum == f.last.Sum {
		if f.same != nil {
			f.same()
		}
		return nil
	}
	before := f.last
	f.last = roster
	return f.news(before, roster)
}

// checkAge refuses a roster that is older than the last. If the registry has had none but
// those for some time, it is what there is.
func (f *follower) checkAge(r *Roster) error {
	if !isPast(f.last, r) {
		f.behind = time.Time{}
		return nil
	}
	if f.behind.IsZero() {
		f.behind = time.Now()
	}
	if time.Since(f.behind) < catchUp {
		return fmt.Errorf("%w: revision %d after %d", errBehind, r.State.Revision, f.last.State.Revision)
	}
	return nil
}

// news returns the roster when it is another than last, or after a while; at once if
// nothing is known, or if this is the first request of the session for it.
func (c *Client) news(ctx context.Context, ref xlreg.ClusterRef, last *Roster) (*Roster, error) {
	return call(ctx, c, "watch "+refText(ref), func() (*Roster, error) {
		get := wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}
		patience := c.silence
		if last != nil {
			wait := waitTime(ctx, c.longestWait())
			millis := uint32(wait.Milliseconds())
			get.Since, get.Wait, get.WaitMillis = &last.State.Revision, true, &millis
			patience = wait + c.slack()
		}
		received, err := c.receive(ctx, get, last, patience)
		if err != nil {
			return nil, err
		}
		return c.verify(received)
	})
}

// catchUp is how long a registry may show an older revision of a cluster than before, until
// that is believed. A server that has fallen behind the others of its registry is not for as
// long; a registry that was restored from a backup, or shows what is past, stays there.
const catchUp = 3 * time.Second

// isPast reports whether now is an older state of the same cluster than before.
func isPast(before, now *Roster) bool {
	return before != nil && before.Cluster.ID == now.Cluster.ID && now.State.Revision < before.State.Revision
}

// warnOfPast tells the log when a registry goes back for good. Within one session that is an
// error at once.
func (o *Options) warnOfPast(before, now *Roster) {
	if isPast(before, now) {
		o.Logger.Warn("registry shows an older revision of the cluster than before",
			"cluster", clusterText(&now.Cluster), "revision", now.State.Revision, "before", before.State.Revision)
	}
}

// errNoNews says that a registry speaks too old a protocol to be watched.
var errNoNews = fmt.Errorf("watch a cluster: %w", ErrNeeds20)

// openWatch opens a reader's session for a follower.
func openWatch(ctx context.Context, dial dialer, target Target, o Options) (*Client, error) {
	c, err := dial(ctx, target, o)
	if err == nil && c.Protocol().Classic() {
		return nil, errors.Join(errNoNews, c.Close())
	}
	return c, err
}
