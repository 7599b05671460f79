// Package admin is HTTP for those who run a registry: an API for programs, a page for
// people, and streams of what changes. It is served on a Unix socket in the data
// directory, where access to the socket is all that is checked, and on TCP, where tokens
// and keys say who may do what.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/xlattice/xlreg/internal/guard"
)

// Keeper keeps a registry's data.
type Keeper interface {
	// Backup writes one state of the data, while others go on, to what to returns for
	// its length.
	Backup(ctx context.Context, to func(size int64) io.Writer) error
}

// Config is what a Server is made of.
type Config struct {
	Steward Steward
	Keeper  Keeper // nil: there is no file that could be copied
	Logger  *slog.Logger

	Tokens *Tokens  // nil: no token is good
	Admins []string // fingerprints of keys whose client certificates are good for everything
	Hosts  []string // names that requests over TCP may be for, beside those of loopback and addresses

	Page    http.Handler // for people, below /; nil: none
	Metrics http.Handler // nil: none

	// Record is told what has been done that concerns no cluster and no node, and is
	// known by a word; nil: nobody is.
	Record func(by Visitor, what, detail string)

	Bounds Bounds
}

// record tells what whoever asks has done.
func (s *Server) record(ctx context.Context, what, detail string) {
	if s.cfg.Record != nil {
		s.cfg.Record(VisitorOf(ctx), what, detail)
	}
}

// Server answers those who run a registry.
type Server struct {
	cfg      Config
	api      http.Handler // what is offered everywhere
	local    http.Handler // the same, and what is for the socket alone
	openAPI  []byte
	turns    *guard.Turns  // of handshakes
	failures *guard.Quota  // of those who show tokens that are no good
	wrong    *rate.Limiter // of log lines about them
	requests *room         // those that are answered at once
	streams  *room         // those that last
	copying  chan struct{} // has room for the one backup that may be under way
}

// What a request may take. A stream may take long, but not stand still.
const (
	headerTime   = 5 * time.Second
	requestTime  = 10 * time.Second
	idleTime     = 30 * time.Second
	writeTime    = 30 * time.Second // for an answer, or for each piece of a stream
	shutdownTime = 3 * time.Second
	maxHeader    = 8 << 10
	maxBody      = 64 << 10
)

// How many tokens that are no good are logged: whoever guesses must not fill the disk.
const (
	wrongAtOnce    = 100
	wrongPerSecond = 1
)

// New returns a Server.
func New(cfg Config) (*Server, error) {
	cfg.Bounds = cfg.Bounds.withDefaults()
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	admins, err := normalAdmins(cfg.Admins)
	if err != nil {
		return nil, err
	}
	cfg.Admins, cfg.Hosts = admins, normalHosts(cfg.Hosts)
	b := &cfg.Bounds
	s := &Server{
		cfg: cfg, copying: make(chan struct{}, 1), turns: guard.NewTurns(b.Handshakes),
		failures: guard.NewQuota(guard.Rate{Source: b.Failures, Loopback: b.Failures}),
		wrong:    rate.NewLimiter(wrongPerSecond, wrongAtOnce),
		requests: newRoom(b.Requests, b.Reserve), streams: newRoom(b.Streams, b.Reserve),
	}
	return s, s.route()
}

// OpenAPI returns the description of the API as YAML. Nobody may change it.
func (s *Server) OpenAPI() []byte { return s.openAPI }

// Reload reads the tokens anew, and returns what has changed. What cannot be read stays
// as it was.
func (s *Server) Reload() (changed []string, err error) {
	if s.cfg.Tokens == nil {
		return nil, nil
	}
	has, err := s.cfg.Tokens.Reload()
	if has {
		changed = append(changed, "admin tokens")
	}
	return changed, err
}

// Serve answers until ctx ends; what is under way then is given a few seconds. It closes
// the listener, which Listen or ListenTCP has made. It may be called for several
// listeners at the same time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	tcp, ok := l.(*Listener)
	if !ok {
		return serve(ctx, newHTTP(s.onSocket(), s.cfg.Logger), l)
	}
	bound := s.newGate(tcp)
	server := newHTTP(s.onNetwork(), s.cfg.Logger)
	server.ConnState, server.ConnContext = bound.connState, bound.connContext
	if tcp.cert != nil {
		server.TLSConfig = s.tlsConfig(tcp.cert)
	}
	return serve(ctx, server, bound)
}

// newHTTP returns a server with every deadline set. It speaks HTTP/1.1 alone: there one
// connection is one request at a time, which is how they are counted.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Protocols:         protocols,
		Handler:           http.MaxBytesHandler(h, maxBody),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// stopping is the key of the context, in that of a request, that ends when the server is
// told to end. Requests that last end then, too; others are finished.
type stopping struct{}

// untilStop returns the context of a request that lasts.
func untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	server, ok := ctx.Value(stopping{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(server, cancel)
	return ctx, func() { stop(); cancel() }
}

// serve answers until ctx ends, and waits for what is under way, for a while.
func serve(ctx context.Context, server *http.Server, l net.Listener) error {
	requests, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	requests = context.WithValue(requests, stopping{}, ctx)
	server.BaseContext = func(net.Listener) context.Context { return requests }
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ended <- shutDown(ctx, server) })
	err := serveOn(server, l)
	if !stop() {
		return <-ended
	}
	return fmt.Errorf("serve %v: %w", l.Addr(), err)
}

func serveOn(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}

func shutDown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
