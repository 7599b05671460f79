// Package wire converts between the messages of the protocol and the nouns of
// package xlreg. It is the only place that knows the protobuf.
//
// Reading has two steps, since they fail differently. Unmarshal decides whether
// some bytes are a message at all; a carrier answers nothing to those that are
// not. The views of a Message then check its content; what they refuse is an
// error with a kind, and is answered.
package wire

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire/xlregpb"
)

// Op says what a message is. Peers may send any value.
type Op int32

// The operations. Each request is followed by its reply; Error answers any of
// them. Those from Leave on exist over 2.0 only.
const (
	OpRegCredRequest Op = 1
	OpRegCredReply   Op = 2
	OpMember         Op = 3
	OpMemberOK       Op = 4
	OpCreate         Op = 5
	OpCreateReply    Op = 6
	OpJoin           Op = 7
	OpJoinReply      Op = 8
	OpGetCluster     Op = 9
	OpClusterMembers Op = 10
	OpBye            Op = 11
	OpAck            Op = 12
	OpError          Op = 13
	OpLeave          Op = 14
	OpLeaveReply     Op = 15
	OpOrder          Op = 16
	OpOrderReply     Op = 17

	lastOp = OpOrderReply
)

// Known reports whether op is one of the operations there are.
func (op Op) Known() bool { return op >= OpRegCredRequest && op <= lastOp }

// String returns the name used in the protocol.
func (op Op) String() string {
	if !op.Known() {
		return fmt.Sprintf("Op(%d)", int32(op))
	}
	return xlregpb.XLRegMsg_Tag(op).String()
}

// Message is one message of the protocol, on its way in or out.
type Message struct {
	pb     *xlregpb.XLRegMsg
	tokens []byte // encoded Token fields, to follow those of pb
}

// Unmarshal reads one message. It fails if b does not parse or has no Op; every
// other fault is for the views of the message to find.
func Unmarshal(b []byte) (*Message, error) {
	if err := check(b); err != nil {
		return nil, err
	}
	pb := new(xlregpb.XLRegMsg)
	if err := decode.Unmarshal(b, pb); err != nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "not an XLRegMsg")
	}
	if pb.Op == nil {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "message without Op")
	}
	return &Message{pb: pb}, nil
}

// decode is how messages are decoded: a token in a message is as deep as it gets.
var decode = proto.UnmarshalOptions{RecursionLimit: 2}

// maxChain is how many certificates a message may hold. A registry sends four at most.
const maxChain = 8

// check looks at what decoding would be costly to find out: that there is too much of
// what may be repeated, of which an empty token takes a hundred times its three bytes,
// and that there are groups.
func check(b []byte) error {
	tokens, certificates := 0, 0
	err := eachField(b, func(number protowire.Number, kind protowire.Type, field []byte) error {
		switch {
		case number == tokensField:
			tokens++
		case number == chainField:
			certificates++
		}
		if kind == protowire.BytesType && (number == specsField || number == tokensField) {
			return checkFields(content(field))
		}
		return nil
	})
	switch {
	case err != nil:
		return xlreg.Errorf(xlreg.ErrProtocol, "not an XLRegMsg: %v", err)
	case tokens > xlreg.MaxClusterSize:
		return xlreg.Errorf(xlreg.ErrProtocol, "more than %d tokens", xlreg.MaxClusterSize)
	case certificates > maxChain:
		return xlreg.Errorf(xlreg.ErrProtocol, "more than %d certificates", maxChain)
	}
	return nil
}

// Append appends the encoded message to b, its fields in the order of their numbers.
func (m *Message) Append(b []byte) ([]byte, error) {
	start := len(b)
	b, err := m.appendFields(b)
	if err != nil || len(m.tokens) == 0 {
		return b, err
	}
	at := start
	err = eachField(b[start:], func(number protowire.Number, _ protowire.Type, field []byte) error {
		if number < tokensField {
			at += len(field)
		}
		return nil
	})
	return slices.Insert(b, at, m.tokens...), err
}

// AppendHead is Append for a long message: it appends up to a length of b of about most
// bytes, and returns the rest of it. That may be shared with other messages, so
// nobody may change it: a roster is encoded once, not once for each reader. Its tokens
// follow all other fields, for which they would otherwise be in two pieces.
func (m *Message) AppendHead(b []byte, most int) (head, rest []byte, err error) {
	b, err = m.appendFields(b)
	if err != nil {
		return nil, nil, err
	}
	n := min(max(0, most-len(b)), len(m.tokens))
	return append(b, m.tokens[:n]...), m.tokens[n:], nil
}

// appendFields appends all fields but those in m.tokens.
func (m *Message) appendFields(b []byte) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m.pb)
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", m.Op(), err)
	}
	return b, nil
}

// Size returns how many bytes Append appends.
func (m *Message) Size() int { return proto.Size(m.pb) + len(m.tokens) }

// Op returns the operation. A value past what an int32 holds comes as the
// protobuf makes it one.
func (m *Message) Op() Op { return Op(m.pb.GetOp()) }

func newMessage(op Op, pb *xlregpb.XLRegMsg) *Message {
	pb.Op = xlregpb.XLRegMsg_Tag(op).Enum()
	return &Message{pb: pb}
}
