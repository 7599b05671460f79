//go:build unix

package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A lock that is made is held as soon as there is one.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	stop, tried := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(tried)
		for {
			if isThereAndFree(path) {
				t.Error("it was there before it was locked")
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 200 {
		held, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		held.Close()
	}
	close(stop)
	<-tried
	if _, err := Create(filepath.Join(path, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is no directory: %v", err)
	}
}

// isThereAndFree reports whether a lock can be taken, and is not one that was removed meanwhile.
func isThereAndFree(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if Take(f) != nil {
		return false
	}
	held, errHeld := f.Stat()
	there, errThere := os.Stat(path)
	return errHeld == nil && errThere == nil && os.SameFile(held, there)
}
