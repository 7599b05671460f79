package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shortTurn is how long a wait has to be for a look whether the peer is still
// there to be worth a system call.
const shortTurn = 5 * time.Millisecond

// takeTurn waits until the costly part of a handshake may be computed, which ends
// with endTurn. It is an error if the peer has gone away meanwhile: a flood of
// those must not take the time of those who wait.
func (s *Server) takeTurn(ctx context.Context, l *link) error {
	if s.cfg.Turn == nil {
		return nil
	}
	begun := time.Now()
	release, err := s.cfg.Turn(ctx, l.addr().Addr())
	if err != nil {
		return fmt.Errorf("wait for a turn: %w", err)
	}
	l.release = release
	if time.Since(begun) > shortTurn && peerGone(l.Conn) {
		l.endTurn()
		return errors.New("peer went away before its turn")
	}
	l.turned = true
	return nil
}

// endTurn gives the turn back, if there is one. Over TLS that is at the first
// write: what comes before it, the keys and the signature, is the costly part,
// and then the peer may take its time.
func (l *link) endTurn() {
	if l.release != nil {
		l.release()
		l.release = nil
	}
}
