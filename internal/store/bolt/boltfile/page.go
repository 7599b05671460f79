package boltfile

import (
	"bytes"
	"fmt"
)

// page is one page with those that it overflows into.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // all of it, its header first
}

// readPage reads the page with an ID, which is below the end of the pages in use.
func (v *verifier) readPage(id uint64) (*page, error) {
	if id < metaPages || id >= v.meta.pages {
		return nil, fmt.Errorf("%w: page %d of %d", ErrDamaged, id, v.meta.pages)
	}
	size := int64(v.meta.pageSize)
	head := make([]byte, headerLen)
	if err := readFull(v.r, head, int64(id)*size); err != nil {
		return nil, err
	}
	p := &page{id: id, flags: number16(head[8:]), count: int(number16(head[10:]))}
	overflow := uint64(number32(head[12:]))
	if number(head) != id || overflow >= v.meta.pages-id {
		return nil, fmt.Errorf("%w: the header of page %d", ErrDamaged, id)
	}
	if err := v.reach(id, overflow+1); err != nil {
		return nil, err
	}
	p.data = make([]byte, size*int64(overflow+1))
	return p, readFull(v.r, p.data, int64(id)*size)
}

// reach notes that n pages from id on belong to something, which is damage if one
// of them does already.
func (v *verifier) reach(id, n uint64) error {
	for ; n > 0; id, n = id+1, n-1 {
		if v.reached[id/8]>>(id%8)&1 == 1 {
			return fmt.Errorf("%w: page %d has two uses", ErrDamaged, id)
		}
		v.reached[id/8] |= 1 << (id % 8)
	}
	return nil
}

// element is an entry of a leaf, or of a branch, which has a child and no value.
type element struct {
	key, value []byte
	bucket     bool   // the value is that of a bucket
	child      uint64 // page
}

// element returns the entry with an index.
func (p *page) element(i int) (element, error) {
	at := headerLen + i*elementLen
	if at+elementLen > len(p.data) {
		return element{}, p.damaged(i)
	}
	b := p.data[at:]
	if p.flags == branchPage {
		key, ok := slice(b, number32(b), number32(b[4:]))
		if !ok {
			return element{}, p.damaged(i)
		}
		return element{key: key, child: number(b[8:])}, nil
	}
	pos, keyLen, valueLen := number32(b[4:]), number32(b[8:]), number32(b[12:])
	key, ok := slice(b, pos, keyLen)
	value, ok2 := slice(b, uint64(pos)+uint64(keyLen), uint64(valueLen))
	if !ok || !ok2 {
		return element{}, p.damaged(i)
	}
	return element{key: key, value: value, bucket: number32(b)&bucketEntry != 0}, nil
}

func (p *page) damaged(i int) error {
	return fmt.Errorf("%w: entry %d of page %d", ErrDamaged, i, p.id)
}

// slice returns n bytes of b from at on, if it has them.
func slice[T uint32 | uint64](b []byte, at, n T) ([]byte, bool) {
	length := uint64(len(b))
	if uint64(at) > length || uint64(n) > length-uint64(at) {
		return nil, false
	}
	return b[at : at+n], true
}

// inline makes a page of the value of a small bucket, which has its leaf with it.
func inline(value []byte, owner uint64) (*page, error) {
	data := value[bucketLen:]
	if len(data) < headerLen {
		return nil, fmt.Errorf("%w: a bucket in page %d", ErrDamaged, owner)
	}
	return &page{id: owner, flags: number16(data[8:]), count: int(number16(data[10:])), data: data}, nil
}

// freed returns the IDs on a page of free pages.
func (p *page) freed() ([]uint64, error) {
	list, n := p.data[headerLen:], uint64(p.count)
	if p.count == manyFreed && len(list) >= 8 {
		n, list = number(list), list[8:]
	}
	if p.flags != freePage || n > uint64(len(list)/8) {
		return nil, fmt.Errorf("%w: the list of free pages", ErrDamaged)
	}
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = number(list[8*i:])
	}
	return ids, nil
}

// span is where the keys of a page have to lie: from low on, and below high, of
// which nil is no bound.
type span struct{ low, high []byte }

func (s span) holds(key []byte) bool {
	return bytes.Compare(key, s.low) >= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}
