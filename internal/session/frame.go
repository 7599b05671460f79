package session

import (
	"encoding/binary"
	"fmt"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// headerLen is the length of a frame's length.
const headerLen = 4

// framing is the codec of 2.0: the length of a message, then the message.
type framing struct {
	readMax, writeMax int
}

func (f *framing) limit() int { return headerLen + f.readMax }

// recordLen is how many bytes fit into one record of TLS.
const recordLen = 16 << 10

// encode makes the head fill one TLS record exactly, if the message is longer than a
// record. TLS begins a new record with each write, so a shorter head would cost one more
// record.
func (f *framing) encode(m *wire.Message) (head, rest []byte, err error) {
	size := m.Size()
	if size > f.writeMax {
		return nil, nil, fmt.Errorf("message of %d bytes: at most %d allowed", size, f.writeMax)
	}
	b := make([]byte, headerLen, min(headerLen+size, recordLen))
	binary.BigEndian.PutUint32(b, uint32(size))
	return m.AppendHead(b, recordLen)
}

func (f *framing) decode(b []byte) (*wire.Message, int, error) {
	if len(b) < headerLen {
		return nil, 0, nil
	}
	size := binary.BigEndian.Uint32(b)
	if uint64(size) > uint64(f.readMax) {
		return nil, 0, xlreg.Errorf(xlreg.ErrProtocol, "frame of %d bytes, at most %d allowed", size, f.readMax)
	}
	end := headerLen + int(size)
	if len(b) < end {
		return nil, 0, nil
	}
	m, err := wire.Unmarshal(b[headerLen:end])
	return m, end, err
}
