package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

// untouched must not be asked for anything.
type untouched struct{ store.Writer }

// What is refused never reaches the driver.
func TestBoundedRefuses(t *testing.T) {
	b := &store.Bounded{Writer: untouched{}}
	r := &store.BoundedReader{Reader: untouched{}}
	long := strings.Repeat("k", store.MaxKey+1)
	for _, key := range []string{"", long} {
		_, getErr := b.Get(key)
		_, readErr := r.Get(key)
		_, scanErr := scanned(b, key, 1)
		_, lookErr := scanned(r, key, 1)
		for i, err := range []error{getErr, readErr, scanErr, lookErr, b.Put(key, []byte("v")), b.Delete(key)} {
			if err == nil || errors.Is(err, store.ErrNotFound) || strings.Contains(err.Error(), "kkk") {
				t.Errorf("call %d with a key of %d bytes: %v", i, len(key), err)
			}
		}
	}
	if err := b.Put("k", nil); err == nil {
		t.Error("an empty value is put")
	}
	if err := b.Put("k", make([]byte, store.MaxBytes)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a value that is too large: %v", err)
	}
}

// A closure that does not look at an error can do no more after it.
func TestBoundedStaysShut(t *testing.T) {
	o := store.NewOverlay(list{})
	b := &store.Bounded{Writer: o}
	for range store.MaxWrites {
		if err := b.Put("k", []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := errors.Join(b.Put("l", []byte("v")), b.Delete("k")); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := b.Get("k"); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Get: %v", err)
	}
	if got := changed(o); len(got) != 1 || got[0] != "k=v" {
		t.Errorf("changes %q", got)
	}
}

func TestBoundedCounts(t *testing.T) {
	base := list{pairs: []string{"p", "guard", "p1", "value"}}
	b := &store.Bounded{Writer: store.NewOverlay(base)}
	_, err := b.Get("p1")
	if err := errors.Join(err, b.Put("kk", []byte("vvv")), b.Put("kk", []byte("v")), b.Delete("kkkk")); err != nil {
		t.Fatal(err)
	}
	if _, err := scanned(b, "p", 9); err != nil {
		t.Fatal(err)
	}
	if b.Reads != 1 || b.Writes != 3 || b.Bytes != 2+5+3+4 {
		t.Errorf("%d reads, %d writes, %d bytes", b.Reads, b.Writes, b.Bytes)
	}
	r := &store.BoundedReader{Reader: base}
	if _, err := r.Get("p1"); err != nil || r.Reads != 1 || r.Bytes != 2 {
		t.Errorf("%d reads, %d bytes, %v", r.Reads, r.Bytes, err)
	}
}
