package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// verifier walks through one state of a file.
type verifier struct {
	r       io.ReaderAt
	meta    meta
	reached []byte // a bit for each page
	visit   func(bucket string, key, value []byte) error
}

// ErrNoState says that the head of a file does not show the state asked for.
var ErrNoState = errors.New("the file shows another state by now")

// Verify goes through the newest state of a file and calls visit for each key of the
// buckets at its top; those have no buckets in them. Every page has to be used for
// one thing, every key has to be where bbolt looks for it. It keeps a bit for each
// page, and reads the pages one by one. What visit gets is valid until it returns.
func (h *Head) Verify(r io.ReaderAt, visit func(bucket string, key, value []byte) error) error {
	return verify(r, h.newest(), visit)
}

// VerifyTx does what Verify does for the state that a transaction left, as long as
// its pages are kept. It returns ErrNoState if the head does not show that.
func (h *Head) VerifyTx(r io.ReaderAt, tx uint64, visit func(bucket string, key, value []byte) error) error {
	for _, m := range h.metas {
		if m.tx == tx {
			return verify(r, m, visit)
		}
	}
	return ErrNoState
}

func verify(r io.ReaderAt, m meta, visit func(bucket string, key, value []byte) error) error {
	v := &verifier{r: r, meta: m, reached: make([]byte, m.pages/8+1), visit: visit}
	if err := v.reach(0, metaPages); err != nil {
		return err
	}
	root, err := v.readPage(m.root)
	if err != nil {
		return err
	}
	if err := v.walk(root, span{}, 0, v.bucket); err != nil {
		return err
	}
	return v.free()
}

// bucket goes through one of the buckets at the top.
func (v *verifier) bucket(owner *page, e element) error {
	if !e.bucket || len(e.value) < bucketLen {
		return fmt.Errorf("%w: the entry %.20q of page %d is no bucket", ErrDamaged, e.key, owner.id)
	}
	name := string(e.key)
	visit := func(p *page, e element) error {
		if e.bucket {
			return fmt.Errorf("%w: a bucket in bucket %q, on page %d", ErrDamaged, name, p.id)
		}
		return v.visit(name, e.key, e.value)
	}
	root := number(e.value)
	if root == 0 {
		p, err := inline(e.value, owner.id)
		if err != nil {
			return err
		}
		return v.leaf(p, span{}, visit)
	}
	p, err := v.readPage(root)
	if err != nil {
		return err
	}
	return v.walk(p, span{}, 0, visit)
}

// walk goes through the tree below a page.
func (v *verifier) walk(p *page, within span, depth int, visit func(*page, element) error) error {
	switch {
	case p.flags == leafPage:
		return v.leaf(p, within, visit)
	case p.flags != branchPage || p.count == 0 || depth == maxTreeDepth:
		return fmt.Errorf("%w: page %d is not what it should be", ErrDamaged, p.id)
	}
	e, err := p.element(0)
	for i := 0; err == nil && i < p.count; i++ {
		var next element
		below := span{e.key, within.high}
		if i+1 < p.count {
			next, err = p.element(i + 1)
			below.high = next.key
		}
		if err == nil && (!within.holds(e.key) || below.high != nil && bytes.Compare(e.key, below.high) >= 0) {
			err = fmt.Errorf("%w: the order of page %d", ErrDamaged, p.id)
		}
		if err == nil {
			err = v.descend(e.child, below, depth+1, visit)
		}
		e = next
	}
	return err
}

func (v *verifier) descend(id uint64, within span, depth int, visit func(*page, element) error) error {
	p, err := v.readPage(id)
	if err != nil {
		return err
	}
	return v.walk(p, within, depth, visit)
}

func (v *verifier) leaf(p *page, within span, visit func(*page, element) error) error {
	if p.flags != leafPage {
		return fmt.Errorf("%w: page %d is no leaf", ErrDamaged, p.id)
	}
	var last []byte
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if !within.holds(e.key) || i > 0 && bytes.Compare(last, e.key) >= 0 {
			return fmt.Errorf("%w: the order of page %d", ErrDamaged, p.id)
		}
		if err := visit(p, e); err != nil {
			return err
		}
		last = e.key
	}
	return nil
}

// free goes through the list of free pages: with those every page has its use.
func (v *verifier) free() error {
	if v.meta.freelist == noFreelist {
		return nil
	}
	p, err := v.readPage(v.meta.freelist)
	if err != nil {
		return err
	}
	ids, err := p.freed()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < metaPages || id >= v.meta.pages {
			return fmt.Errorf("%w: page %d of %d is free", ErrDamaged, id, v.meta.pages)
		}
		if err := v.reach(id, 1); err != nil {
			return err
		}
	}
	for id := range v.meta.pages {
		if v.reached[id/8]>>(id%8)&1 == 0 {
			return fmt.Errorf("%w: page %d has no use", ErrDamaged, id)
		}
	}
	return nil
}
