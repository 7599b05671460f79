package server

import (
	"sync/atomic"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// Stats are the server's counts since it began.
type Stats struct {
	Open             int                       // connections open now
	Waiting          int                       // of those, how many wait for members
	Refused          uint64                    // connections over a limit
	FailedHandshakes uint64                    // connections that never became a session
	Panics           uint64                    // sessions ended by a fault of ours
	Sessions         map[xlreg.Protocol]uint64 // begun
	Ended            map[SessionEnd]uint64     // sessions
	Requests         map[wire.Op]uint64        // received
	Errors           map[Refusal]uint64        // requests that were answered with an Error
	Replies          map[wire.Op]uint64        // sent, Errors included
	Turns            int                       // handshakes and signatures that wait to be computed
}

// SessionEnd is how sessions of a protocol end.
type SessionEnd struct {
	Protocol xlreg.Protocol
	End      End
}

// Refusal is an answer to requests of one kind. The kind of an error of ours, whose cause
// peers are not told, is 0.
type Refusal struct {
	Op   wire.Op
	Kind xlreg.Kind
}

const (
	opCount   = int(wire.OpOrderReply) + 1
	kindCount = int(xlreg.ErrKeyNotAdmitted) + 1
)

type counters struct {
	refused, failed, panics atomic.Uint64
	sessions                [xlreg.Protocol20 + 1]atomic.Uint64
	ended                   [xlreg.Protocol20 + 1][endCount]atomic.Uint64
	requests, replies       [opCount]atomic.Uint64 // 0: unknown ones
	errors                  [opCount][kindCount]atomic.Uint64
}

func (c *counters) request(op wire.Op) { c.requests[opIndex(op)].Add(1) }
func (c *counters) reply(op wire.Op)   { c.replies[opIndex(op)].Add(1) }

// refuse counts a request that is answered with an Error.
func (c *counters) refuse(op wire.Op, err error) {
	kind, ok := xlreg.KindOf(err)
	if !ok || !kind.Valid() {
		kind = 0
	}
	c.errors[opIndex(op)][kind].Add(1)
}

func opIndex(op wire.Op) int {
	if !op.Known() {
		return 0
	}
	return int(op)
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Refused:          c.refused.Load(),
		FailedHandshakes: c.failed.Load(),
		Panics:           c.panics.Load(),
		Sessions:         make(map[xlreg.Protocol]uint64),
		Ended:            make(map[SessionEnd]uint64),
		Requests:         make(map[wire.Op]uint64),
		Errors:           make(map[Refusal]uint64),
		Replies:          make(map[wire.Op]uint64),
	}
	for p := xlreg.Protocol18; p <= xlreg.Protocol20; p++ {
		s.Sessions[p] = c.sessions[p].Load()
		for end := range endCount {
			s.Ended[SessionEnd{p, End(end)}] = c.ended[p][end].Load()
		}
	}
	for op := range opCount {
		s.Requests[wire.Op(op)] = c.requests[op].Load()
		s.Replies[wire.Op(op)] = c.replies[op].Load()
		c.snapshotErrors(&s, op)
	}
	return s
}

// snapshotErrors leaves out what has not happened: most operations never see most errors.
func (c *counters) snapshotErrors(s *Stats, op int) {
	for kind := range kindCount {
		if n := c.errors[op][kind].Load(); n > 0 {
			s.Errors[Refusal{wire.Op(op), xlreg.Kind(kind)}] = n
		}
	}
}
