package server

import (
	"context"
	"fmt"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// stopRetry is what a waiting reader is told when the server stops.
const stopRetry = time.Second

// dispatch is the only place where a request becomes a call of the rules and
// its result a reply. Rules run until the hard
// end: a server that stops still answers.
func (p *peerSession) dispatch(e ends, m *wire.Message) (*wire.Message, error) {
	if err := checkOrder(p.state, p.peer.Protocol, m.Op()); err != nil {
		return nil, err
	}
	switch m.Op() {
	case wire.OpMember:
		return p.member(e.hard, m)
	case wire.OpCreate:
		return p.create(e.hard, m)
	case wire.OpJoin:
		return p.join(e.hard, m)
	case wire.OpGetCluster:
		return p.get(e, m)
	case wire.OpLeave:
		return p.leave(e.hard, m)
	case wire.OpRegCredRequest:
		return p.server.describe, nil
	case wire.OpBye:
		return wire.NewAck(), nil
	default: // checkOrder lets no other pass
		return nil, xlreg.ErrWrongState
	}
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
	p.state, p.node = known, node.ID
	return wire.NewMemberOK(&node), nil
}

func (p *peerSession) identify(ctx context.Context, req *wire.MemberRequest) (xlreg.Token, error) {
	s := p.server
	if req.Token == nil {
		return s.registry.LogIn(ctx, p.cred, req.ID, req.DigSig)
	}
	right := s.nodes.claim(p.from, s.now())
	node, isNew, err := s.registry.Register(ctx, p.cred, req.Token, right.allowed)
	return node, right.settle(isNew, err)
}

func (p *peerSession) create(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	s, spec := p.server, m.Create()
	if p.peer.Protocol.Classic() {
		spec.Attrs = 0 // deployed clients send random ones
	}
	right := s.clusters.claim(p.from, s.now())
	c, isNew, err := s.registry.Create(ctx, spec, right.allowed)
	if err := right.settle(isNew, err); err != nil {
		return nil, err
	}
	p.created, p.used = c.ID, c.ID
	return wire.NewClusterReply(wire.OpCreateReply, &c), nil
}

func (p *peerSession) join(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	c, _, err := p.server.registry.Join(ctx, p.node, refOr(m.Ref(), p.created))
	if err != nil {
		return nil, err
	}
	p.used = c.ID
	return wire.NewClusterReply(wire.OpJoinReply, &c), nil
}

func (p *peerSession) leave(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	id, err := p.server.registry.Leave(ctx, p.node, refOr(m.Ref(), p.used))
	if err != nil {
		return nil, err
	}
	return wire.NewLeaveReply(id), nil
}

func (p *peerSession) get(e ends, m *wire.Message) (*wire.Message, error) {
	req := m.Get()
	req.Ref = refOr(req.Ref, p.used)
	if !req.Wait {
		return p.roster(e.hard, req)
	}
	return p.await(e, req)
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
	return encoded.Message(req.Which, p.peer.Protocol.MaxReply()), nil
}

// wait is a request that waits.
type wait struct {
	req     wire.GetRequest
	ready   context.Context //nolint:containedctx // what is waited for
	release func()
}

// await answers a reader who would wait for what is there already. Others wait,
// until the cluster is as large as they want or their time is over: that is
// errWaits, and awaited is what comes then.
func (p *peerSession) await(e ends, req wire.GetRequest) (*wire.Message, error) {
	c, err := p.server.registry.Cluster(e.hard, req.Ref)
	if err != nil {
		return nil, err
	}
	req.Ref = xlreg.ClusterRef{ID: c.ID}
	if req.WaitSize != nil && *req.WaitSize == 0 {
		return p.roster(e.hard, req)
	}
	ready, release, err := p.server.registry.Await(e.stop, &c, waitSize(&req), waitLimit(&req))
	if err != nil {
		return nil, err
	}
	p.waiting = &wait{req, ready, release}
	if ready.Err() != nil {
		return p.awaited(e)
	}
	return nil, errWaits
}

// awaited holds the session until its wait is over. It ends with an error when
// the peer goes away or the server stops, which the reader must not take for an
// answer.
func (p *peerSession) awaited(e ends) (*wire.Message, error) {
	w := p.waiting
	p.waiting = nil
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
