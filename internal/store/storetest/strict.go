package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

// Strict returns a Store on s that fails the test when a closure does what the
// contract forbids, and makes it suffer what the contract allows:
//
//   - It runs each closure three times. What the first two do is thrown away, and in
//     the second a part of the records is missing. So a closure that adds to what it
//     hands out, or panics over what it reads, is caught by what comes of it.
//   - It overwrites each value that was read when the closure has returned.
//   - It fails the test if a closure changes a value that it has read, or uses its
//     Reader or Writer after it has returned.
//   - It fails the test if an Update scans a prefix, before or after some other adds
//     or removes a key below it without putting the record at the prefix, or deletes
//     that record with keys left below it.
//
// Guards are checked among all that goes through the one Strict.
func Strict(t testing.TB, s store.Store) store.Store {
	return &strict{
		Store:     s,
		t:         t,
		dice:      rand.New(rand.NewPCG(1, 2)),
		scanned:   make(map[string]bool),
		unguarded: make(map[string]string),
	}
}

type strict struct {
	store.Store
	t testing.TB

	mu        sync.Mutex
	dice      *rand.Rand        // guarded by mu
	scanned   map[string]bool   // prefixes that Updates have scanned; guarded by mu
	unguarded map[string]string // prefixes, and what was done to them; guarded by mu
}

var errRehearsal = errors.New("this run does not count")

// View implements store.Store.
func (s *strict) View(ctx context.Context, f func(store.Reader) error) error {
	s.t.Helper()
	for _, missing := range []bool{false, true} {
		err := s.rehearse(ctx, missing, func(w store.Writer) { _ = f(w) })
		if err != nil {
			return err
		}
	}
	return s.Store.View(ctx, func(r store.Reader) error {
		l := newLoan(s.t, store.NewOverlay(r))
		defer l.end()
		return f(l)
	})
}

// Update implements store.Store.
func (s *strict) Update(ctx context.Context, f func(store.Writer) error) error {
	s.t.Helper()
	for _, missing := range []bool{false, true} {
		err := s.rehearse(ctx, missing, func(w store.Writer) { _ = f(w) })
		if err != nil {
			return err
		}
	}
	var found findings
	err := s.Store.Update(ctx, func(w store.Writer) error {
		own := store.NewOverlay(w)
		l := newLoan(s.t, &store.Bounded{Writer: own})
		defer l.end()
		if err := f(l); err != nil {
			return err
		}
		var err error
		if found, err = examine(w, own); err != nil {
			return err
		}
		found.scanned = l.scanned
		return flush(w, own)
	})
	if err == nil {
		s.judge(found)
	}
	return err
}

// rehearse runs f where nothing comes of it.
func (s *strict) rehearse(ctx context.Context, missing bool, f func(store.Writer)) error {
	err := s.Store.View(ctx, func(r store.Reader) error {
		if missing {
			r = holes{r, s.chance}
		}
		l := newLoan(s.t, &store.Bounded{Writer: store.NewOverlay(r)})
		defer l.end()
		f(l)
		return errRehearsal
	})
	if errors.Is(err, errRehearsal) {
		return nil
	}
	return err
}

// chance says of one record in three that it is missing.
func (s *strict) chance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(3) == 0
}

// judge fails the test if a prefix is both scanned and not guarded.
func (s *strict) judge(f findings) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for prefix, what := range f.unguarded {
		s.unguarded[prefix] = what
		if s.scanned[prefix] {
			s.t.Errorf("prefix %q is scanned by an Update, and another %s", prefix, what)
		}
	}
	for prefix := range f.scanned {
		s.scanned[prefix] = true
		if what, ok := s.unguarded[prefix]; ok {
			s.t.Errorf("prefix %q is scanned by an Update, and another %s", prefix, what)
		}
	}
}

// findings are what one Update did that concerns guards.
type findings struct {
	scanned   map[string]bool
	unguarded map[string]string
}

// examine looks for prefixes below which own adds or removes a key, and whose record
// it does not put. It only scans, which costs the closure nothing of what it may use.
func examine(base store.Reader, own *store.Overlay) (findings, error) {
	found := findings{unguarded: make(map[string]string)}
	put := make(map[string]bool)
	for _, c := range own.Changes() {
		put[c.Key] = c.Value != nil
	}
	for key, kept := range put {
		was, err := exists(base, key)
		if err != nil {
			return found, err
		}
		if was == kept {
			continue
		}
		what := fmt.Sprintf("adds or removes %q without putting the guard", key)
		for n := 1; n < len(key); n++ {
			if _, ok := put[key[:n]]; !ok {
				found.unguarded[key[:n]] = what
			}
		}
	}
	return found, found.orphans(own, put)
}

// orphans looks for prefixes whose record goes while keys below them stay.
func (f findings) orphans(own *store.Overlay, put map[string]bool) error {
	for key, kept := range put {
		if kept {
			continue
		}
		for item, err := range own.Scan(key) {
			if err != nil {
				return err
			}
			f.unguarded[key] = fmt.Sprintf("deletes the guard with %q left below it", item.Key)
			break
		}
	}
	return nil
}

// exists looks for key by a scan of the prefix that is one byte shorter. Nothing is
// above a key of one byte, so that one does not matter.
func exists(r store.Reader, key string) (bool, error) {
	if len(key) == 1 {
		return true, nil
	}
	for item, err := range r.Scan(key[:len(key)-1]) {
		if err != nil || item.Key >= key {
			return item.Key == key, err
		}
	}
	return false, nil
}

func flush(w store.Writer, own *store.Overlay) error {
	for _, c := range own.Changes() {
		err := error(nil)
		if c.Value == nil {
			err = w.Delete(c.Key)
		} else {
			err = w.Put(c.Key, c.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
