package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/xlattice/xlreg/internal/store"
)

func transactionCases() []testCase {
	return []testCase{
		{"ErrorUndoes", testErrorUndoes},
		{"PanicUndoes", testPanicUndoes},
		{"PanicInView", testPanicInView},
		{"GoexitUndoes", testGoexitUndoes},
		{"NothingPut", testNothingPut},
		{"EndedContext", testEndedContext},
		{"Model", testModel},
	}
}

// something puts, replaces and removes; before is what it meets.
var (
	before    = all(put("p", "guard"), put("p1", "old"), put("p2", "old"))
	something = all(put("p", "new"), put("p1", "new"), remove("p2"), put("p3", "new"))
)

func wantBefore(r store.Reader) error {
	return errors.Join(wantValue(r, "p", "guard"), wantScan(r, "p", "p1=old", "p2=old"))
}

func wantAfter(r store.Reader) error {
	return errors.Join(wantValue(r, "p", "new"), wantScan(r, "p", "p1=new", "p3=new"))
}

func testErrorUndoes(t *testing.T, s store.Store) {
	update(t, s, before)
	err := s.Update(t.Context(), all(something, give(errOnPurpose)))
	if err != errOnPurpose { //nolint:errorlint // as it is
		t.Errorf("Update returned %v, want the closure's error as it is", err)
	}
	view(t, s, wantBefore)
	err = s.View(t.Context(), func(store.Reader) error { return errOnPurpose })
	if err != errOnPurpose { //nolint:errorlint // as it is
		t.Errorf("View returned %v, want the closure's error as it is", err)
	}
	update(t, s, something)
	view(t, s, wantAfter)
}

func testPanicUndoes(t *testing.T, s store.Store) {
	update(t, s, before)
	func() {
		defer func() {
			if got := recover(); got != any(errOnPurpose) {
				t.Errorf("recovered %v", got)
			}
		}()
		err := s.Update(t.Context(), all(something, func(store.Writer) error { panic(errOnPurpose) }))
		t.Errorf("Update returned %v", err)
	}()
	view(t, s, wantBefore)
	update(t, s, something)
	view(t, s, wantAfter)
}

func testPanicInView(t *testing.T, s store.Store) {
	update(t, s, before)
	err := guarded(func() error {
		return s.View(t.Context(), func(store.Reader) error { panic(errOnPurpose) })
	})
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("recovered %v", err)
	}
	update(t, s, something)
	view(t, s, wantAfter)
}

// A goroutine that ends in a closure, as a failing test does, holds up nobody.
func testGoexitUndoes(t *testing.T, s store.Store) {
	update(t, s, before)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(t.Context(), func(w store.Writer) error {
			defer runtime.Goexit()
			return something(w)
		})
	})
	wg.Go(func() {
		_ = s.View(t.Context(), func(store.Reader) error {
			runtime.Goexit()
			return nil
		})
	})
	wg.Wait()
	view(t, s, wantBefore)
	update(t, s, something)
	view(t, s, wantAfter)
}

func testNothingPut(t *testing.T, s store.Store) {
	update(t, s, before)
	for range 3 {
		update(t, s, func(w store.Writer) error { return wantBefore(w) })
		update(t, s)
	}
	view(t, s, wantBefore)
}

func testEndedContext(t *testing.T, s store.Store) {
	update(t, s, before)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOnPurpose)
	err := s.Update(ctx, all(something, give(errOnPurpose)))
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Update returned %v", err)
	}
	err = s.View(ctx, func(store.Reader) error { return errOnPurpose })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("View returned %v", err)
	}
	view(t, s, wantBefore)
}
