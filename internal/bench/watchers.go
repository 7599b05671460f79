package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// Watched is what it took to tell watchers of a cluster that others have joined it.
type Watched struct {
	Answers int           // to all watchers
	Bytes   int           // of all answers
	Last    time.Duration // from the answer to the last Join until all have been told of it
}

// Watch lets all nodes join a new cluster, one after the other, while a number of readers
// watch it, over a connection each.
func (l *Load) Watch(ctx context.Context, cluster xlreg.Name, watchers int) (w Watched, err error) {
	if err := l.Create(ctx, l.Protocol, l.Nodes[0], cluster, len(l.Nodes)); err != nil {
		return w, err
	}
	conns, err := l.readers(ctx, watchers)
	defer closeAll(conns)
	if err != nil {
		return w, err
	}
	var answers, bytes, ready atomic.Int64
	var told time.Time
	group, ctx := errgroup.WithContext(ctx)
	begun := make(chan struct{})
	done := make([]time.Time, len(conns))
	for i, conn := range conns {
		group.Go(func() error {
			return watch(ctx, conn, xlreg.ClusterRef{Name: cluster}, len(l.Nodes), func(first bool, size int) {
				if first && ready.Add(1) == int64(len(conns)) {
					close(begun)
				}
				if !first {
					answers.Add(1)
					bytes.Add(int64(size))
				}
				done[i] = time.Now()
			})
		})
	}
	group.Go(func() error {
		select {
		case <-begun:
		case <-ctx.Done():
			return ctx.Err()
		}
		told, err = l.joinAll(ctx, cluster)
		return err
	})
	if err := group.Wait(); err != nil {
		return w, err
	}
	for _, at := range done {
		w.Last = max(w.Last, at.Sub(told))
	}
	w.Answers, w.Bytes = int(answers.Load()), int(bytes.Load())
	return w, nil
}

// readers opens connections of nobody.
func (l *Load) readers(ctx context.Context, n int) ([]session.Conn, error) {
	conns := make([]session.Conn, n)
	return conns, each(ctx, n, Clients, func(ctx context.Context, i int) (err error) {
		conns[i], err = l.Connect(ctx, l.Protocol, nil)
		return err
	})
}

// watch asks for news until the cluster has all its members, and tells of each answer.
func watch(ctx context.Context, conn session.Conn, ref xlreg.ClusterRef, members int, tell func(first bool, size int)) error {
	p := conn.Peer().Protocol
	request, millis := wire.GetRequest{Ref: ref, Which: xlreg.AllSeats()}, uint32(messageTime.Milliseconds())
	for {
		reply, err := ask(ctx, conn, wire.NewGet(request, p))
		if err != nil {
			return err
		}
		tell(!request.Wait, reply.Size())
		read, err := reply.Roster(p)
		if err != nil {
			return err
		}
		if read.Seats.Len() >= members {
			return nil
		}
		request.Since, request.Wait, request.WaitMillis = &read.State.Revision, true, &millis
	}
}

// joinAll lets the nodes join one after the other, each over a connection that is open
// already, and returns when the last was answered.
func (l *Load) joinAll(ctx context.Context, cluster xlreg.Name) (time.Time, error) {
	conns, err := l.connectAll(ctx, len(l.Nodes))
	defer closeAll(conns)
	if err != nil {
		return time.Time{}, err
	}
	for _, conn := range conns {
		if _, err := ask(ctx, conn, wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: cluster}})); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// Leases lets every node have a lease in a cluster, and keeps them for a time: each node
// watches, with waits of a third of its lease, as clients do. As many clusters are made as
// have room for all. It returns the server's processor time once everybody watches.
func (l *Load) Leases(ctx context.Context, name xlreg.Name, lease, keep time.Duration) (Sample, error) {
	kept := make([]keptLease, len(l.Nodes))
	defer func() {
		for i := range kept {
			kept[i].close()
		}
	}()
	err := each(ctx, len(kept), Clients, func(ctx context.Context, i int) (err error) {
		if kept[i], err = l.leased(ctx, l.Nodes[i], clusterOf(name, i), lease); err != nil {
			return fmt.Errorf("lease %d of %d: %w", i+1, len(kept), err)
		}
		return nil
	})
	if err != nil {
		return Sample{}, err
	}
	err = each(ctx, len(kept), Clients, func(ctx context.Context, i int) error { return kept[i].ask(ctx, 0) })
	if err != nil {
		return Sample{}, err
	}
	return l.measure(func() ([]time.Duration, error) {
		until := time.Now().Add(keep)
		return nil, each(ctx, len(kept), 0, func(ctx context.Context, i int) error {
			return kept[i].keep(ctx, lease/3, lease/3*time.Duration(i)/time.Duration(len(kept)), until)
		})
	})
}

// clusterOf spreads nodes over clusters of the largest size.
func clusterOf(name xlreg.Name, i int) xlreg.Name {
	return xlreg.Name(fmt.Sprintf("%s-%d", name, i/xlreg.MaxClusterSize))
}

// keptLease is a connection on which a node has taken a seat with a lease, and the last
// that it was told of its cluster.
type keptLease struct {
	conn     session.Conn // nil before it is open
	cluster  xlreg.ClusterID
	revision uint64
}

func (k *keptLease) close() {
	if k.conn != nil {
		_ = k.conn.Close()
	}
}

func (l *Load) leased(ctx context.Context, node *identity.Node, cluster xlreg.Name, lease time.Duration) (k keptLease, err error) {
	if k.conn, err = l.Connect(ctx, l.Protocol, node); err != nil {
		return k, err
	}
	if err := l.register(ctx, k.conn, node); err != nil {
		return k, err
	}
	if _, err := ask(ctx, k.conn, newCreate(cluster, xlreg.MaxClusterSize)); err != nil {
		return k, err
	}
	reply, err := ask(ctx, k.conn, wire.NewJoin(wire.JoinRequest{Ref: xlreg.ClusterRef{Name: cluster}, Lease: lease}))
	if err != nil {
		return k, err
	}
	c, err := reply.Cluster(l.Protocol)
	k.cluster = c.ID
	return k, err
}

// ask asks for what is new, and waits for that; the members' tokens are not what is
// measured. Without a wait it asks how far the cluster is.
func (k *keptLease) ask(ctx context.Context, wait time.Duration) error {
	request, millis := wire.GetRequest{Ref: xlreg.ClusterRef{ID: k.cluster}, Which: xlreg.Seats{}}, uint32(wait.Milliseconds())
	if millis > 0 {
		request.Since, request.Wait, request.WaitMillis = &k.revision, true, &millis
	}
	p := k.conn.Peer().Protocol
	reply, err := ask(ctx, k.conn, wire.NewGet(request, p))
	if err != nil {
		return err
	}
	k.revision = reply.State(p).Revision
	return nil
}

// keep asks again whenever the wait before is over. The first one is of another length, so
// that nodes which begin together do not stay together.
func (k *keptLease) keep(ctx context.Context, wait, first time.Duration, until time.Time) error {
	if err := k.ask(ctx, first); err != nil {
		return err
	}
	for time.Now().Before(until) {
		if err := k.ask(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}
