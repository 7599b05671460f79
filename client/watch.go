package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/xlattice/xlreg"
)

// Change is what is different in a roster from the one before it.
type Change struct {
	Roster  *Roster  // as it is now
	Came    []Member // who was not there
	Went    []Member // who is not there any more, as they were
	Changed []Member // who says something else than before, or started anew, as they are
}

// IsZero reports whether nothing that members say is different.
func (c *Change) IsZero() bool { return len(c.Came)+len(c.Went)+len(c.Changed) == 0 }

// String says who came, went and changed.
func (c *Change) String() string {
	text := fmt.Sprintf("%v, revision %d:", c.Roster.Cluster, c.Roster.State.Revision)
	for _, list := range []struct {
		mark    string
		members []Member
	}{{"+", c.Came}, {"-", c.Went}, {"~", c.Changed}} {
		for i := range list.members {
			text += " " + list.mark + string(list.members[i].Token.Name)
		}
	}
	return text
}

// changeFrom compares a roster with the one before it, nil for none. A member is its key.
func changeFrom(before, now *Roster) Change {
	c := Change{Roster: now}
	known := make(map[xlreg.SigKey]*Member)
	if before != nil {
		for i := range before.Members {
			known[before.Members[i].Token.SigKey] = &before.Members[i]
		}
	}
	for i := range now.Members {
		m := &now.Members[i]
		was := known[m.Token.SigKey]
		delete(known, m.Token.SigKey)
		switch {
		case was == nil:
			c.Came = append(c.Came, *m)
		case was.sum != m.sum || was.Index != m.Index:
			c.Changed = append(c.Changed, *m)
		}
	}
	if before == nil {
		return c
	}
	for i := range before.Members {
		if m := &before.Members[i]; known[m.Token.SigKey] == m {
			c.Went = append(c.Went, *m)
		}
	}
	return c
}

// Watch yields each change of the cluster once, through reconnects, restarts of the registry
// and changes from one of its servers to another, until ctx ends, the caller has enough, or the node is no member any more. It
// begins with what is different from the roster that Form returned. Changes that come
// quickly one after another may come as one. When Watch yields a change, Roster and the
// TLS configurations have it already.
//
// If somebody else answers at the registry's address meanwhile, nothing of what that one says
// is believed, and Watch goes on when the registry is back: see FormOptions.Stranger.
//
// It ends with an error: ctx's; a *TwinError if another process with the node's key has
// taken its seat; ErrNewEpoch if the cluster has started anew; one of kind
// xlreg.ErrNotMember if the node left, was evicted, or lost its lease; that of the registry if the
// cluster is gone; ErrClosed.
func (m *Membership) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if err := m.watch(ctx, func(c Change) bool { return yield(c, nil) }); err != nil {
			yield(Change{}, fmt.Errorf("watch %s: %w", refText(m.ref), err))
		}
	}
}

// watch returns nil if yield has had enough.
func (m *Membership) watch(ctx context.Context, yield func(Change) bool) error {
	if m.o.protocol().Classic() {
		return ErrNeeds20
	}
	if !m.keeper.acquire() {
		return ErrClosed
	}
	defer m.keeper.release()
	seen := m.formed
	for {
		now, err := m.next(ctx, seen)
		if err != nil {
			return err
		}
		if c := changeFrom(seen, now); !c.IsZero() && !yield(c) {
			return nil
		}
		seen = now
	}
}

// next waits for another roster than the one that was seen.
func (m *Membership) next(ctx context.Context, seen *Roster) (*Roster, error) {
	for {
		m.mu.Lock()
		now, fate, moved := m.roster, m.fate, m.moved
		m.mu.Unlock()
		switch {
		case now.Sum != seen.Sum:
			return now, nil
		case fate != nil:
			return nil, fate
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// WatchOptions say which cluster to watch, and how to read it.
type WatchOptions struct {
	Options // no Node is needed

	Cluster xlreg.ClusterRef // zero: that of the ticket
	// Stranger is told, in the goroutine of the Watch, what FormOptions.Stranger is told of a
	// Membership.
	Stranger func(error)
}

// Watch is Membership.Watch for a reader, who need not be a member. It begins with all who
// are there. It ends with ctx's error, or with that of the registry if the cluster is gone; and
// with ErrUntrusted if the first who answers is not the registry.
func Watch(ctx context.Context, target Target, o WatchOptions) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		o.Options, o.Cluster = o.Options.withDefaults(), clusterNamed(o.Cluster, ticketOf(target))
		err := o.watch(ctx, target, func(c Change) bool { return yield(c, nil) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(Change{}, fmt.Errorf("watch %s: %w", refText(o.Cluster), err))
		}
	}
}

func (o *WatchOptions) watch(ctx context.Context, target Target, yield func(Change) bool) error {
	if o.Cluster.IsZero() {
		return xlreg.ErrNoClusterNamed
	}
	f := follower{
		ref: o.Cluster, o: &o.Options,
		strangers: &strangers{log: o.Logger, cluster: refText(o.Cluster), tell: o.Stranger},
		news: func(before, now *Roster) error {
			o.warnOfPast(before, now)
			if c := changeFrom(before, now); (before == nil || !c.IsZero()) && !yield(c) {
				return errEnough
			}
			return nil
		},
	}
	f.open = func(ctx context.Context) (*Client, error) {
		dial := reach
		if f.known() {
			dial = reachAgain
		}
		return openWatch(ctx, dial, target, o.Options)
	}
	return f.run(ctx)
}

// errEnough ends a Watch whose caller has had enough.
var errEnough = errors.New("enough")
