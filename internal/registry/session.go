package registry

import (
	"context"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// Session is one peer's connection, as far as the rules need to know it: what its
// handshake says, and who it has said to be since. It belongs to one goroutine; the
// leases that it keeps alive are known by its address.
type Session struct {
	Protocol xlreg.Protocol

	// Salt is what a classic log-in signs.
	Salt []byte

	// SigKey is the key that the peer proved to hold over 2.0, and Certificate
	// the one it showed, in DER. Both are empty if it showed none.
	SigKey      xlreg.SigKey
	Certificate []byte

	From string // the address that the peer came from, for people

	// Turn waits until one of the peer's signatures may be verified, which ends with
	// release; that is told whether the signature was good. Nil is no bound.
	Turn func(ctx context.Context) (release func(good bool), err error)

	node xlreg.NodeID // after Register or LogIn
	sum  xlreg.KeySum // of the node's sig key, likewise
	own  *xlreg.Token // what this session registered itself over 2.0

	looked map[xlreg.ClusterID]time.Time // when a lease that another server keeps was last looked for
}

// mostLooked bounds what a session remembers of its looks.
const mostLooked = 64

// looks reports whether a lease in a cluster is to be looked for again, and notes it.
func (s *Session) looks(id xlreg.ClusterID, now time.Time) bool {
	if last, ok := s.looked[id]; ok && now.Sub(last) < lookAgain {
		return false
	}
	if s.looked == nil || len(s.looked) >= mostLooked {
		s.looked = make(map[xlreg.ClusterID]time.Time)
	}
	s.looked[id] = now
	return true
}

// Node returns who the peer is, and nothing before it has said so.
func (s *Session) Node() xlreg.NodeID { return s.node }

// is binds the session to a node. Over 2.0 it joins with the token that it registered
// itself, so that nobody's address gets under the Run of another with the same key.
func (s *Session) is(node *xlreg.Token, registered bool) {
	s.node, s.sum, s.own = node.ID, keys.KeySum(node.SigKey), nil
	if registered && !s.Protocol.Classic() {
		s.own = node
	}
}

// Actor is the peer as whoever causes events.
func (s *Session) Actor() Actor { return Actor{From: s.From, Protocol: s.Protocol, Node: s.node} }

// inTurn verifies in a turn.
func (s *Session) inTurn(ctx context.Context, verify func() error) error {
	if s.Turn == nil {
		return verify()
	}
	release, err := s.Turn(ctx)
	if err != nil {
		return err
	}
	good := false
	defer func() { release(good) }()
	err = verify()
	good = err == nil
	return err
}
