package server

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

const (
	refusalTime  = 3 * time.Second // for the handshake that telling a peer takes
	refusalRetry = time.Second     // when it is told to come back
)

// refuser ends connections over a limit. Peers over 2.0 are told so, within the
// bounds of guard.Refusals. Classic peers, which know no reply for it, and all
// others are closed without a word.
type refuser struct {
	session *session.Server // of 2.0 alone; nil where that is not served
	bounds  *guard.Refusals
}

func newRefuser(authority *session.Authority, served []xlreg.Protocol, bounds *guard.Refusals) (*refuser, error) {
	r := &refuser{bounds: bounds}
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
func (r *refuser) enter(from guard.Source) bool { return r.session != nil && r.bounds.Enter(from) }

func (r *refuser) leave(from guard.Source) { r.bounds.Leave(from) }

// tell answers whatever the peer is about to ask with too many requests.
func (r *refuser) tell(ctx context.Context, nc net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, refusalTime)
	defer cancel()
	conn, err := r.session.Accept(ctx, nc)
	if err != nil {
		return // Accept has closed it, and there is nobody to tell
	}
	_ = conn.Send(ctx, wire.NewError(errConnections())) // a peer that does not take it is closed like the others
	_ = session.CloseGracefully(ctx, conn)
}
