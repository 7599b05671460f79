package original

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// op says what a message is. A reply's op is its request's and one.
type op uint64

const (
	opMember     op = 3
	opCreate     op = 5
	opJoin       op = 7
	opGetCluster op = 9
	opBye        op = 11
	opError      op = 13
)

// The fields of a message that the originals know.
const (
	fieldOp             protowire.Number = 1
	fieldMemberID       protowire.Number = 9
	fieldMemberAttrs    protowire.Number = 10
	fieldMemberSpecs    protowire.Number = 11
	fieldClusterID      protowire.Number = 13
	fieldClusterName    protowire.Number = 14
	fieldClusterMaxSize protowire.Number = 15
	fieldClusterAttrs   protowire.Number = 16
	fieldEndPointCount  protowire.Number = 17
	fieldWhich          protowire.Number = 20
	fieldTokens         protowire.Number = 21
	fieldErrDesc        protowire.Number = 23
)

// The fields of a token.
const (
	tokenName     protowire.Number = 1
	tokenAttrs    protowire.Number = 2
	tokenID       protowire.Number = 3
	tokenCommsKey protowire.Number = 4
	tokenSigKey   protowire.Number = 5
	tokenMyEnds   protowire.Number = 6
	tokenDigSig   protowire.Number = 7
)

var errMessage = errors.New("not a message")

// message is a decoded message or token: numbers, and everything that has a length.
type message struct {
	numbers map[protowire.Number]uint64
	texts   map[protowire.Number][][]byte
}

// parse reads a message or a token. Fields that nobody asks for are kept too.
func parse(b []byte) (message, error) {
	m := message{make(map[protowire.Number]uint64), make(map[protowire.Number][][]byte)}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return m, errMessage
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			m.numbers[number], n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			var text []byte
			text, n = protowire.ConsumeBytes(b)
			m.texts[number] = append(m.texts[number], text)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return m, errMessage
		}
		b = b[n:]
	}
	return m, nil
}

func (m message) op() op { return op(m.numbers[fieldOp]) }

// text returns a field that has a length; nil if it is absent.
func (m message) text(n protowire.Number) []byte {
	all := m.texts[n]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// newMessage begins a message. What is appended follows in the order of the numbers,
// as the originals write it.
func newMessage(o op) []byte { return appendNumber(nil, fieldOp, uint64(o)) }

func appendNumber(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendText(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}
