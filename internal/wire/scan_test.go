package wire

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// TestScanAgreesWithUnmarshal grows random bytes, most of them near to messages,
// and holds the scan against the decoder at every length it is asked about.
func TestScanAgreesWithUnmarshal(t *testing.T) {
	piece := rapid.OneOf(
		rapid.Just([]byte{0x08, 0x03}),                      // Op
		rapid.Just([]byte{0x08, 0x80}),                      // Op, cut short
		rapid.Just([]byte{0xaa, 0x01, 0x00}),                // an empty token
		rapid.Just([]byte{0xaa, 0x01, 0x02, 0xff, 0xff}),    // a broken one
		rapid.Just([]byte{0x6a, 0x03, 1, 2, 3}),             // ClusterID
		rapid.Just([]byte{0x0a, 0x02, 8, 3}),                // field 1, but not a varint
		rapid.Just([]byte{0xc3, 0x3e, 0x08, 0x03}),          // a group opens, which no message has
		rapid.Just([]byte{0xc4, 0x3e}),                      // and closes
		rapid.Just(protowire.AppendVarint(nil, 1<<40|0x02)), // no legal field number
		rapid.SliceOfN(rapid.Byte(), 1, 4),
	)
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		for _, p := range rapid.SliceOfN(piece, 1, 8).Draw(t, "pieces") {
			b = append(b, p...)
		}
		var scan Scan
		dead := false
		for n := 0; n <= len(b); n += rapid.IntRange(1, 5).Draw(t, "step") {
			whole := scan.Whole(b[:n])
			_, err := Unmarshal(b[:n])
			if err == nil && (!whole || dead) {
				t.Fatalf("%x is a message, but Whole says %v, refused before: %v", b[:n], whole, dead)
			}
			dead = dead || whole && err != nil
		}
	})
}

// TestScanIsLinear asks about every length of a message made to be read again
// and again: a second look at each byte would be a billion of them.
func TestScanIsLinear(t *testing.T) {
	var b []byte
	for range 1 << 19 {
		b = append(b, 0xc0, 0x3e, 0x00) // an unknown field
	}
	var scan Scan
	for n := 1; n <= len(b); n++ {
		if scan.Whole(b[:n]) {
			t.Fatalf("whole at %d", n)
		}
	}
}
