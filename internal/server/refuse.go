package server

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

// What is spent on connections over a limit. Telling them so costs a handshake,
// which is what the limit is there to save, so only a few at once are told.
const (
	maxRefusals  = 64              // at once
	refusalTime  = 3 * time.Second // for one handshake
	refusalRetry = time.Second     // when they are told to come back
)

// Refusals returns how many connections over the limits of a server there may be
// at once, for being told so, beside those within them.
func (l *Limits) Refusals() int { return min(maxRefusals, 1+l.Connections/16) }

// refuser tells peers over 2.0 that a limit was reached. Classic peers, which
// have no reply for it, and those past the bounds above are closed without a word.
type refuser struct {
	session       *session.Server // of 2.0 alone; nil where that is not served
	most, perAddr int             // told at once

	mu       sync.Mutex
	total    int            // guarded by mu
	bySource map[source]int // guarded by mu; none is zero
}

func newRefuser(authority *session.Authority, served []xlreg.Protocol, most int) (*refuser, error) {
	r := &refuser{most: most, perAddr: (most + 3) / 4, bySource: make(map[source]int)}
	if !slices.Contains(served, xlreg.Protocol20) {
		return r, nil
	}
	var err error
	r.session, err = session.NewServer(session.ServerConfig{
		Authority: authority, Protocols: []xlreg.Protocol{xlreg.Protocol20},
		Limits: session.Limits{Write: refusalTime},
	})
	return r, err
}

// enter reports whether one more from a source may be told, and leave has to
// follow then.
func (r *refuser) enter(from source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil || r.total >= r.most || r.bySource[from] >= r.perAddr {
		return false
	}
	r.total++
	r.bySource[from]++
	return true
}

func (r *refuser) leave(from source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if r.bySource[from]--; r.bySource[from] == 0 {
		delete(r.bySource, from)
	}
}

// tell answers whatever the peer is about to ask with too many requests.
func (r *refuser) tell(ctx context.Context, nc net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, refusalTime)
	defer cancel()
	conn, err := r.session.Accept(ctx, nc)
	if err != nil {
		return // it is closed, and no more was to be said
	}
	refused := &xlreg.Error{Kind: xlreg.ErrTooManyRequests, Detail: "connections", Retry: refusalRetry}
	_ = conn.Send(ctx, wire.NewError(refused)) // who does not take it is closed like the others
	_ = session.CloseGracefully(ctx, conn)
}
