package client

import (
	"errors"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
)

// What was good for one is good for all; what was not, or is something else, is looked at.
func TestProven(t *testing.T) {
	var p Proven
	checked := 0
	bad := errors.New("bad")
	check := func(token *xlreg.Token, err error) error {
		_, failed := p.check(token, func(*xlreg.Token) error { checked++; return err })
		return failed
	}
	id := xlreg.NodeID("one")
	first := &xlreg.Token{ID: id, Name: "m0", DigSig2: []byte{1}}
	if err := check(first, bad); !errors.Is(err, bad) || checked != 1 {
		t.Fatalf("%v after %d checks", err, checked)
	}
	for range 3 {
		if err := check(&xlreg.Token{ID: id, Name: "m0", DigSig2: []byte{1}}, nil); err != nil || checked != 2 {
			t.Fatalf("%v after %d checks", err, checked)
		}
	}
	for i, other := range []*xlreg.Token{
		{ID: id, Name: "m1", DigSig2: []byte{1}}, {ID: id, Name: "m0", DigSig2: []byte{2}}, {ID: "two", Name: "m0", DigSig2: []byte{1}},
	} {
		if err := check(other, bad); !errors.Is(err, bad) || checked != 3+i {
			t.Fatalf("%v after %d checks", err, checked)
		}
	}
	var none *Proven
	for range 2 {
		if _, err := none.check(first, func(*xlreg.Token) error { checked++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if checked != 7 {
		t.Errorf("%d checks: without one, each verifies all", checked)
	}
}

// Those who come at the same time wait for the first, and none verifies again.
func TestProvenAtOnce(t *testing.T) {
	var p Proven
	var all sync.WaitGroup
	checked := 0
	for range 20 {
		all.Go(func() {
			if _, err := p.check(&xlreg.Token{ID: "one"}, func(*xlreg.Token) error { checked++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if checked != 1 {
		t.Errorf("%d checks", checked)
	}
}
