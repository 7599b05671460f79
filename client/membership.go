package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
)

// Membership is a node's own seat in a cluster that Form made complete. All methods
// may be called from any goroutine.
//
// With a Lease it keeps a session with the registry, which keeps the seat and follows the
// cluster, until it is closed. Without one it holds no connection, but while somebody is in
// a Watch: the registry is dialled when it is asked something.
type Membership struct {
	target Target
	o      Options
	ref    xlreg.ClusterRef // with the cluster's key, if that is pinned

	allowUnverified bool // see FormOptions

	keeper keeper

	mu     sync.Mutex
	place  place         // guarded by mu, as is all below
	lease  time.Duration // 0: none
	formed *Roster       // what Form returned
	roster *Roster       // the last
	heard  time.Time     // when the registry last said that this is the roster
	sums   []sumOf       // of the last revisions, the newest last
	fate   error         // why the node is no member any more; nil: it is one
	moved  chan struct{} // closed when roster or fate changes
}

// newMembership looks for the node in its roster, with its own key. It takes the session over:
// to keep the lease, if there is one, and closes it otherwise.
func newMembership(f *formation, roster *Roster, c *Client) (*Membership, error) {
	m := &Membership{
		target: f.target, o: f.o.Options, place: f.place, lease: f.lasting(f.place.find(roster)), allowUnverified: f.o.AllowUnverified,
		ref:    xlreg.ClusterRef{ID: roster.Cluster.ID, Name: roster.Cluster.Name, Key: f.ref.Key},
		formed: roster, moved: make(chan struct{}),
	}
	m.keeper.init(m, f.o.Stranger)
	if err := m.place.check(roster); err != nil {
		c.Close()
		return nil, err
	}
	m.accept(nil, roster)
	if m.lease == 0 {
		c.Close()
		return m, nil
	}
	c.lease = m.lease
	m.keeper.hold(c)
	return m, nil
}

// Cluster returns the cluster.
func (m *Membership) Cluster() xlreg.Cluster { return m.Roster().Cluster }

// Roster returns the members as last heard.
func (m *Membership) Roster() *Roster {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster
}

// Self returns the node itself as a member.
func (m *Membership) Self() *Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.place.find(m.roster)
}

// Node returns the node.
func (m *Membership) Node() *identity.Node { return m.o.Node }

// Lease returns how long the seat lasts without a sign of life; 0 is for ever. The registry
// may have made another of what was asked for.
func (m *Membership) Lease() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease
}

// seat returns what the node knows of its seat.
func (m *Membership) seat() place {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.place
}

// Err returns why the node is no member any more, as far as is known: a *TwinError,
// ErrNewEpoch, xlreg.ErrNotMember, or what keeps the lease from being kept. It is nil as
// long as all is well, and of a Membership that nobody watches and that has no lease only
// Refresh finds out.
func (m *Membership) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fate
}

// Refresh asks the registry who is in the cluster now, and keeps and returns
// that. If the node is no longer in it the error is of kind xlreg.ErrNotMember, or a
// *TwinError if another process with its key has taken its seat; what was known before
// is kept.
func (m *Membership) Refresh(ctx context.Context) (*Roster, error) {
	before := m.Roster()
	now, err := m.readSince(ctx, before)
	if err == nil {
		err = m.take(before, now)
	}
	if err != nil {
		return nil, fmt.Errorf("refresh roster: %w", err)
	}
	return m.Roster(), nil
}

// take makes now the last roster, unless the node is no member in it: that is its fate.
// Before is the one that was known when the registry was asked.
func (m *Membership) take(before, now *Roster) error {
	if isOvertaken(m.Roster(), before, now) {
		return nil
	}
	own := m.seat()
	if err := own.check(now); err != nil {
		m.end(err)
		return err
	}
	m.o.warnOfDates(now)
	m.accept(before, now)
	return nil
}

// isOvertaken reports whether another session has brought a newer roster, the last, than now
// since the registry was asked. That the registry itself has gone back is another matter.
func isOvertaken(last, before, now *Roster) bool { return isPast(last, now) && !isPast(before, now) }

// accept makes now the last roster.
func (m *Membership) accept(before, now *Roster) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if isOvertaken(m.roster, before, now) {
		return
	}
	m.o.warnOfPast(m.roster, now)
	m.roster, m.heard = now, m.o.Now()
	m.remember(now)
	m.wake()
}

// end notes why the node is no member any more, once.
func (m *Membership) end(fate error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fate == nil {
		m.fate = fate
		m.wake()
	}
}

// wake tells those who wait for the roster to change. The caller holds mu.
func (m *Membership) wake() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// readSince asks for the members, and again for a while if they are those of an older
// revision than before.
func (m *Membership) readSince(ctx context.Context, before *Roster) (*Roster, error) {
	pauses := backoff{first: againFirstPause, most: againMostPause}
	for began := time.Now(); ; {
		now, err := m.readAnywhere(ctx)
		if err != nil || !isPast(before, now) || time.Since(began) >= catchUp {
			return now, err
		}
		if err := pauses.pause(ctx, 0); err != nil {
			return nil, err
		}
	}
}

// readAnywhere asks for the members, of each server once as long as they turn this client
// away.
func (m *Membership) readAnywhere(ctx context.Context) (*Roster, error) {
	for {
		r, err := m.read(ctx)
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return r, err
		}
		if atOnce, _ := m.o.route.another(); !atOnce {
			return nil, err
		}
	}
}

// read asks for the members. An original server tells them to those alone who join
// in the same session, and joining again changes nothing there; elsewhere it could
// take a seat that this node has given up.
func (m *Membership) read(ctx context.Context) (*Roster, error) {
	r, original, err := m.readOnce(ctx, false)
	if original && errors.Is(err, xlreg.ErrWrongState) {
		r, _, err = m.readOnce(ctx, true)
	}
	return r, err
}

// readOnce reads in one session.
func (m *Membership) readOnce(ctx context.Context, join bool) (r *Roster, original bool, err error) {
	c, err := dialReader(ctx, m.target, m.o)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	c.verifier.remember(m.Roster())
	if join {
		_, err = c.Join(ctx, m.ref)
	}
	if err == nil {
		r, err = c.Members(ctx, m.ref)
	}
	return r, c.original, err
}

// Leave gives the node's seat up, and closes the Membership. What Roster returns stays as
// it was. Classic carriers have no Leave.
func (m *Membership) Leave(ctx context.Context) error {
	c, err := m.logIn(ctx)
	if err != nil {
		return fmt.Errorf("leave %s: %w", refText(m.ref), err)
	}
	defer c.Close()
	if err := m.Close(); err != nil {
		return err
	}
	return c.Leave(ctx, m.ref)
}

// Close ends what the Membership does in the background, and waits for it; a Watch ends
// with ErrClosed. The seat stays until its lease runs out, or for ever: Leave gives it up.
// Close may be called again, and always returns nil.
func (m *Membership) Close() error {
	m.end(ErrClosed)
	m.keeper.close()
	return nil
}

// logIn opens a session as the node.
func (m *Membership) logIn(ctx context.Context) (*Client, error) { return m.logInBy(ctx, Dial) }

func (m *Membership) logInBy(ctx context.Context, dial dialer) (*Client, error) {
	c, err := dial(ctx, m.target, m.o)
	if err != nil {
		return nil, err
	}
	if c.Protocol().Classic() {
		return nil, errors.Join(ErrNeeds20, c.Close())
	}
	if _, err := c.Login(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.lease = m.Lease()
	return c, nil
}
