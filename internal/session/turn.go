package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shortWait is how long a handshake has to wait for its turn before it is worth a
// system call to see whether the peer is still there.
const shortWait = 5 * time.Millisecond

// takeTurn waits until the costly part of a handshake may be computed, which ends
// with endTurn. It is an error if the peer has gone away meanwhile: a flood of
// connections that are closed at once must not take the turns of the others.
func (s *Server) takeTurn(ctx context.Context, l *link) error {
	defer l.hello.greeted()
	if s.cfg.Turn == nil {
		return nil
	}
	begun := time.Now()
	release, err := s.cfg.Turn(ctx, l.addr().Addr())
	if err != nil {
		return fmt.Errorf("wait for a turn: %w", err)
	}
	l.release = release
	if time.Since(begun) > shortWait && peerGone(l.Conn) {
		l.endTurn()
		return errors.New("peer went away before its turn")
	}
	l.turned = true
	return nil
}

// endTurn gives the turn back, if there is one. Over TLS that is at the first
// write: by then keys and signature, the costly part, have been computed, and
// whatever the peer does next takes nobody's turn.
func (l *link) endTurn() {
	if l.release != nil {
		l.release()
		l.release = nil
	}
}
