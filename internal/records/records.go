// Package records turns the nouns of a registry into the records that a store keeps,
// and back, and says where each record lies among the store's keys. It is the one
// package that knows both, so a new noun, or another index, is new here and in the
// rules, and in no driver.
//
// A record is a protobuf message of its own kind behind five bytes:
//
//	version(1) checksum(4, big-endian) message
//
// The checksum is the CRC-32C of the key, the version and the message: a record that
// is damaged, or lies under the key of another, is ErrDamaged and never an answer.
// The version is raised when a field changes its meaning, or when a new one must not
// be overlooked by an older program. The version before is read as well, so that
// servers of both can share a store while they are upgraded.
package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
)

// ErrDamaged says that some bytes are no record of the kind that belongs under their key.
var ErrDamaged = errors.New("damaged record")

// headerLen is the length of what stands in front of the message.
const headerLen = 1 + crc32.Size

// OldestVersion is the oldest version of records that this program reads.
const OldestVersion = NewestVersion - 1

// form says which versions of records are written and read.
type form struct {
	written byte // by this program, and the newest that it reads
	oldest  byte // that is read
}

// current is the form of today. Version 2 came with clusters that have keys and epochs;
// what version 1 says is read as it was meant (Upgrade).
var current = form{written: NewestVersion, oldest: OldestVersion}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the record of m for key.
func (f form) encode(key string, m proto.Message) ([]byte, error) {
	record := make([]byte, headerLen, headerLen+proto.Size(m))
	record[0] = f.written
	record, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(record, m)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	binary.BigEndian.PutUint32(record[1:], checksum(key, record))
	return record, nil
}

// decode reads the record of key into m, which shares nothing with it then.
func (f form) decode(key string, record []byte, m proto.Message) error {
	if len(record) < headerLen {
		return fmt.Errorf("%w: %d bytes", ErrDamaged, len(record))
	}
	if sum := binary.BigEndian.Uint32(record[1:]); sum != checksum(key, record) {
		return fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	if v := record[0]; v < f.oldest || v > f.written {
		return fmt.Errorf("%w: version %d, this program reads %d to %d", ErrDamaged, v, f.oldest, f.written)
	}
	if err := proto.Unmarshal(record[headerLen:], m); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// checksum covers all of the record but the checksum itself.
func checksum(key string, record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(key))
	sum = crc32.Update(sum, castagnoli, record[:1])
	return crc32.Update(sum, castagnoli, record[headerLen:])
}
