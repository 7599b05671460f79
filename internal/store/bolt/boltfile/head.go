// Package boltfile reads the file of bbolt without bbolt, to find damage before
// bbolt meets it: bbolt maps the file into memory and believes what it finds there,
// so a file that was cut short, or a page with a bad offset, would end the process.
// Nothing here maps memory, every offset is checked before it is used, and nothing
// is written.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// ErrDamaged says that the file is not as bbolt left it.
var ErrDamaged = errors.New("file is damaged")

// The form of a file, of version 2. Numbers are in the order of bytes of the machine
// that wrote it, as in bbolt.
const (
	magic   = 0xED0CDAED
	version = 2

	headerLen  = 16 // of a page: id(8) flags(2) count(2) overflow(4)
	elementLen = 16 // of a branch: pos(4) ksize(4) page(8); of a leaf: flags(4) pos(4) ksize(4) vsize(4)
	bucketLen  = 16 // of a bucket: root page(8) sequence(8)
	metaLen    = 64
	metaPages  = 2

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freePage     = 0x10
	bucketEntry  = 0x01
	manyFreed    = 0xFFFF // as a count: the real one is the first element
	minPageSize  = 512
	maxPageSize  = 1 << 16
	noFreelist   = ^uint64(0)
	maxTreeDepth = 64 // of branches; a file of that depth has no machine to be on
)

// meta is one of the two pages at the head of the file. They are written in turn, so
// the one with the higher transaction is the newest state.
type meta struct {
	pageSize uint32
	root     uint64 // page of the root bucket
	freelist uint64
	pages    uint64 // that are in use, or were
	tx       uint64
}

// Head is what the head of a file says of it.
type Head struct {
	metas [metaPages]meta
}

// ReadHead reads the head of a file and holds the size of the file against it. A
// file that is cut short is ErrDamaged, and so is one in which either of the meta
// pages is not valid: the other would show an older state, and what was answered
// since would be missing without a word. A crash does not leave it so, since a meta
// page lies in one sector.
func ReadHead(r io.ReaderAt, size int64) (*Head, error) {
	if size == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	first, err := readMeta(r, 0)
	if err != nil {
		return nil, err
	}
	second, err := readMeta(r, int64(first.pageSize))
	if err != nil {
		return nil, err
	}
	h := &Head{metas: [metaPages]meta{first, second}}
	newest := h.newest()
	if want := int64(newest.pageSize) * int64(newest.pages); size < want {
		return nil, fmt.Errorf("%w: it was cut short, it has %d bytes and should have %d", ErrDamaged, size, want)
	}
	return h, nil
}

func (h *Head) newest() meta {
	if h.metas[1].tx > h.metas[0].tx {
		return h.metas[1]
	}
	return h.metas[0]
}

// Tx returns the number of the newest transaction.
func (h *Head) Tx() uint64 { return h.newest().tx }

// Size returns how many bytes the file has to have.
func (h *Head) Size() int64 {
	m := h.newest()
	return int64(m.pageSize) * int64(m.pages)
}

func readMeta(r io.ReaderAt, at int64) (meta, error) {
	page := make([]byte, headerLen+metaLen)
	if err := readFull(r, page, at); err != nil {
		return meta{}, err
	}
	b := page[headerLen:]
	sum := fnv.New64a()
	sum.Write(b[:metaLen-8])
	m := meta{
		pageSize: number32(b[8:]),
		root:     number(b[16:]),
		freelist: number(b[32:]),
		pages:    number(b[40:]),
		tx:       number(b[48:]),
	}
	switch {
	case number32(b) != magic || number32(b[4:]) != version:
		return meta{}, fmt.Errorf("%w: it does not begin as a data file does", ErrDamaged)
	case number(b[metaLen-8:]) != sum.Sum64():
		return meta{}, fmt.Errorf("%w: the checksum of a meta page is wrong", ErrDamaged)
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pages > 1<<47/uint64(m.pageSize):
		return meta{}, fmt.Errorf("%w: %d pages of %d bytes", ErrDamaged, m.pages, m.pageSize)
	}
	return m, nil
}

// readFull reads all of b, and takes the end of the file for damage.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	_, err := r.ReadAt(b, at)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it was cut short, there are no %d bytes at %d", ErrDamaged, len(b), at)
	}
	if err != nil {
		return fmt.Errorf("read data file: %w", err)
	}
	return nil
}

func number(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

func number32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

func number16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
