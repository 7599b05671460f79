package wire

import (
	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
	"github.com/xlattice/xlreg/keys"
)

// RosterReply is what a ClusterMembers says. Over a classic carrier it has a Cluster,
// Given and Members alone.
type RosterReply struct {
	Cluster xlreg.Cluster
	State   xlreg.ClusterState
	Seats   xlreg.Seats    // whose seats are taken
	Given   xlreg.Seats    // whose tokens are here
	Members []xlreg.Member // those of Given, in the order of their indexes
	Since   *uint64        // only what changed after this revision is here; nil: all that was asked for
	Sum     keys.Sum       // of the whole roster
}

// Roster reads a ClusterMembers that came over p. The names and endpoints of its tokens
// are within the limits; keys, signatures and certificates are as they came, since
// checking those is most of what a roster costs.
func (m *Message) Roster(p xlreg.Protocol) (*RosterReply, error) {
	if m.Op() != OpClusterMembers {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "%v instead of ClusterMembers", m.Op())
	}
	c, err := m.Cluster(p)
	if err != nil {
		return nil, err
	}
	r := &RosterReply{Cluster: c, State: m.State(p)}
	if p.Classic() {
		r.Given = xlreg.SeatsFromWord(m.pb.GetWhich())
	} else if err := m.readSets(r); err != nil {
		return nil, err
	}
	if n := len(m.pb.GetTokens()); r.Given.Len() != n {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "ClusterMembers with %d bits set and %d tokens", r.Given.Len(), n)
	}
	r.Members = make([]xlreg.Member, 0, len(m.pb.GetTokens()))
	for index := range r.Given.All() {
		t, err := rosterTokenFromPB(m.pb.GetTokens()[len(r.Members)], p)
		if err != nil {
			return nil, err
		}
		r.Members = append(r.Members, xlreg.Member{Index: index, Token: *t})
	}
	return r, nil
}

// readSets reads what a ClusterMembers has over 2.0 beside its cluster and its tokens.
func (m *Message) readSets(r *RosterReply) (err error) {
	if m.pb.SeatSet == nil || m.pb.WhichSet == nil {
		return xlreg.Errorf(xlreg.ErrProtocol, "ClusterMembers without SeatSet or WhichSet")
	}
	if r.Seats, err = seatsFromPB("SeatSet", m.pb.GetSeatSet()); err != nil {
		return err
	}
	if r.Given, err = seatsFromPB("WhichSet", m.pb.GetWhichSet()); err != nil {
		return err
	}
	switch {
	case !r.Seats.Minus(xlreg.SeatsBelow(r.Cluster.MaxSize)).IsEmpty():
		return xlreg.Errorf(xlreg.ErrProtocol, "SeatSet with seats that a cluster of %d does not have", r.Cluster.MaxSize)
	case !r.Given.Minus(r.Seats).IsEmpty():
		return xlreg.Errorf(xlreg.ErrProtocol, "WhichSet with seats that are not taken")
	case len(m.pb.GetSum()) != len(r.Sum):
		return xlreg.Errorf(xlreg.ErrProtocol, "Sum of %d bytes", len(m.pb.GetSum()))
	}
	r.Since = m.pb.SinceRevision
	copy(r.Sum[:], m.pb.GetSum())
	return nil
}

func rosterTokenFromPB(pb *xlregpb.XLRegMsg_Token, p xlreg.Protocol) (*xlreg.Token, error) {
	t, err := tokenFromPB(pb, maxReplyToken(p), p)
	if err == nil && !p.Classic() {
		t.Seat, err = seatFromPB(pb)
	}
	if err == nil {
		err = t.Validate()
	}
	if err != nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "member's token: %v", err)
	}
	if t.ID == "" {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "member's token without ID")
	}
	t.DigSig = nil
	return t, nil
}
