package wire

import (
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

const opField = protowire.Number(1)

// Scan follows the fields of a message that is still arriving and has no length
// of its own, and tells at which lengths it can be whole. It looks at each byte
// once, however often it is asked. The zero value stands before the first byte.
type Scan struct {
	done   int                // bytes of whole tags and values
	groups []protowire.Number // open after those bytes, the innermost last
	op     bool               // an Op is among them
	broken bool               // no message begins like this
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
	return s.op && !s.broken && len(s.groups) == 0 && s.done == len(b)
}

// next returns how long the field at the head of b is. Of a group it takes the
// tags alone, so that one that stays open is not read again and again.
func (s *Scan) next(b []byte) (int, error) {
	number, kind, tag := protowire.ConsumeTag(b)
	if tag < 0 {
		return 0, protowire.ParseError(tag)
	}
	switch kind {
	case protowire.StartGroupType:
		s.groups = append(s.groups, number)
		return tag, nil
	case protowire.EndGroupType:
		return tag, s.endGroup(number)
	}
	value := protowire.ConsumeFieldValue(number, kind, b[tag:])
	if value < 0 {
		return 0, protowire.ParseError(value)
	}
	if number == opField && kind == protowire.VarintType && len(s.groups) == 0 {
		s.op = true
	}
	return tag + value, nil
}

func (s *Scan) endGroup(number protowire.Number) error {
	last := len(s.groups) - 1
	if last < 0 || s.groups[last] != number {
		return errors.New("end of a group that is not open")
	}
	s.groups = s.groups[:last]
	return nil
}
