package client

import (
	"context"
	"sync"
)

// keeper follows the cluster of a Membership in the background, for as long as somebody
// needs it: the lease, and each Watch. It owns the goroutine that does it.
type keeper struct {
	m         *Membership
	again     *rejoining // what to do first; nil: nothing. Owned by what runs
	strangers strangers  // owned by what runs

	turn   sync.Mutex // held by whoever starts or stops it; never taken by what runs
	users  int        // guarded by turn
	held   bool       // guarded by turn: one of the users is the lease
	closed bool       // guarded by turn
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// init is called before all else. Stranger may be nil.
func (k *keeper) init(m *Membership, stranger func(error)) {
	k.m = m
	k.strangers = strangers{log: m.o.Logger, cluster: refText(m.ref), tell: stranger}
}

// hold follows until close, at first with a session that is open.
func (k *keeper) hold(c *Client) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.held = true
	k.users++
	k.start(c)
}

// acquire follows until release, and reports false if the Membership was closed.
func (k *keeper) acquire() bool {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.closed {
		return false
	}
	if k.users++; k.users == 1 {
		k.start(nil)
	}
	return true
}

// release waits, if nobody else needs it, until nothing runs any more.
func (k *keeper) release() {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.users--; k.users == 0 {
		k.stop()
	}
}

func (k *keeper) close() {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.closed = true; k.held {
		k.held = false
		k.users--
	}
	k.stop()
}

// start and stop are called with turn held.
func (k *keeper) start(c *Client) {
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.work.Go(func() { k.run(ctx, c) })
}

func (k *keeper) stop() {
	if k.cancel != nil {
		k.cancel()
		k.work.Wait()
		k.cancel = nil
	}
}

// run follows until ctx ends, or until the node is no member any more.
func (k *keeper) run(ctx context.Context, c *Client) {
	m := k.m
	k.strangers.lease = m.Lease()
	c, err := k.rejoin(ctx, c)
	if err == nil {
		f := follower{
			ref: m.ref, o: &m.o, session: c, last: m.Roster(), news: m.take, same: m.hear,
			open:      func(ctx context.Context) (*Client, error) { return m.logInBy(ctx, reachAgain) },
			strangers: &k.strangers,
		}
		err = f.run(ctx)
	}
	if ctx.Err() == nil {
		m.o.Logger.Warn("this node is no member any more, as far as can be known", "cluster", refText(m.ref), "err", err)
		m.end(err)
	}
}

// rejoin takes the seat again for a Membership that was resumed, and returns the session in
// which it did, which is the Membership's own from then on.
func (k *keeper) rejoin(ctx context.Context, c *Client) (*Client, error) {
	if k.again == nil {
		return c, nil
	}
	var roster *Roster
	err := k.strangers.outlast(ctx, always, func(ctx context.Context) (err error) {
		c, roster, err = k.again.run(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	k.strangers.gone()
	m := k.m
	m.mu.Lock()
	m.place, m.lease = k.again.place, k.again.lasting(k.again.place.find(roster))
	c.lease, k.strangers.lease = m.lease, m.lease
	m.mu.Unlock()
	k.again = nil
	if err := m.take(m.Roster(), roster); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
