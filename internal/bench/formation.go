package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// Formation is one cluster that is to be formed, by all nodes at once, each over a
// connection of its own: it connects, registers, creates the cluster or finds it,
// joins, and waits until everybody is there.
type Formation struct {
	Registry *Registry
	Nodes    []*identity.Node
	Protocol xlreg.Protocol
	Cluster  xlreg.Name // one that does not exist yet
}

// Receive forms the cluster, and returns when the last roster has arrived. None is
// verified: that would make those whose roster is still on its way wait for
// processors which, on machines of their own, they need not share.
func (f *Formation) Receive(ctx context.Context) (time.Duration, error) {
	return f.all(ctx, f.receive)
}

// Verify forms the cluster with the client that users have, and returns when the
// last member has verified its roster.
func (f *Formation) Verify(ctx context.Context) (time.Duration, error) {
	return f.all(ctx, f.verify)
}

func (f *Formation) all(ctx context.Context, one func(context.Context, *identity.Node) error) (time.Duration, error) {
	begun := time.Now()
	err := each(ctx, len(f.Nodes), 0, func(ctx context.Context, i int) error { return one(ctx, f.Nodes[i]) })
	took := time.Since(begun)
	if err != nil {
		return 0, fmt.Errorf("form cluster of %d over %v: %w", len(f.Nodes), f.Protocol, err)
	}
	return took, nil
}

func (f *Formation) receive(ctx context.Context, node *identity.Node) error {
	cfg, err := f.Registry.config(f.Protocol, node)
	if err != nil {
		return err
	}
	conn, err := f.Registry.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := f.Registry.register(ctx, conn, node); err != nil {
		return err
	}
	if _, err := ask(ctx, conn, newCreate(f.Cluster, len(f.Nodes))); err != nil {
		return err
	}
	return joinAndWait(ctx, conn, xlreg.ClusterRef{}, len(f.Nodes))
}

// joinAndWait takes a seat and receives the roster of all size members.
func joinAndWait(ctx context.Context, conn session.Conn, ref xlreg.ClusterRef, size int) error {
	if _, err := ask(ctx, conn, wire.NewJoin(wire.JoinRequest{Ref: ref})); err != nil {
		return err
	}
	return readAll(ctx, conn, wire.GetRequest{Ref: ref, Wait: true}, size)
}

// leastToken is less than what any token takes, with its two keys.
const leastToken = 384

// readAll asks until it has the tokens of n members, which over a classic carrier
// may take several messages.
func readAll(ctx context.Context, conn session.Conn, request wire.GetRequest, n int) error {
	request.Which = xlreg.AllSeats()
	for {
		reply, err := ask(ctx, conn, wire.NewGet(request, conn.Peer().Protocol))
		if err != nil {
			return err
		}
		read, err := reply.Get(conn.Peer().Protocol)
		if err != nil {
			return err
		}
		got := read.Which
		if size := reply.Size(); size < got.Len()*leastToken {
			return fmt.Errorf("%d tokens in %d bytes", got.Len(), size)
		}
		n -= got.Len()
		if n <= 0 {
			return nil
		}
		if got.IsEmpty() {
			return fmt.Errorf("roster lacks %d members", n)
		}
		request.Which = request.Which.Minus(got)
		request.Wait = false
	}
}

func (f *Formation) verify(ctx context.Context, node *identity.Node) error {
	m, err := client.Form(ctx, f.Registry.Target, client.FormOptions{
		Options: client.Options{Node: node, Protocol: f.Protocol},
		Cluster: xlreg.ClusterRef{Name: f.Cluster},
		Size:    len(f.Nodes),
	})
	if err != nil {
		return err
	}
	r := m.Roster()
	if unverified := r.Unverified(); len(r.Members) != len(f.Nodes) || len(unverified) > 0 && !f.Protocol.Classic() {
		return fmt.Errorf("roster of %d, of which %d are not verified", len(r.Members), len(unverified))
	}
	return nil
}
