package vectorgen

import (
	"crypto/sha256"
	"encoding/binary"
)

// stream is an endless sequence of bytes that depends on its label alone:
// block i is SHA-256(seed, label, i). It stands for randomness where a vector
// needs some, so that the same files come out on every machine for ever.
type stream struct {
	label string
	block uint64
	rest  []byte
}

const streamSeed = "xlreg public test vectors, protecting nothing\x00"

func newStream(label string) *stream { return &stream{label: label} }

// Read fills p. It never fails.
func (s *stream) Read(p []byte) (int, error) {
	for filled := 0; filled < len(p); {
		if len(s.rest) == 0 {
			s.next()
		}
		n := copy(p[filled:], s.rest)
		s.rest = s.rest[n:]
		filled += n
	}
	return len(p), nil
}

func (s *stream) next() {
	b := append([]byte(streamSeed), s.label...)
	b = binary.BigEndian.AppendUint64(b, s.block)
	sum := sha256.Sum256(b)
	s.block++
	s.rest = sum[:]
}

// bytes returns the next n bytes.
func (s *stream) bytes(n int) []byte {
	b := make([]byte, n)
	s.Read(b)
	return b
}

// random returns n bytes that depend on label alone.
func random(label string, n int) []byte { return newStream(label).bytes(n) }
