package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// The ends of a session that are in order.
var (
	errBye      = errors.New("bye")
	errStopping = errors.New("the registry is stopping")
)

// errWaits is no end: the session waits, and another goroutine goes on with it.
var errWaits = errors.New("session waits")

var errPanicked = errors.New("session panicked")

// peerSession is one session, from its handshake to its end. It is owned by the
// goroutine that runs it.
type peerSession struct {
	server *Server
	nc     net.Conn
	from   source
	begun  time.Time

	conn session.Conn // nil before the handshake has ended
	peer session.Peer
	cred registry.Credential

	state    state
	node     xlreg.NodeID    // after MemberOK
	created  xlreg.ClusterID // by the last Create
	used     xlreg.ClusterID // by the last Create or Join
	waiting  *wait           // while the session goes from one goroutine to another
	requests int
}

// serveConn runs one connection, to its end or its first wait.
func (s *Server) serveConn(e ends, nc net.Conn, from source, hello time.Duration) {
	p := &peerSession{server: s, nc: nc, from: from, begun: s.now()}
	p.stretch(e, func() error { return p.start(e, hello) })
}

// stretch runs the session in this goroutine, to its end or its next wait. What
// waits goes on in a new one: a goroutine keeps the deepest stack it ever had,
// that of a handshake, and a wait may be long.
func (p *peerSession) stretch(e ends, run func() error) {
	err := p.guard(run)
	if errors.Is(err, errWaits) {
		p.server.sessions.Go(func() {
			p.stretch(e, func() error { return p.resume(e) })
		})
		return
	}
	p.end(err)
}

// guard makes a panic the end of this session only.
func (p *peerSession) guard(run func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			p.server.counters.panics.Add(1)
			p.server.log.Error("session panicked", "addr", p.nc.RemoteAddr().String(), "panic", fault, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return run()
}

// start shakes hands within the hello timeout, and goes on from there.
func (p *peerSession) start(e ends, hello time.Duration) error {
	conn, err := p.server.greet(e.last, p.nc, hello)
	if err != nil {
		return err
	}
	p.conn, p.peer = conn, conn.Peer()
	p.cred = registry.Credential{
		Protocol: p.peer.Protocol, Salt: p.peer.Salt,
		SigKey: p.peer.SigKey, Certificate: p.peer.Certificate,
	}
	p.server.counters.sessions[p.peer.Protocol].Add(1)
	return p.run(e)
}

func (s *Server) greet(ctx context.Context, nc net.Conn, hello time.Duration) (session.Conn, error) {
	defer s.admission.greeted()
	ctx, cancel := context.WithTimeout(ctx, hello)
	defer cancel()
	return s.session.Accept(ctx, nc)
}

// end closes the connection and says in the log why.
func (p *peerSession) end(err error) {
	defer p.server.admission.leave(p.from)
	if p.waiting != nil {
		p.waiting.release()
	}
	if p.conn == nil {
		_ = p.nc.Close()
		p.server.counters.failed.Add(1)
		p.server.log.Debug("no session", "addr", p.nc.RemoteAddr().String(), "err", err)
		return
	}
	_ = p.conn.Close()
	p.logEnd(err)
}

// run answers requests until the session ends or waits, and returns why it did.
func (p *peerSession) run(e ends) error {
	for {
		m, err := p.conn.Receive(e.last)
		if err != nil && e.last.Err() != nil {
			return errStopping
		}
		if err != nil {
			return p.failed(e.hard, err)
		}
		p.requests++
		p.server.counters.request(m.Op())
		reply, err := p.dispatch(e, m)
		if errors.Is(err, errWaits) {
			return err
		}
		if err := p.answer(e, m.Op(), reply, err); err != nil {
			return err
		}
	}
}

// resume answers the request that waits, when it need not wait any more, and
// goes on from there.
func (p *peerSession) resume(e ends) error {
	reply, err := p.awaited(e)
	if err := p.answer(e, wire.OpGetCluster, reply, err); err != nil {
		return err
	}
	return p.run(e)
}

// answer sends the reply to one request. An error is the session's end, of which
// the peer has been told what there is to tell.
func (p *peerSession) answer(e ends, op wire.Op, reply *wire.Message, err error) error {
	err = p.reply(e, op, reply, err)
	if err != nil && !(p.peer.Protocol.Classic() && errors.Is(err, errBye)) {
		p.finish(e.hard)
	}
	return err
}

func (p *peerSession) reply(e ends, op wire.Op, reply *wire.Message, err error) error {
	if err != nil && (e.hard.Err() != nil || errors.Is(err, session.ErrClosed)) {
		return err
	}
	if err != nil {
		return p.refuse(e.hard, op, err)
	}
	if err := p.send(e.hard, reply); err != nil {
		return err
	}
	if op == wire.OpBye {
		return errBye
	}
	return nil
}

// refuse sends an Error, and returns err if that ends the session.
func (p *peerSession) refuse(hard context.Context, op wire.Op, err error) error {
	level := slog.LevelDebug
	if errors.Is(err, xlreg.ErrTryLater) && !errors.Is(err, errStopping) {
		level = slog.LevelError // the store's fault, not the peer's
	}
	p.server.log.Log(hard, level, "request refused", "addr", p.peer.Addr, "op", op.String(), "err", err)
	if sendErr := p.send(hard, wire.NewError(err)); sendErr != nil {
		return sendErr
	}
	if wire.EndsSession(err, p.peer.Protocol) {
		return err
	}
	return nil
}

// failed ends a session whose peer sent no message. Over 2.0 it is told so; a
// classic peer never is.
func (p *peerSession) failed(hard context.Context, err error) error {
	if errors.Is(err, xlreg.ErrProtocol) {
		_ = p.send(hard, wire.NewError(err))
		p.finish(hard)
	}
	return err
}

func (p *peerSession) send(hard context.Context, m *wire.Message) error {
	p.server.counters.reply(m.Op())
	return p.conn.Send(hard, m)
}

// finish lets the peer read what was sent last before the connection goes. An
// Ack over a classic carrier goes without: a peer that said Bye in its turn has
// nothing more under way that could get in the Ack's way, and the three system
// calls are a twentieth of what the whole session costs.
func (p *peerSession) finish(hard context.Context) {
	_ = session.CloseGracefully(hard, p.conn)
}

func (p *peerSession) logEnd(err error) {
	took := p.server.now().Sub(p.begun)
	attrs := []slog.Attr{
		slog.String("addr", p.nc.RemoteAddr().String()),
		slog.String("protocol", p.peer.Protocol.String()),
		slog.Int("requests", p.requests),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("end", err.Error()),
	}
	if p.node != "" {
		attrs = append(attrs, slog.String("node", p.node.String()))
	}
	p.server.log.LogAttrs(context.Background(), slog.LevelInfo, "session ended", attrs...)
}
