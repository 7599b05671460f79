package server

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
)

// stopRetry is what a waiting reader is told when the server stops.
const stopRetry = time.Second

// dispatch is the only place where a request becomes a call of the rules and
// its result a reply. A request that has to wait for its reply is a wait instead.
// The rules run until the hard end, so a server that stops still answers.
func (p *peerSession) dispatch(e ends, m *wire.Message) (reply *wire.Message, w *wait, err error) {
	if err := checkOrder(p.state, p.peer.Protocol, m.Op()); err != nil {
		return nil, nil, err
	}
	switch m.Op() {
	case wire.OpMember:
		reply, err = p.member(e.hard, m)
	case wire.OpCreate:
		reply, err = p.create(e.hard, m)
	case wire.OpJoin:
		reply, err = p.join(e.hard, m)
	case wire.OpGetCluster:
		return p.get(e, m)
	case wire.OpLeave:
		reply, err = p.leave(e.hard, m)
	case wire.OpRegCredRequest:
		reply, err = p.read(p.server.describe)
	case wire.OpBye:
		reply = wire.NewAck()
	default: // checkOrder lets no other pass
		err = xlreg.ErrWrongState
	}
	return reply, nil, err
}

func (p *peerSession) member(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	req, err := m.Member(p.peer.Protocol)
	if err != nil {
		return nil, err
	}
	node, err := p.identify(ctx, &req)
	if err != nil {
		return nil, err
	}
	p.state, p.node, p.cost = known, node.ID, cost(&node, node.Certificate)
	return wire.NewMemberOK(&node), nil
}

func (p *peerSession) identify(ctx context.Context, req *wire.MemberRequest) (xlreg.Token, error) {
	s := p.server
	if req.Token == nil {
		return s.registry.LogIn(ctx, p.cred, req.ID, req.DigSig)
	}
	claim := p.claim(s.meters.nodes, cost(req.Token, p.cred.Certificate))
	node, did, err := s.registry.Register(ctx, p.cred, req.Token, claim.allowance())
	return node, claim.settle(did, err)
}

func (p *peerSession) create(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	s, spec := p.server, m.Create()
	if p.peer.Protocol.Classic() {
		spec.Attrs = 0 // deployed clients send random ones
	}
	claim := p.claim(s.meters.clusters, 1)
	c, did, err := s.registry.Create(ctx, spec, claim.allowance())
	if err := claim.settle(did, err); err != nil {
		return nil, err
	}
	p.created, p.used = c.ID, c.ID
	return wire.NewClusterReply(wire.OpCreateReply, &c), nil
}

func (p *peerSession) join(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	s := p.server
	claim := s.meters.writes.Claim(p.from, s.now(), p.cost)
	seat, did, err := s.registry.Join(ctx, p.node, refOr(m.Ref(), p.created), allowance(&claim))
	if err := claim.Settle(did != registry.Unchanged, err); err != nil {
		return nil, err
	}
	p.used = seat.Cluster.ID
	return wire.NewClusterReply(wire.OpJoinReply, &seat.Cluster), nil
}

func (p *peerSession) leave(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	s := p.server
	claim := s.meters.writes.Claim(p.from, s.now(), 1)
	id, err := s.registry.Leave(ctx, p.node, refOr(m.Ref(), p.used), allowance(&claim))
	if err := claim.Settle(true, err); err != nil {
		return nil, err
	}
	return wire.NewLeaveReply(id), nil
}

func (p *peerSession) get(e ends, m *wire.Message) (reply *wire.Message, w *wait, err error) {
	req := m.Get()
	req.Ref = refOr(req.Ref, p.used)
	if req.Wait {
		return p.await(e, req)
	}
	reply, err = p.roster(e.hard, req)
	return reply, nil, err
}

// roster answers a reader with what there is now.
func (p *peerSession) roster(ctx context.Context, req wire.GetRequest) (*wire.Message, error) {
	roster, err := p.server.registry.Roster(ctx, req.Ref)
	if err != nil {
		return nil, err
	}
	encoded, err := p.server.rosters.encoded(roster, p.peer.Protocol)
	if err != nil {
		return nil, fmt.Errorf("encode roster: %w", err)
	}
	return p.read(encoded.Message(req.Which, p.peer.Protocol.MaxReply()))
}

// wait is a request that waits.
type wait struct {
	req     wire.GetRequest
	ready   context.Context //nolint:containedctx // what is waited for
	release func()
}

// await is for a reader who wants to wait until the cluster is as large as it says
// or its time is over. If there is nothing to wait for it gets its reply at once.
func (p *peerSession) await(e ends, req wire.GetRequest) (reply *wire.Message, w *wait, err error) {
	c, err := p.server.registry.Cluster(e.hard, req.Ref)
	if err != nil {
		return nil, nil, err
	}
	req.Ref = xlreg.ClusterRef{ID: c.ID}
	if req.WaitSize != nil && *req.WaitSize == 0 {
		reply, err = p.roster(e.hard, req)
		return reply, nil, err
	}
	ready, release, err := p.server.registry.Await(e.stop, &c, waitSize(&req), waitLimit(&req))
	if err != nil {
		return nil, nil, err
	}
	w = &wait{req, ready, release}
	if ready.Err() == nil {
		return nil, w, nil
	}
	reply, err = p.awaited(e, w)
	return reply, nil, err
}

// awaited holds the session until its wait is over, and returns the reply. It is
// an error if the peer goes away or the server stops: the reader must not take
// what there is then for an answer.
func (p *peerSession) awaited(e ends, w *wait) (*wire.Message, error) {
	defer w.release()
	if err := p.conn.Hold(w.ready); err != nil {
		return nil, err
	}
	if e.stop.Err() != nil {
		told := &xlreg.Error{Kind: xlreg.ErrTryLater, Detail: errStopping.Error(), Retry: stopRetry}
		return nil, fmt.Errorf("%w: %w", told, errStopping)
	}
	return p.roster(e.hard, w.req)
}

// waitSize returns how many members the reader waits for; 0 is all.
func waitSize(req *wire.GetRequest) int {
	if req.WaitSize == nil || *req.WaitSize > xlreg.MaxClusterSize {
		return 0
	}
	return int(*req.WaitSize)
}

// waitLimit returns how long the reader waits; 0 is as long as it may.
func waitLimit(req *wire.GetRequest) time.Duration {
	if req.WaitMillis == nil {
		return 0
	}
	return time.Duration(*req.WaitMillis) * time.Millisecond
}

// refOr returns ref, or the session's own cluster if ref names none.
func refOr(ref xlreg.ClusterRef, own xlreg.ClusterID) xlreg.ClusterRef {
	if ref.IsZero() {
		return xlreg.ClusterRef{ID: own}
	}
	return ref
}
