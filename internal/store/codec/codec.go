// Package codec turns nodes, clusters and seats into the records that drivers
// keep, and back.
//
// A record is one byte, the version of its format, and then the fields in a
// fixed order: integers as unsigned varints, everything else as its length, an
// unsigned varint, and its bytes. A list is the number of its elements and the
// elements. A record ends with its last field. What a record means never
// changes; another order or another field is another version.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// ErrRecord says that some bytes are no record of the kind asked for.
var ErrRecord = errors.New("damaged record")

// version is the first byte of every record that is written.
const version = 1

// yearOne is the zero time.Time in milliseconds since 1970. Times are counted
// from there, so the zero time is the integer zero.
const yearOne = -62135596800000

// AppendNode appends the record of a node to b. The DigSig is left out.
func AppendNode(b []byte, t *xlreg.Token) []byte {
	return appendToken(append(b, version), t)
}

// AppendCluster appends the record of a cluster to b.
func AppendCluster(b []byte, c *store.Cluster) []byte {
	b = append(b, version)
	b = appendString(b, string(c.ID))
	b = appendString(b, string(c.Name))
	b = binary.AppendUvarint(b, uint64(c.Attrs))
	b = binary.AppendUvarint(b, uint64(c.MaxSize))
	b = binary.AppendUvarint(b, uint64(c.EndpointCount))
	b = binary.AppendUvarint(b, uint64(c.Taken))
	return binary.AppendUvarint(b, c.Revision)
}

// AppendSeat appends the record of a seat to b. The DigSig is left out.
func AppendSeat(b []byte, m *xlreg.Member) []byte {
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(m.Index))
	return appendToken(b, &m.Token)
}

// TokenSize returns a number of bytes that the record of a node or seat with
// this token does not exceed, for those who want to allocate once.
func TokenSize(t *xlreg.Token) int {
	const integers = 4 * binary.MaxVarintLen64
	const lengths = 6 * binary.MaxVarintLen32
	n := 1 + integers + lengths + len(t.Name) + len(t.ID) + len(t.CommsKey) + len(t.SigKey) +
		len(t.DigSig2) + len(t.Certificate)
	for _, e := range t.Endpoints {
		n += binary.MaxVarintLen32 + len(e)
	}
	return n
}

// Node reads the record of a node. The result shares nothing with record.
func Node(record []byte) (xlreg.Token, error) {
	d := newDecoder(record)
	t := d.token()
	if err := d.end(); err != nil {
		return xlreg.Token{}, fmt.Errorf("decode node: %w", err)
	}
	return t, nil
}

// Cluster reads the record of a cluster. The result shares nothing with record.
func Cluster(record []byte) (store.Cluster, error) {
	d := newDecoder(record)
	c := store.Cluster{
		Cluster: xlreg.Cluster{
			ID:            xlreg.ClusterID(d.string()),
			Name:          xlreg.Name(d.string()),
			Attrs:         xlreg.ClusterAttrs(d.uint()),
			MaxSize:       d.int(math.MaxInt32),
			EndpointCount: d.int(math.MaxInt32),
		},
		Taken:    xlreg.Seats(d.uint()),
		Revision: d.uint(),
	}
	if err := d.end(); err != nil {
		return store.Cluster{}, fmt.Errorf("decode cluster: %w", err)
	}
	return c, nil
}

// Seat reads the record of a seat. The result shares nothing with record.
func Seat(record []byte) (xlreg.Member, error) {
	d := newDecoder(record)
	m := xlreg.Member{Index: d.int(xlreg.MaxClusterSize - 1)}
	m.Token = d.token()
	if err := d.end(); err != nil {
		return xlreg.Member{}, fmt.Errorf("decode seat: %w", err)
	}
	return m, nil
}

func appendToken(b []byte, t *xlreg.Token) []byte {
	b = appendString(b, string(t.Name))
	b = binary.AppendUvarint(b, uint64(t.Attrs))
	b = appendString(b, string(t.ID))
	b = appendString(b, string(t.CommsKey))
	b = appendString(b, string(t.SigKey))
	b = binary.AppendUvarint(b, uint64(len(t.Endpoints)))
	for _, e := range t.Endpoints {
		b = appendString(b, string(e))
	}
	b = appendString(b, t.DigSig2)
	b = appendString(b, t.Certificate)
	return binary.AppendUvarint(b, uint64(t.Joined.UnixMilli()-yearOne))
}

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decoder reads fields off the front of rest. After the first that cannot be
// read err is set, and every later one is zero.
type decoder struct {
	rest string
	err  error
}

// newDecoder copies the record, once: every string read is a part of the copy.
func newDecoder(record []byte) decoder {
	switch {
	case len(record) == 0:
		return decoder{err: fmt.Errorf("%w: empty", ErrRecord)}
	case record[0] != version:
		return decoder{err: fmt.Errorf("%w: format %d, want %d", ErrRecord, record[0], version)}
	}
	return decoder{rest: string(record[1:])}
}

func (d *decoder) token() xlreg.Token {
	return xlreg.Token{
		Name:        xlreg.Name(d.string()),
		Attrs:       xlreg.NodeAttrs(d.uint()),
		ID:          xlreg.NodeID(d.string()),
		CommsKey:    xlreg.CommsKey(d.string()),
		SigKey:      xlreg.SigKey(d.string()),
		Endpoints:   d.endpoints(),
		DigSig2:     d.bytes(),
		Certificate: d.bytes(),
		Joined:      d.time(),
	}
}

// endpoints needs no limit but that of the record: each takes at least a byte.
func (d *decoder) endpoints() []xlreg.Endpoint {
	n := d.int(len(d.rest))
	if n == 0 {
		return nil
	}
	list := make([]xlreg.Endpoint, n)
	for i := range list {
		list[i] = xlreg.Endpoint(d.string())
	}
	return list
}

func (d *decoder) time() time.Time {
	ms := d.uint()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms) + yearOne).UTC()
}

func (d *decoder) bytes() []byte {
	s := d.string()
	if s == "" {
		return nil
	}
	return []byte(s)
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail("cut short")
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) int(most int) int {
	v := d.uint()
	if v > uint64(most) {
		d.fail("integer too large")
		return 0
	}
	return int(v)
}

func (d *decoder) uint() uint64 {
	var v uint64
	for i := range min(len(d.rest), binary.MaxVarintLen64) {
		c := d.rest[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			return v
		}
	}
	d.fail("no integer")
	return 0
}

func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrRecord, why)
	}
	d.rest = ""
}

func (d *decoder) end() error {
	if d.err == nil && d.rest != "" {
		d.fail("bytes after its end")
	}
	return d.err
}
