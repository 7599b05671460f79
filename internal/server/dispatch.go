package server

import (
	"context"
	"errors"
	"fmt"
	"math"
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
		reply, err = p.described()
	case wire.OpOrder:
		reply, err = p.order(e.hard, m)
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
	p.state, p.cost = known, cost(&node)
	p.shown.identified(node.ID)
	reply := wire.NewMemberOK(&node)
	p.observe(reply)
	return reply, nil
}

func (p *peerSession) identify(ctx context.Context, req *wire.MemberRequest) (xlreg.Token, error) {
	s := p.server
	if req.Token == nil {
		return s.registry.LogIn(ctx, &p.rules, req.ID, req.DigSig)
	}
	claim := p.claim(s.meters.nodes, cost(req.Token))
	node, did, err := s.registry.Register(ctx, &p.rules, req.Token, claim.allowance())
	return node, claim.settle(did, err)
}

// observe tells a peer over 2.0 from where the registry sees it.
func (p *peerSession) observe(reply *wire.Message) {
	if from := p.peer.Addr; !p.peer.Protocol.Classic() && from.IsValid() {
		reply.SetObserved(xlreg.EndpointOf(from))
	}
}

// described says who the registry is.
func (p *peerSession) described() (*wire.Message, error) {
	reply := wire.NewRegCredReply(p.server.describe)
	if p.peer.Protocol.Classic() {
		return p.read(reply)
	}
	chain, err := p.server.authority.Chain()
	if err != nil {
		return nil, fmt.Errorf("show certificates: %w", err)
	}
	reply.SetChain(chain)
	p.observe(reply)
	return p.read(reply)
}

func (p *peerSession) create(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	s := p.server
	spec, err := m.Create(p.peer.Protocol)
	if err != nil {
		return nil, err
	}
	claim := p.claim(s.meters.clusters, 1)
	c, did, err := s.registry.Create(ctx, &p.rules, spec, claim.allowance())
	if err := claim.settle(did, err); err != nil {
		return nil, err
	}
	p.created, p.used = c.Cluster.ID, c.Cluster.ID
	return wire.NewClusterReply(wire.OpCreateReply, &c.Cluster, c.State, p.peer.Protocol), nil
}

func (p *peerSession) join(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	req, err := m.Join(p.peer.Protocol)
	if err != nil {
		return nil, err
	}
	asked := registry.JoinRequest{
		Ref: refOr(req.Ref, p.created), Run: req.Run, Fresh: req.Fresh, Lease: req.Lease, Admission: req.Admission,
	}
	// What cannot be read is signed by nobody; the rules say so when its turn comes.
	asked.Parsed, _ = wire.DecodeAdmission(req.Admission)
	claim := p.server.meters.writes.Claim(p.from, p.server.now(), p.cost)
	seat, did, err := p.server.registry.Join(ctx, &p.rules, asked, allowance(&claim))
	if err := claim.Settle(did != registry.Unchanged, err); err != nil {
		return nil, err
	}
	p.used = seat.Cluster.ID
	return wire.NewJoinReply(&seat.Cluster, seat.State, seat.Lease, p.peer.Protocol), nil
}

func (p *peerSession) leave(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	ref, err := m.Ref(p.peer.Protocol)
	if err != nil {
		return nil, err
	}
	claim := p.server.meters.writes.Claim(p.from, p.server.now(), 1)
	id, err := p.server.registry.Leave(ctx, &p.rules, refOr(ref, p.used), allowance(&claim))
	if err := claim.Settle(true, err); err != nil {
		return nil, err
	}
	return wire.NewLeaveReply(id), nil
}

// order needs no identity: the owner's signature is all there is to prove.
func (p *peerSession) order(ctx context.Context, m *wire.Message) (*wire.Message, error) {
	signed := m.Order()
	order, err := wire.DecodeOrder(signed.Bytes)
	if err != nil {
		return nil, err
	}
	claim := p.server.meters.writes.Claim(p.from, p.server.now(), 1+len(signed.Bytes)/writeUnit)
	done, did, err := p.server.registry.Order(ctx, &p.rules, registry.OrderRequest{Signed: signed, Order: order}, allowance(&claim))
	if err := claim.Settle(did != registry.Unchanged, err); err != nil {
		return nil, err
	}
	return wire.NewClusterReply(wire.OpOrderReply, &done.Cluster, done.State, p.peer.Protocol), nil
}

func (p *peerSession) get(e ends, m *wire.Message) (reply *wire.Message, w *wait, err error) {
	req, err := m.Get(p.peer.Protocol)
	if err != nil {
		return nil, nil, err
	}
	waits := req.Wait && (req.WaitSize == nil || *req.WaitSize > 0)
	c, err := p.cluster(e.hard, refOr(req.Ref, p.used), waits)
	if err != nil {
		return nil, nil, err
	}
	w = &wait{req: req, byName: req.Ref.ID == "" && req.Ref.Name != ""}
	w.req.Ref = xlreg.ClusterRef{ID: c.ID}
	p.server.registry.Alive(e.hard, &p.rules, c.ID)
	if waits {
		return p.await(e, w, &c)
	}
	reply, err = p.rosterFor(e.hard, w)
	return reply, nil, err
}

// cluster returns the cluster that a request is about. Members with leases ask to wait for
// theirs every few seconds, and the others who wait have it looked at already.
func (p *peerSession) cluster(ctx context.Context, ref xlreg.ClusterRef, waits bool) (xlreg.Cluster, error) {
	if waits && ref.ID != "" {
		if c, ok := p.server.registry.Awaited(ref.ID, p.peer.Protocol); ok && (ref.Key == "" || ref.Key == c.Key) {
			return c, nil
		}
	}
	return p.server.registry.Cluster(ctx, ref, p.peer.Protocol)
}

// rosterFor answers a request whose cluster may have gone since it was looked up.
func (p *peerSession) rosterFor(ctx context.Context, w *wait) (*wire.Message, error) {
	reply, err := p.roster(ctx, w.req)
	if w.byName && errors.Is(err, xlreg.ErrNoSuchClusterID) {
		err = xlreg.ErrNoSuchClusterName
	}
	return reply, err
}

// roster answers a reader with what there is now: of one who knows an earlier revision
// with what is new, if that is known and not too long.
func (p *peerSession) roster(ctx context.Context, req wire.GetRequest) (*wire.Message, error) {
	roster, err := p.server.registry.Roster(ctx, req.Ref, p.peer.Protocol)
	if err != nil {
		return nil, err
	}
	if req.Since == nil {
		roster = p.server.registry.Seen(roster)
	}
	encoded, err := p.server.rosters.encoded(roster, p.peer.Protocol)
	if err != nil {
		return nil, fmt.Errorf("encode roster: %w", err)
	}
	if !req.Sign {
		return p.read(p.excerpt(roster, encoded, &req, p.peer.Protocol.MaxReply()))
	}
	signed, err := p.sign(ctx, encoded)
	if err != nil {
		return nil, err
	}
	reply := p.excerpt(roster, encoded, &req, p.peer.Protocol.MaxReply()-signed.Size())
	reply.SetSigned(signed)
	return p.read(reply)
}

func (p *peerSession) excerpt(roster *registry.Roster, encoded *wire.EncodedRoster, req *wire.GetRequest, limit int) *wire.Message {
	if req.Since != nil {
		if changed, ok := roster.ChangedSince(*req.Since); ok {
			if reply, ok := encoded.Delta(changed, req.Which, *req.Since, limit); ok {
				return reply
			}
		}
	}
	return encoded.Message(req.Which, limit)
}

// sign signs a roster in a turn, since that is a computation that others could ask for
// without end.
func (p *peerSession) sign(ctx context.Context, encoded *wire.EncodedRoster) (signed wire.Signed, err error) {
	release, err := p.turn(ctx)
	if err != nil {
		return signed, err
	}
	defer release(true)
	signed, err = p.server.authority.SignRoster(encoded.Sum(), uint64(max(0, p.server.now().UnixMilli())))
	if err != nil {
		return signed, fmt.Errorf("sign roster: %w", err)
	}
	return signed, nil
}

// wait is a request for a roster, which may have to wait.
type wait struct {
	req     wire.GetRequest
	byName  bool            // that is how its cluster was named
	ready   context.Context //nolint:containedctx // what is waited for
	release func()
	ends    context.Context //nolint:containedctx // when whoever waits is told to come back elsewhere
}

// await is for a reader who wants to wait until there is what it asks for or its time is
// over. If there is nothing to wait for it gets its reply at once.
func (p *peerSession) await(e ends, w *wait, c *xlreg.Cluster) (*wire.Message, *wait, error) {
	var err error
	w.ends = p.server.drain.waits()
	w.ready, w.release, err = p.server.registry.Await(w.ends, c, waitFor(&w.req, c.MaxSize))
	if err != nil {
		return nil, nil, err
	}
	if w.ready.Err() == nil {
		return nil, w, nil
	}
	reply, err := p.awaited(e, w)
	return reply, nil, err
}

// waitFor is what a request waits for, in the words of the rules.
func waitFor(req *wire.GetRequest, maxSize int) registry.Wait {
	until := req.Until(maxSize)
	w := registry.Wait{Size: until.Members, Since: until.Revision, Epoch: until.Epoch, Limit: max(0, until.Limit)}
	if until.Members == math.MaxInt {
		w.Size = 0
	}
	return w
}

// awaited holds the session until its wait is over, and returns the reply. It is
// an error if the peer goes away or the server stops: the reader must not take
// what there is then for an answer.
func (p *peerSession) awaited(e ends, w *wait) (*wire.Message, error) {
	defer w.release()
	defer p.shown.waitsFor(&w.req.Ref.ID)()
	if err := p.conn.Hold(w.ready); err != nil {
		return nil, err
	}
	if w.ends.Err() != nil {
		told := &xlreg.Error{Kind: xlreg.ErrTryLater, Detail: errStopping.Error(), Retry: stopRetry}
		return nil, fmt.Errorf("%w: %w", told, errStopping)
	}
	return p.rosterFor(e.hard, w)
}

// refOr returns ref, or the session's own cluster if ref names none.
func refOr(ref xlreg.ClusterRef, own xlreg.ClusterID) xlreg.ClusterRef {
	if ref.IsZero() {
		return xlreg.ClusterRef{ID: own, Key: ref.Key}
	}
	return ref
}
