package server

import (
	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// state is how far a session has come.
type state int

const (
	fresh state = iota // nobody has said who they are
	known              // Member was answered with MemberOK
	states
)

// opSet is a set of operations.
type opSet uint32

func ops(list ...wire.Op) (s opSet) {
	for _, op := range list {
		s |= 1 << op
	}
	return s
}

func (s opSet) has(op wire.Op) bool { return op.Known() && s>>op&1 == 1 }

// legal is which requests each state allows, over the classic carriers and over
// 2.0. What is not in it is refused and changes nothing.
var legal = [states]struct{ classic, modern opSet }{
	fresh: {
		classic: ops(wire.OpMember, wire.OpRegCredRequest, wire.OpBye),
		modern:  ops(wire.OpMember, wire.OpRegCredRequest, wire.OpBye, wire.OpGetCluster, wire.OpOrder),
	},
	known: {
		classic: ops(wire.OpCreate, wire.OpJoin, wire.OpGetCluster, wire.OpRegCredRequest, wire.OpBye),
		modern: ops(wire.OpCreate, wire.OpJoin, wire.OpGetCluster, wire.OpRegCredRequest, wire.OpBye,
			wire.OpLeave, wire.OpMember, wire.OpOrder),
	},
}

// writes are the requests that need to know who asks.
var writes = ops(wire.OpCreate, wire.OpJoin, wire.OpLeave)

// lastOp is the last operation that there is over p.
func lastOp(p xlreg.Protocol) wire.Op {
	if p.Classic() {
		return wire.OpLeaveReply
	}
	return wire.OpOrderReply
}

// checkOrder says whether a request is allowed now.
func checkOrder(s state, p xlreg.Protocol, op wire.Op) error {
	allowed := legal[s].modern
	if p.Classic() {
		allowed = legal[s].classic
	}
	switch {
	case allowed.has(op):
		return nil
	case op < 0 || op > lastOp(p):
		return xlreg.ErrBadTag
	case !p.Classic() && writes.has(op):
		return xlreg.ErrIdentityRequired
	default:
		return xlreg.ErrWrongState
	}
}
