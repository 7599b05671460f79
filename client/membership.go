package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/regcred"
)

// Membership is a node's own seat in a cluster that Form made complete. It holds no
// connection: the registry is dialled when it is asked something. All methods
// may be called from any goroutine.
type Membership struct {
	target *regcred.Target
	o      Options
	id     xlreg.NodeID

	allowUnverified bool // see FormOptions

	mu     sync.Mutex
	roster *Roster // guarded by mu
}

// newMembership looks for the node in its roster, with its own key: what it is
// told of itself is the one thing that a node can know to be wrong.
func newMembership(target *regcred.Target, o *FormOptions, roster *Roster, id xlreg.NodeID) (*Membership, error) {
	m := &Membership{target: target, o: o.Options, id: id, roster: roster, allowUnverified: o.AllowUnverified}
	if err := m.checkSelf(roster); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Membership) checkSelf(roster *Roster) error {
	self := roster.ByID(m.id)
	if self == nil {
		return xlreg.Errorf(xlreg.ErrNotMember, "another node of this name and key has taken the place of %v, or it left", m.id)
	}
	if self.Token.SigKey != m.o.Node.Keys().SigKey {
		return xlreg.Errorf(xlreg.ErrBadSignature, "the registry shows another key as that of this node")
	}
	return nil
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
func (m *Membership) Self() *Member { return m.Roster().ByID(m.id) }

// Node returns the node.
func (m *Membership) Node() *identity.Node { return m.o.Node }

// Refresh asks the registry who is in the cluster now, and keeps and returns
// that. If the node itself is no longer in it the error is xlreg.ErrNotMember,
// and what was known before is kept.
func (m *Membership) Refresh(ctx context.Context) (*Roster, error) {
	roster, err := m.read(ctx)
	if err == nil {
		err = m.checkSelf(roster)
	}
	if err != nil {
		return nil, fmt.Errorf("refresh roster: %w", err)
	}
	m.o.warnOfDates(roster)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roster = roster
	return roster, nil
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
	if join {
		_, err = c.Join(ctx, m.ref())
	}
	if err == nil {
		r, err = c.Members(ctx, m.ref())
	}
	return r, c.original, err
}

// Leave gives the node's seat up. What Roster returns stays as it was. Classic
// carriers have no Leave.
func (m *Membership) Leave(ctx context.Context) error {
	c, err := m.logIn(ctx)
	if err != nil {
		return fmt.Errorf("leave %s: %w", refText(m.ref()), err)
	}
	defer c.Close()
	return c.Leave(ctx, m.ref())
}

// logIn opens a session as the node.
func (m *Membership) logIn(ctx context.Context) (*Client, error) {
	c, err := Dial(ctx, m.target, m.o)
	if err != nil {
		return nil, err
	}
	if c.Protocol().Classic() {
		return nil, errors.Join(ErrNeeds20, c.Close())
	}
	if _, err := c.Login(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (m *Membership) ref() xlreg.ClusterRef {
	cluster := m.Cluster()
	return xlreg.ClusterRef{ID: cluster.ID, Name: cluster.Name}
}
