package server

import (
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/wire"
)

// What refusals are called that are of no request with a name.
const (
	refusedConnection = "connection"
	refusedUnknown    = "unknown" // a message that is no request, or none at all
)

// omissions counts the refused connections that nobody was told of, by the name of the
// limit that refused them.
type omissions struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
}

func (o *omissions) add(limit string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = make(map[string]int)
	}
	o.counts[limit]++
}

// take returns how many there have been since it was last called.
func (o *omissions) take(limit string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.counts[limit]
	delete(o.counts, limit)
	return n
}

// tellRefused says in the log and to the registry's observer that a connection is over a
// limit, as far as there is room for it: whoever floods the server must not fill the disks
// behind both.
func (s *Server) tellRefused(nc net.Conn, from guard.Source) {
	limit := s.admission.Met(from)
	if !s.refusals.note("connection refused", addrOf(nc), slog.String("reason", "too many connections")) {
		s.omitted.add(limit)
		return
	}
	s.registry.Refused(registry.Actor{From: nc.RemoteAddr().String()}, registry.Refusal{
		Request: refusedConnection, Limit: limit, Omitted: s.omitted.take(limit), Err: errConnections(),
	})
}

func errConnections() *xlreg.Error {
	return &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Detail: "connections", Retry: refusalRetry}
}

// tellRefused tells the registry's observer that a request is refused, and of that what the
// peer is told. That the server stops is no refusal.
func (p *peerSession) tellRefused(op wire.Op, err error, told *wire.Message) {
	if errors.Is(err, errStopping) || !p.server.registry.Observed() {
		return
	}
	request := refusedUnknown
	if op.Known() {
		request = op.String()
	}
	p.server.registry.Refused(p.rules.Actor(), registry.Refusal{Request: request, Limit: limitOf(err), Err: told.Err()})
}

// fullOf are the limits of what is kept, by what the rules say when there is no room.
var fullOf = map[string]string{"nodes": guard.MaxNodes, "clusters": guard.MaxClusters, "data": guard.MaxDataMiB}

// limitOf returns the name of the limit that an error is for; empty if it is for none that
// can be set.
func limitOf(err error) string {
	var met *guard.Met
	if errors.As(err, &met) {
		return met.Limit
	}
	var e *xlreg.Error
	if errors.As(err, &e) && e.Kind == xlreg.ErrRegistryFull {
		return fullOf[e.Detail]
	}
	return ""
}
