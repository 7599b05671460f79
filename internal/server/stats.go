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
	Requests         map[wire.Op]uint64        // received
	Replies          map[wire.Op]uint64        // sent, Errors included
}

const opCount = int(wire.OpOrderReply) + 1

type counters struct {
	refused, failed, panics atomic.Uint64
	sessions                [xlreg.Protocol20 + 1]atomic.Uint64
	requests, replies       [opCount]atomic.Uint64 // 0: unknown ones
}

func (c *counters) request(op wire.Op) { c.requests[opIndex(op)].Add(1) }
func (c *counters) reply(op wire.Op)   { c.replies[opIndex(op)].Add(1) }

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
		Requests:         make(map[wire.Op]uint64),
		Replies:          make(map[wire.Op]uint64),
	}
	for p := xlreg.Protocol18; p <= xlreg.Protocol20; p++ {
		s.Sessions[p] = c.sessions[p].Load()
	}
	for op := range opCount {
		s.Requests[wire.Op(op)] = c.requests[op].Load()
		s.Replies[wire.Op(op)] = c.replies[op].Load()
	}
	return s
}
