package wire

import (
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of a message that are looked at before it is decoded.
const (
	opField     = protowire.Number(1)
	specsField  = protowire.Number(11) // a token
	tokensField = protowire.Number(21) // a token, repeated
	chainField  = protowire.Number(43) // a certificate, repeated
)

// Scan follows the fields of a message that is still arriving and has no length
// of its own, and tells at which lengths it can be whole. It looks at each byte
// once, however often it is asked. The zero value stands before the first byte.
type Scan struct {
	done   int  // bytes of whole fields
	op     bool // an Op is among them
	broken bool // no message begins like this
}

// Whole reports whether b can be a whole message with an Op. It must begin with
// the bytes of every earlier call. False is certain. True is for Unmarshal to
// confirm, and if that refuses b it refuses everything that begins with b.
func (s *Scan) Whole(b []byte) bool {
	for s.done < len(b) && !s.broken {
		n, err := s.next(b[s.done:])
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return false
		}
		s.broken = err != nil
		s.done += n
	}
	return s.op && !s.broken && s.done == len(b)
}

// next returns how long the field at the head of b is.
func (s *Scan) next(b []byte) (int, error) {
	number, kind, n, err := consumeField(b)
	if err == nil && number == opField && kind == protowire.VarintType {
		s.op = true
	}
	return n, err
}

var errGroup = errors.New("group")

// consumeField is protowire.ConsumeField for a message without groups, and so without
// recursion. No message of the protocol has any, and as unknown fields they could be
// nested ten thousand deep, which costs half a megabyte of stack to find out.
func consumeField(b []byte) (number protowire.Number, kind protowire.Type, n int, err error) {
	number, kind, tag := protowire.ConsumeTag(b)
	if tag < 0 {
		return 0, 0, 0, protowire.ParseError(tag)
	}
	if kind == protowire.StartGroupType || kind == protowire.EndGroupType {
		return 0, 0, 0, errGroup
	}
	value := protowire.ConsumeFieldValue(number, kind, b[tag:])
	if value < 0 {
		return 0, 0, 0, protowire.ParseError(value)
	}
	return number, kind, tag + value, nil
}

// eachField calls look with each field of an encoded message, its tag included, until
// that fails or something is no field.
func eachField(b []byte, look func(number protowire.Number, kind protowire.Type, field []byte) error) error {
	for len(b) > 0 {
		number, kind, n, err := consumeField(b)
		if err != nil {
			return err
		}
		if err := look(number, kind, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// checkFields reports what in b is no field of a message without groups.
func checkFields(b []byte) error {
	return eachField(b, func(protowire.Number, protowire.Type, []byte) error { return nil })
}

// content returns what a field of bytes holds.
func content(field []byte) []byte {
	_, _, tag := protowire.ConsumeTag(field)
	b, _ := protowire.ConsumeBytes(field[tag:])
	return b
}
