package xlreg

import (
	"encoding/hex"
	"fmt"
)

// The two lengths of an identifier, in bytes. Both are accepted from any peer.
const (
	ShortIDLen = 20
	LongIDLen  = 32
)

// NodeID names a client of a registry for as long as the registry lives. It
// holds the 20 or 32 raw bytes; the zero value means "no ID".
type NodeID string

// ClusterID names a cluster. It has the form of a NodeID, and a registry never
// uses one value as both.
type ClusterID string

// NodeIDFromBytes returns the ID whose raw bytes are b, or ErrBadID if b is
// neither 20 nor 32 bytes long.
func NodeIDFromBytes(b []byte) (NodeID, error) {
	if err := checkIDLen(len(b)); err != nil {
		return "", err
	}
	return NodeID(b), nil
}

// ParseNodeID reads an ID from 40 or 64 hex digits of either case.
func ParseNodeID(s string) (NodeID, error) {
	b, err := parseID(s)
	return NodeID(b), err
}

// Bytes returns a copy of the raw bytes.
func (id NodeID) Bytes() []byte { return []byte(id) }

// String returns the ID in lower-case hex.
func (id NodeID) String() string { return hex.EncodeToString([]byte(id)) }

// MarshalText returns what String does, so that JSON and logs show hex.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ClusterIDFromBytes returns the ID whose raw bytes are b, or ErrBadID if b is
// neither 20 nor 32 bytes long.
func ClusterIDFromBytes(b []byte) (ClusterID, error) {
	if err := checkIDLen(len(b)); err != nil {
		return "", err
	}
	return ClusterID(b), nil
}

// ParseClusterID reads an ID from 40 or 64 hex digits of either case.
func ParseClusterID(s string) (ClusterID, error) {
	b, err := parseID(s)
	return ClusterID(b), err
}

// Bytes returns a copy of the raw bytes.
func (id ClusterID) Bytes() []byte { return []byte(id) }

// String returns the ID in lower-case hex.
func (id ClusterID) String() string { return hex.EncodeToString([]byte(id)) }

// MarshalText returns what String does, so that JSON and logs show hex.
func (id ClusterID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func checkIDLen(n int) error {
	if n != ShortIDLen && n != LongIDLen {
		return fmt.Errorf("%w: %d bytes, want %d or %d", ErrBadID, n, ShortIDLen, LongIDLen)
	}
	return nil
}

func parseID(s string) ([]byte, error) {
	if len(s) != 2*ShortIDLen && len(s) != 2*LongIDLen {
		return nil, fmt.Errorf("%w: %d hex digits, want %d or %d", ErrBadID, len(s), 2*ShortIDLen, 2*LongIDLen)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not hex", ErrBadID)
	}
	return b, nil
}
