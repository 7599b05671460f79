package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

var (
	errBye      = errors.New("bye")                      // the session ended in order
	errStopping = errors.New("the registry is stopping") // likewise
	errPanicked = errors.New("session panicked")
)

// peerSession is one session, from its handshake to its end. It is owned by the
// goroutine that runs it: serve, and from each wait on another serveOn.
type peerSession struct {
	server *Server
	nc     net.Conn
	from   guard.Source
	begun  time.Time
	shown  *openSession // what others may see of it

	conn  session.Conn // nil before the handshake has ended
	peer  session.Peer
	rules registry.Session // the peer, as the rules know it

	state    state
	cost     int             // how many writes it is to keep the node's token
	created  xlreg.ClusterID // by the last Create
	used     xlreg.ClusterID // by the last Create or Join
	requests int
	limited  bool // a limit was met, and the log says so
}

// serve runs the session to its end or to its first wait, and then continues it in a new
// goroutine. A wait can be long, and the handshake and the checking of signatures have made
// the stack of this goroutine large: changing it saves every waiting connection twelve
// kilobytes over 2.0 and five over a classic carrier. Clients ask again every half minute,
// and each wait begins with a new goroutine.
func (p *peerSession) serve(e ends, hello time.Duration) {
	p.runTo(e, func() (*wait, error) { return p.start(e, hello) })
}

// serveOn runs the session from a wait to its end or the next wait.
func (p *peerSession) serveOn(e ends, w *wait) {
	p.runTo(e, func() (*wait, error) { return p.resume(e, w) })
}

func (p *peerSession) runTo(e ends, run func() (*wait, error)) {
	var next *wait
	err := p.contain(func() (err error) {
		next, err = run()
		return err
	})
	if err != nil {
		p.end(e, err)
		return
	}
	p.server.sessions.Go(func() { p.serveOn(e, next) })
}

// contain makes a panic the end of this session only.
func (p *peerSession) contain(run func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			p.server.counters.panics.Add(1)
			p.server.log.Error("session panicked", "addr", p.nc.RemoteAddr().String(), "panic", fault, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return run()
}

// start shakes hands within the hello timeout, and goes on as run does.
func (p *peerSession) start(e ends, hello time.Duration) (*wait, error) {
	conn, err := p.server.greet(e.last, p.nc, hello)
	if err != nil {
		return nil, err
	}
	p.conn, p.peer = conn, conn.Peer()
	p.rules = registry.Session{
		Protocol: p.peer.Protocol, Salt: p.peer.Salt, From: p.nc.RemoteAddr().String(),
		SigKey: p.peer.SigKey, Certificate: p.peer.Certificate, Turn: p.turn,
	}
	p.shown.known(p.peer.Protocol)
	p.server.counters.sessions[p.peer.Protocol].Add(1)
	return p.run(e)
}

func (s *Server) greet(ctx context.Context, nc net.Conn, hello time.Duration) (session.Conn, error) {
	defer s.admission.Greeted()
	return s.session.AcceptWithin(ctx, nc, hello)
}

// end closes the connection and says in the log why.
func (p *peerSession) end(e ends, err error) {
	defer p.server.admission.Leave(p.from)
	defer p.server.open.leave(p.shown)
	if p.conn == nil {
		_ = p.nc.Close()
		p.server.counters.failed.Add(1)
		if hungUp(err) || errors.Is(err, errPanicked) {
			p.server.log.Debug("no session", "addr", p.nc.RemoteAddr().String(), "err", err)
			return
		}
		p.server.refusals.note("no session", addrOf(p.nc), slog.String("reason", err.Error()))
		return
	}
	_ = p.conn.Close()
	p.server.counters.ended[p.peer.Protocol][endOf(err)].Add(1)
	if p.server.drain.waits().Err() == nil { // the seats of those whom a server sends away are theirs still
		p.server.registry.End(e.hard, &p.rules)
	}
	p.logEnd(err)
}

// run answers requests until one has to wait, which it returns, or until the
// session ends, which is an error.
func (p *peerSession) run(e ends) (*wait, error) {
	for {
		m, err := p.conn.Receive(e.last)
		if err != nil && e.last.Err() != nil {
			return nil, errStopping
		}
		if err != nil {
			return nil, p.failed(e.hard, err)
		}
		p.requests++
		p.shown.requests.Add(1)
		p.server.counters.request(m.Op())
		reply, w, err := p.dispatch(e, m)
		if w != nil {
			return w, nil
		}
		if err := p.answer(e, m.Op(), reply, err); err != nil {
			return nil, err
		}
	}
}

// resume holds the session until its wait is over, answers the request that
// waited, and goes on as run does.
func (p *peerSession) resume(e ends, w *wait) (*wait, error) {
	reply, err := p.awaited(e, w)
	if err := p.answer(e, wire.OpGetCluster, reply, err); err != nil {
		return nil, err
	}
	return p.run(e)
}

// answer sends the reply to one request. An error is the session's end, and the
// peer has then been told all that there is to tell.
//
// A classic Bye ends without finish. A peer that says Bye has nothing under way
// that could keep it from reading the Ack, and the three system calls are a
// twentieth of what the whole session costs.
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
		return p.sendError(e.hard, op, err)
	}
	if err := p.send(e.hard, reply); err != nil {
		return err
	}
	if op == wire.OpBye {
		return errBye
	}
	return nil
}

// logError says why a request is refused: of deployed clients, which do not say it
// themselves, as much as the log has room for; of others that a limit was met, once,
// or a flood would fill the log.
func (p *peerSession) logError(ctx context.Context, op wire.Op, err error) {
	level := slog.LevelDebug
	switch {
	case errors.Is(err, xlreg.ErrTryLater) && !errors.Is(err, errStopping):
		level = slog.LevelError // the store's fault, not the peer's
	case p.peer.Protocol.Classic():
		p.server.refusals.note("request refused", p.peer.Addr, slog.String("protocol", p.peer.Protocol.String()),
			slog.String("op", op.String()), slog.String("reason", err.Error()))
		return
	case errors.Is(err, xlreg.ErrTooManyRequests) && !p.limited:
		level, p.limited = slog.LevelInfo, true
	}
	p.server.log.Log(ctx, level, "request refused", "addr", p.peer.Addr, "op", op.String(), "err", err)
}

// sendError refuses a request, and returns err if that ends the session.
func (p *peerSession) sendError(hard context.Context, op wire.Op, err error) error {
	p.server.counters.refuse(op, err)
	p.logError(hard, op, err)
	told := wire.NewError(err)
	p.tellRefused(op, err, told)
	if sendErr := p.send(hard, told); sendErr != nil {
		return sendErr
	}
	if kind, _ := xlreg.KindOf(err); kind.EndsSession(p.peer.Protocol) {
		return err
	}
	return nil
}

// failed ends a session whose peer sent no message. Over 2.0 it is told so; a
// classic peer never is.
func (p *peerSession) failed(hard context.Context, err error) error {
	if errors.Is(err, session.ErrPartial) && !p.peer.Protocol.Classic() {
		err = fmt.Errorf("%w: %w", xlreg.Errorf(xlreg.ErrProtocol, "message not complete"), err)
	}
	if errors.Is(err, xlreg.ErrProtocol) {
		told := wire.NewError(err)
		p.tellRefused(0, err, told)
		_ = p.send(hard, told)
		p.finish(hard)
	}
	return err
}

func (p *peerSession) send(hard context.Context, m *wire.Message) error {
	p.server.counters.reply(m.Op())
	return p.conn.Send(hard, m)
}

// finish lets the peer read what was sent last before the connection is closed.
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
	if node := p.rules.Node(); node != "" {
		attrs = append(attrs, slog.String("node", node.String()))
	}
	p.server.log.LogAttrs(context.Background(), slog.LevelInfo, "session ended", attrs...)
}
