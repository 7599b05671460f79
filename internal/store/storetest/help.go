package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

var errOnPurpose = errors.New("on purpose")

// patience bounds every wait for something that must happen. A test that has little
// time left gives up early enough to say what it has waited for.
func patience(t *testing.T) time.Duration {
	const most = 30 * time.Second
	deadline, ok := t.Deadline()
	if !ok {
		return most
	}
	return min(most, time.Until(deadline)/2)
}

// receive waits for a value, and fails the test if none comes.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience(t))
	defer cancel()
	select {
	case v := <-from:
		return v
	case <-ctx.Done():
		t.Fatalf("no %s after a long wait", what)
	}
	panic("not reached")
}

// call is a part of a closure of Update.
type call = func(store.Writer) error

func put(key, value string) call {
	return func(w store.Writer) error { return w.Put(key, []byte(value)) }
}

func remove(key string) call {
	return func(w store.Writer) error { return w.Delete(key) }
}

func give(err error) call {
	return func(store.Writer) error { return err }
}

// all makes one closure of several parts.
func all(calls ...call) call {
	return func(w store.Writer) error {
		for _, c := range calls {
			if err := c(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func update(t *testing.T, s store.Store, calls ...call) {
	t.Helper()
	if err := s.Update(t.Context(), all(calls...)); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t *testing.T, s store.Store, f func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Fatalf("View: %v", err)
	}
}

func mustClose(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// find returns the value under key, and whether there is one.
func find(r store.Reader, key string) (string, bool, error) {
	value, err := r.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	return string(value), err == nil, err
}

// list returns what a scan yields, each as key=value.
func list(r store.Reader, prefix string) ([]string, error) {
	var found []string
	for item, err := range r.Scan(prefix) {
		if err != nil {
			return nil, err
		}
		found = append(found, item.Key+"="+string(item.Value))
	}
	return found, nil
}

// The want functions return an error unless the reader says what is wanted, so
// that they serve inside closures too.

func wantValue(r store.Reader, key, want string) error {
	got, ok, err := find(r, key)
	if err != nil || !ok || got != want {
		return fmt.Errorf("key %q: got %q, %v, %v, want %q", key, got, ok, err, want)
	}
	return nil
}

func wantNone(r store.Reader, keys ...string) error {
	for _, key := range keys {
		value, err := r.Get(key)
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("key %q: got %q, %v, want %v", key, value, err, store.ErrNotFound)
		}
	}
	return nil
}

func wantScan(r store.Reader, prefix string, want ...string) error {
	got, err := list(r, prefix)
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("scan of %q: got %q, %v, want %q", prefix, got, err, want)
	}
	return nil
}

// guarded returns the error that f returns or panics with.
func guarded(f func() error) (err error) {
	defer func() {
		if got := recover(); got != nil {
			err = got.(error)
		}
	}()
	return f()
}
