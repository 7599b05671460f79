package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

// The fields of a message that hold tokens.
const (
	specsField  = protowire.Number(11)
	tokensField = protowire.Number(21)
)

// EncodedRoster is a roster whose tokens are encoded once, for all who read it
// over one protocol.
type EncodedRoster struct {
	cluster xlreg.Cluster
	tokens  []byte // the Tokens fields of all members, in order
	members []encodedMember
}

type encodedMember struct {
	index      int
	start, end int // in tokens
}

// EncodeRoster encodes what readers over p may see of r.
func EncodeRoster(r *xlreg.Roster, p xlreg.Protocol) (*EncodedRoster, error) {
	e := &EncodedRoster{cluster: r.Cluster}
	for i := range r.Members {
		token, err := proto.Marshal(rosterToken(&r.Members[i].Token, p))
		if err != nil {
			return nil, fmt.Errorf("encode member %d: %w", r.Members[i].Index, err)
		}
		start := len(e.tokens)
		e.tokens = protowire.AppendTag(e.tokens, tokensField, protowire.BytesType)
		e.tokens = protowire.AppendBytes(e.tokens, token)
		e.members = append(e.members, encodedMember{r.Members[i].Index, start, len(e.tokens)})
	}
	return e, nil
}

// Message returns the ClusterMembers with those of which who are there, lowest
// first, as many as fit into limit bytes.
func (e *EncodedRoster) Message(which xlreg.Seats, limit int) *Message {
	pb := clusterToPB(&e.cluster)
	pb.Which = proto.Uint64(uint64(xlreg.AllSeats)) // the longest, for Size
	m := newMessage(OpClusterMembers, pb)
	room := limit - m.Size()
	var given xlreg.Seats
	for _, member := range e.members {
		if !which.Has(member.index) {
			continue
		}
		if member.end-member.start > room-len(m.tokens) {
			break
		}
		m.addTokens(e.tokens, member)
		given = given.With(member.index)
	}
	pb.Which = proto.Uint64(uint64(given))
	return m
}

// addTokens extends a message's tokens by one member's. While the members
// follow each other the message shares the roster's bytes.
func (m *Message) addTokens(all []byte, member encodedMember) {
	switch n := len(m.tokens); {
	case n == 0:
		m.tokens = all[member.start:member.end:member.end]
	case member.start >= n && &m.tokens[0] == &all[member.start-n]:
		m.tokens = all[member.start-n : member.end : member.end]
	default:
		m.tokens = append(m.tokens, all[member.start:member.end]...)
	}
}

// Roster reads the tokens of a ClusterMembers, each with its index. Their names
// and endpoints are within the limits; keys, signatures and certificates are as
// they came, since checking those is most of what a roster costs.
func (m *Message) Roster() ([]xlreg.Member, error) {
	if m.Op() != OpClusterMembers {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "%v instead of ClusterMembers", m.Op())
	}
	which := xlreg.Seats(m.pb.GetWhich())
	if which.Len() != len(m.pb.GetTokens()) {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "ClusterMembers with %d bits set and %d tokens", which.Len(), len(m.pb.GetTokens()))
	}
	members := make([]xlreg.Member, 0, which.Len())
	for _, pb := range m.pb.GetTokens() {
		t, err := rosterTokenFromPB(pb)
		if err != nil {
			return nil, err
		}
		index := (^which).LowestFree()
		which = which.Without(index)
		members = append(members, xlreg.Member{Index: index, Token: *t})
	}
	return members, nil
}

func rosterTokenFromPB(pb *xlregpb.XLRegMsg_Token) (*xlreg.Token, error) {
	t, err := tokenFromPB(pb, maxReplyToken)
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
