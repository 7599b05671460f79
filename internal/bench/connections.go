package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// Crowd is many connections to a registry that are open at once. Over 2.0 each
// shows a certificate of its own.
type Crowd struct {
	load    *Load
	cluster xlreg.Name // that all wait for; empty if they are idle
	conns   []session.Conn
	before  int64 // bytes of the server
	waited  int64 // requests that it had got before
}

// waitFor is how many members a crowd waits for.
const waitFor = xlreg.MinClusterSize

// NewCrowd is a crowd of n connections to be opened, which then are idle or, if a
// cluster is named, wait for its members. That cluster must not exist.
func (l *Load) NewCrowd(n int, cluster xlreg.Name) *Crowd {
	return &Crowd{load: l, cluster: cluster, conns: make([]session.Conn, n)}
}

// Open opens all connections, and returns how long each took and what each has
// the server hold. The crowd has to be closed even if it fails.
func (c *Crowd) Open(ctx context.Context) (s Sample, err error) {
	guises, err := c.guises(ctx)
	if err != nil {
		return s, err
	}
	if err := c.prepare(ctx); err != nil {
		return s, err
	}
	if c.before, err = c.memory(); err != nil {
		return s, err
	}
	s, err = c.load.measure(func() ([]time.Duration, error) {
		return timed(ctx, len(c.conns), Clients, func(ctx context.Context, i int) (err error) {
			if c.conns[i], err = c.open(ctx, guises[i]); err != nil {
				return fmt.Errorf("connection %d of %d: %w", i+1, len(c.conns), err)
			}
			return nil
		})
	})
	if err != nil {
		return s, err
	}
	if err := c.arrive(ctx); err != nil {
		return s, err
	}
	after, err := c.memory()
	if s.Memory = unknown; after >= 0 && c.before >= 0 {
		s.Memory = (after - c.before) / int64(len(c.conns))
	}
	return s, err
}

// guises are who each connection is opened by: over 2.0 nodes of one key, but with
// a certificate each, as a server would otherwise keep one for all.
func (c *Crowd) guises(ctx context.Context) ([]*identity.Node, error) {
	list := make([]*identity.Node, len(c.conns))
	own := c.load.Nodes[0]
	return list, each(ctx, len(list), Clients, func(_ context.Context, i int) (err error) {
		if c.load.Protocol.Classic() {
			list[i] = own
			return nil
		}
		list[i], err = identity.NewNode(identity.Options{
			Name: xlreg.Name(fmt.Sprintf("c%d", i)), Keys: own.Keys(), Endpoints: own.Endpoints(),
		})
		if err == nil {
			_, err = list[i].Certificate(time.Now())
		}
		return err
	})
}

// prepare makes the cluster, and has the server do everything once that it does
// only once.
func (c *Crowd) prepare(ctx context.Context) (err error) {
	l := c.load
	if c.cluster == "" {
		return l.session(ctx, l.Protocol, l.Nodes[0], func(session.Conn) error { return nil })
	}
	if l.Process != nil {
		if c.waited, err = l.Process.ask(askWaiting); err != nil {
			return err
		}
	}
	return l.Create(ctx, l.Protocol, l.Nodes[0], c.cluster, waitFor)
}

// arrive returns when the server has got every request of a crowd that waits.
func (c *Crowd) arrive(ctx context.Context) error {
	if c.load.Process == nil || c.cluster == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, messageTime)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n, err := c.load.Process.ask(askWaiting)
		if err != nil || n-c.waited >= int64(len(c.conns)) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d requests arrived: %w", n-c.waited, len(c.conns), ctx.Err())
		case <-tick.C:
		}
	}
}

// memory returns what the server holds.
func (c *Crowd) memory() (int64, error) {
	if c.load.Process == nil {
		return unknown, nil
	}
	return known(c.load.Process.Memory())
}

// open opens one connection. It is there for good when a request was answered.
func (c *Crowd) open(ctx context.Context, node *identity.Node) (session.Conn, error) {
	conn, err := c.load.Connect(ctx, c.load.Protocol, node)
	if err != nil {
		return nil, err
	}
	if c.cluster != "" && c.load.Protocol.Classic() { // who reads has to say who they are
		err = c.load.register(ctx, conn, node)
	} else {
		_, err = ask(ctx, conn, wire.NewRegCredRequest())
	}
	if err == nil && c.cluster != "" {
		size := uint32(waitFor)
		err = conn.Send(ctx, wire.NewGet(wire.GetRequest{
			Ref: xlreg.ClusterRef{Name: c.cluster}, Which: xlreg.AllSeats(), Wait: true, WaitSize: &size,
		}, c.load.Protocol))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Answer lets members join until nobody has to wait any longer, and returns when
// each connection has had its answer after the last Join was sent.
func (c *Crowd) Answer(ctx context.Context) (Sample, error) {
	conns, err := c.load.connectAll(ctx, waitFor)
	defer closeAll(conns)
	if err != nil {
		return Sample{}, err
	}
	join := wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: c.cluster}})
	for _, conn := range conns[1:] {
		if _, err := ask(ctx, conn, join); err != nil {
			return Sample{}, err
		}
	}
	return c.load.measure(func() ([]time.Duration, error) {
		took, begun := make([]time.Duration, len(c.conns)), time.Now()
		if err := conns[0].Send(ctx, join); err != nil {
			return nil, err
		}
		return took, each(ctx, len(c.conns), 0, func(ctx context.Context, i int) error {
			err := receiveWaited(ctx, c.conns[i])
			took[i] = time.Since(begun)
			return err
		})
	})
}

func receiveWaited(ctx context.Context, conn session.Conn) error {
	reply, err := conn.Receive(ctx)
	if err != nil {
		return err
	}
	got, err := reply.Get(conn.Peer().Protocol)
	if err != nil {
		return err
	}
	if n := got.Which.Len(); reply.Op() != wire.OpClusterMembers || n != waitFor {
		return fmt.Errorf("%v with %d members in answer to a wait: %w", reply.Op(), n, reply.Err())
	}
	return nil
}

// Close ends all connections.
func (c *Crowd) Close() { closeAll(c.conns) }
