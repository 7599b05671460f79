package server

import (
	"errors"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// TestOrder walks every operation through every state of both families of
// carriers.
func TestOrder(t *testing.T) {
	const (
		yes  = "allowed"
		no   = "wrong state"
		who  = "identity required"
		what = "no such operation"
	)
	kinds := map[string]error{yes: nil, no: xlreg.ErrWrongState, who: xlreg.ErrIdentityRequired, what: xlreg.ErrBadTag}
	for _, tc := range []struct {
		op                                                   wire.Op
		classicFresh, classicKnown, modernFresh, modernKnown string
	}{
		{-1, what, what, what, what},
		{0, no, no, no, no},
		{wire.OpRegCredRequest, yes, yes, yes, yes},
		{wire.OpRegCredReply, no, no, no, no},
		{wire.OpMember, yes, no, yes, yes},
		{wire.OpMemberOK, no, no, no, no},
		{wire.OpCreate, no, yes, who, yes},
		{wire.OpCreateReply, no, no, no, no},
		{wire.OpJoin, no, yes, who, yes},
		{wire.OpJoinReply, no, no, no, no},
		{wire.OpGetCluster, no, yes, yes, yes},
		{wire.OpClusterMembers, no, no, no, no},
		{wire.OpBye, yes, yes, yes, yes},
		{wire.OpAck, no, no, no, no},
		{wire.OpError, no, no, no, no},
		{wire.OpLeave, no, no, who, yes},
		{wire.OpLeaveReply, no, no, no, no},
		{wire.OpOrder, what, what, yes, yes},
		{wire.OpOrderReply, what, what, no, no},
		{18, what, what, what, what},
		{64, what, what, what, what},
		{1<<31 - 1, what, what, what, what},
	} {
		check := func(s state, p xlreg.Protocol, want string) {
			t.Helper()
			if err := checkOrder(s, p, tc.op); !errors.Is(err, kinds[want]) {
				t.Errorf("%v over %v in state %d: %v, want %s", tc.op, p, s, err, want)
			}
		}
		check(fresh, xlreg.Protocol18, tc.classicFresh)
		check(fresh, xlreg.Protocol19, tc.classicFresh)
		check(known, xlreg.Protocol18, tc.classicKnown)
		check(known, xlreg.Protocol19, tc.classicKnown)
		check(fresh, xlreg.Protocol20, tc.modernFresh)
		check(known, xlreg.Protocol20, tc.modernKnown)
	}
}
