package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/registry"
	"github.com/xlattice/xlreg/session"
	"github.com/xlattice/xlreg/wire"
)

// The ends of a session that are in order.
var (
	errBye      = errors.New("bye")
	errStopping = errors.New("the registry is stopping")
)

// peerSession is one session, from its handshake to its end. It is owned by the
// goroutine that runs it.
type peerSession struct {
	server *Server
	conn   session.Conn
	peer   session.Peer
	from   source
	cred   registry.Credential

	state    state
	node     xlreg.NodeID    // after MemberOK
	created  xlreg.ClusterID // by the last Create
	used     xlreg.ClusterID // by the last Create or Join
	requests int
}

// serveConn runs one connection to its end. A panic ends this one only.
func (s *Server) serveConn(e ends, nc net.Conn, from source, hello time.Duration) {
	defer func() {
		if fault := recover(); fault != nil {
			s.counters.panics.Add(1)
			s.log.Error("session panicked", "addr", nc.RemoteAddr().String(), "panic", fault, "stack", string(debug.Stack()))
			_ = nc.Close()
		}
	}()
	begun := s.now()
	conn, err := s.greet(e.last, nc, hello)
	if err != nil {
		s.counters.failed.Add(1)
		s.log.Debug("no session", "addr", nc.RemoteAddr().String(), "err", err)
		return
	}
	p := &peerSession{server: s, conn: conn, peer: conn.Peer(), from: from}
	defer conn.Close()
	p.cred = registry.Credential{
		Protocol: p.peer.Protocol, Salt: p.peer.Salt,
		SigKey: p.peer.SigKey, Certificate: p.peer.Certificate,
	}
	s.counters.sessions[p.peer.Protocol].Add(1)
	err = p.run(e)
	p.logEnd(nc.RemoteAddr(), s.now().Sub(begun), err)
}

// greet shakes hands within the hello timeout.
func (s *Server) greet(ctx context.Context, nc net.Conn, hello time.Duration) (session.Conn, error) {
	defer s.admission.greeted()
	ctx, cancel := context.WithTimeout(ctx, hello)
	defer cancel()
	return s.session.Accept(ctx, nc)
}

// run answers requests until the session ends, and returns why it did.
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
		if err := p.answer(e, m); err != nil {
			if !p.peer.Protocol.Classic() || !errors.Is(err, errBye) {
				p.finish(e.hard)
			}
			return err
		}
	}
}

// answer sends the reply to one request. An error ends the session.
func (p *peerSession) answer(e ends, m *wire.Message) error {
	reply, err := p.dispatch(e, m)
	if err != nil && (e.hard.Err() != nil || errors.Is(err, session.ErrClosed)) {
		return err
	}
	if err != nil {
		return p.refuse(e.hard, m.Op(), err)
	}
	if err := p.send(e.hard, reply); err != nil {
		return err
	}
	if m.Op() == wire.OpBye {
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
	if p.peer.Protocol.Classic() || endsSession(err) {
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

func (p *peerSession) logEnd(addr net.Addr, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("addr", addr.String()),
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
