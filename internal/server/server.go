// Package server accepts connections, runs one loop for each, and turns each
// request into a call of the rules and each result into a reply.
//
// A connection passes through admission (package guard), the handshake
// (package session), and then dispatch, one request at a time, until either end
// closes it. Nothing a peer sends can do more than end its own session.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/keys"
)

// acceptPause is how long a listener rests after it could not accept, for want
// of file descriptors for example.
const acceptPause = 50 * time.Millisecond

// lastCall is how long a server that was told to stop still takes requests, for
// those that were on their way.
const lastCall = 200 * time.Millisecond

// Config is what a Server is built from. Limits may be zero, Protocols empty
// for all of them, Logger nil to discard; Now nil is time.Now.
type Config struct {
	Registry *registry.Registry
	Comms    keys.Private // decrypts classic Hellos
	Sig      keys.Private // signs the certificate of 2.0

	// Of a registry that has changed its keys: its comms key before, and what its sig
	// key before says of the present one. Both may be nil.
	FormerComms keys.Private
	Succession  *session.Succession

	Describe  xlreg.Credentials // the answer to RegCredRequest
	Protocols []xlreg.Protocol
	Limits    guard.Limits
	Logger    *slog.Logger
	Now       func() time.Time

	// Reopen opens the ports again after a drain, which it goes on trying until ctx ends;
	// nil: the server cannot be drained.
	Reopen func(ctx context.Context) []net.Listener
}

// Server serves the registry's clients.
type Server struct {
	registry  *registry.Registry
	session   *session.Server
	describe  *xlreg.Credentials
	authority *session.Authority
	limits    atomic.Pointer[guard.Limits]
	log       *slog.Logger
	now       func() time.Time
	admission *guard.Admission
	meters    meters
	turns     *guard.Turns
	refuser   *refuser
	refusals  *refusalLog
	omitted   omissions
	rosters   rosterCache
	loops     loops
	sessions  sync.WaitGroup // the goroutines of connections
	counters  counters
	open      openSessions
	drain     drain
	reopen    func(context.Context) []net.Listener // nil: there is no way
}

// New makes a server. It does nothing until Serve.
func New(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Protocols) == 0 {
		cfg.Protocols = []xlreg.Protocol{xlreg.Protocol20, xlreg.Protocol19, xlreg.Protocol18}
	}
	s := &Server{
		registry: cfg.Registry,
		describe: &cfg.Describe,
		log:      cfg.Logger,
		now:      cfg.Now,
		drain:    newDrain(),
		reopen:   cfg.Reopen,
	}
	limits := cfg.Limits.WithDefaults()
	s.limits.Store(&limits)
	s.admission = guard.NewAdmission(&limits)
	s.meters = newMeters(&limits)
	s.refusals = newRefusalLog(s.log)
	s.turns = guard.NewTurns(limits.Handshakes)
	authority, err := session.NewSuccessor(cfg.Sig, cfg.Succession, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	s.authority = authority
	if s.refuser, err = newRefuser(authority, cfg.Protocols, guard.NewRefusals(&limits)); err != nil {
		return nil, err
	}
	comms, _ := cfg.Comms.(keys.Decrypter) // nil, and an error below, if its kind cannot decrypt
	former, _ := cfg.FormerComms.(keys.Decrypter)
	s.session, err = session.NewServer(session.ServerConfig{
		Comms: comms, FormerComms: former,
		Turn:      s.turn,
		Wasted:    func(from netip.Addr) { s.turns.Wasted(guard.SourceOf(from)) },
		Authority: authority,
		Protocols: cfg.Protocols,
		Limits:    sessionLimits(&limits),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// turn waits until one more handshake may be computed.
func (s *Server) turn(ctx context.Context, from netip.Addr) (release func(), err error) {
	return s.turns.Wait(ctx, guard.SourceOf(from))
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	stats := s.counters.snapshot()
	stats.Open = s.admission.Open()
	stats.Waiting = s.registry.Waiting()
	stats.Turns = s.turns.Waiting()
	return stats
}

// ends is how a server stops: three contexts that end one after the other, the
// last of them only if it has to. It is a parameter, kept by nobody.
//
//nolint:containedctx // three parameters that always go together
type ends struct {
	stop context.Context // no more connections; whoever waits is told to come back
	last context.Context // no more requests
	hard context.Context // no more answers
}

// Serve accepts connections from the listeners, which it closes, until ctx
// ends. Then requests that are under way are answered, for the drain time at
// most, and Serve returns nil when every session has ended. Then it may be called again,
// with other listeners.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	last, quit := context.WithCancel(hard)
	defer quit()

	err := s.acceptAll(ctx, ends{ctx, last, hard}, listeners)
	stop() // a listener that failed ends the others, and the waits too
	defer time.AfterFunc(lastCall, quit).Stop()
	defer time.AfterFunc(s.limits.Load().Drain, kill).Stop()
	s.sessions.Wait()
	return err
}

// accept runs one listener until open ends.
func (s *Server) accept(open context.Context, e ends, l net.Listener) error {
	loop, gone := s.loops.add(l)
	defer gone()
	for {
		nc, err := loop.accept()
		if open.Err() != nil {
			closeLate(nc)
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept: %w", err)
		}
		if err != nil {
			s.log.Warn("cannot accept a connection", "err", err)
			rest(open, acceptPause)
			continue
		}
		from := guard.SourceOfConn(nc)
		hello, ok := s.admission.Enter(from)
		if !ok {
			s.refuse(e, nc, from)
			continue
		}
		p := &peerSession{server: s, nc: nc, from: from, begun: s.now()}
		p.shown = s.open.enter(nc.RemoteAddr(), p.begun)
		s.sessions.Go(func() { p.serve(e, hello) })
	}
}

// refuse ends a connection that is over a limit, and tells the peer why if that
// is cheap enough.
func (s *Server) refuse(e ends, nc net.Conn, from guard.Source) {
	s.tellRefused(nc, from)
	s.counters.refused.Add(1)
	if !s.refuser.enter(from) {
		_ = nc.Close()
		return
	}
	s.sessions.Go(func() {
		defer s.refuser.leave(from)
		s.refuser.tell(e.stop, nc)
	})
}

// addrOf returns the peer's address, and zero if the connection is not over IP.
func addrOf(nc net.Conn) netip.AddrPort {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func closeLate(nc net.Conn) {
	if nc != nil {
		_ = nc.Close()
	}
}

// rest waits for d or for ctx to end.
func rest(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
