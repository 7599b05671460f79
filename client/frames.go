package client

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// Frames outside of a session, as section 7.4 has them: those in which members ask each
// other for sums, and those of a signed roster that is kept in a file.

const frameHeaderLen = 4

// appendFrame appends m in a frame to b.
func appendFrame(b []byte, m *wire.Message) ([]byte, error) {
	start := len(b)
	b, err := m.Append(append(b, make([]byte, frameHeaderLen)...))
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-frameHeaderLen))
	return b, nil
}

// readFrame reads one message of at most limit bytes. The end of r is io.EOF if it comes
// before the frame.
func readFrame(r io.Reader, limit uint32) (*wire.Message, error) {
	var header [frameHeaderLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > limit {
		return nil, xlreg.Errorf(xlreg.ErrProtocol, "frame of %d bytes, at most %d allowed", size, limit)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("frame that is not whole: %w", io.ErrUnexpectedEOF)
	}
	return wire.Unmarshal(body)
}
