package xlreg

import (
	"fmt"
	"strconv"
	"strings"
)

// Release is the version of this module, and of the clients in Python and Ruby that
// belong to it. Those of the protocol are another matter.
const Release = "0.1.0"

// Version is a version a.b.c.d of the protocol or of a program. On the wire it
// is a 32-bit little-endian value whose lowest byte is a, which is the value a
// Version holds.
type Version uint32

// The versions that this implementation names itself by.
const (
	Version18 Version = 1 | 8<<8
	Version19 Version = 1 | 9<<8
	Version20 Version = 2
)

// ParseVersion reads 2 to 4 decimal parts of 0 to 255, separated by dots.
func ParseVersion(s string) (Version, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return 0, fmt.Errorf("version %q: %d parts, want 2 to 4", s, len(parts))
	}
	var v Version
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, fmt.Errorf("version %q: part %q is not a number from 0 to 255", s, part)
		}
		v |= Version(n) << (8 * i)
	}
	return v, nil
}

// String returns the parts with dots between them, less those parts beyond the
// second that are zero and have only zeros after them.
func (v Version) String() string {
	parts := []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}
	for len(parts) > 2 && parts[len(parts)-1] == 0 {
		parts = parts[:len(parts)-1]
	}
	text := strconv.Itoa(int(parts[0]))
	for _, p := range parts[1:] {
		text += "." + strconv.Itoa(int(p))
	}
	return text
}

// Major returns the first part.
func (v Version) Major() int { return int(byte(v)) }

// Minor returns the second part.
func (v Version) Minor() int { return int(byte(v >> 8)) }

// Protocol is one generation of the wire: a carrier and what is said over it.
type Protocol uint8

// The generations. Protocol18 and Protocol19 are the classic ones; they have no
// integrity check and no forward secrecy, and exist for deployed peers.
const (
	Protocol18 Protocol = iota + 1
	Protocol19
	Protocol20
)

// ParseProtocol reads "1.8", "1.9" or "2.0".
func ParseProtocol(s string) (Protocol, error) {
	for _, p := range []Protocol{Protocol18, Protocol19, Protocol20} {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("protocol %q: want 2.0, 1.9 or 1.8", s)
}

// Version returns the version that stands for p.
func (p Protocol) Version() Version {
	return [...]Version{Protocol18: Version18, Protocol19: Version19, Protocol20: Version20}[p]
}

// Classic reports whether p is one of the generations before 2.0.
func (p Protocol) Classic() bool { return p != Protocol20 }

// String returns "1.8", "1.9" or "2.0".
func (p Protocol) String() string { return p.Version().String() }

const aesBlock = 16

// MaxReply returns the largest encoded message that a registry sends over p, in
// bytes: over a classic carrier a whole message, with its IV and at least one
// byte of padding, fits into one read of a deployed client.
func (p Protocol) MaxReply() int {
	if p.Classic() {
		return MaxClassicMessage - aesBlock - 1
	}
	return MaxReplyFrame
}
