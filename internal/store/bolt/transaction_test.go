package bolt

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

var errOnPurpose = errors.New("on purpose")

// Package group's tests say who shares a commit; these, what that is in the file.
func TestUpdatesShareCommits(t *testing.T) {
	const waiting = 50
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		before := commits(t, s.driver)
		held, free := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := s.Update(t.Context(), func(w store.Writer) error {
				close(held)
				<-free
				return putNode(waiting)(w)
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		})
		<-held
		for n := range waiting {
			wg.Go(func() {
				if err := s.Update(t.Context(), putNode(n)); err != nil {
					t.Errorf("Update: %v", err)
				}
				if !hasNode(t, s, n) {
					t.Errorf("View after Update does not show node %d", n)
				}
			})
		}
		synctest.Wait() // all of them wait for a turn
		close(free)
		wg.Wait()
		if n := commits(t, s.driver) - before; n != 1 {
			t.Errorf("%d Updates took %d commits, want 1", waiting+1, n)
		}
	})
}

// No timer plays a part: the bubble's clock stands still.
func TestLoneCommitIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		start, before := time.Now(), commits(t, s.driver)
		for n := range 5 {
			if err := s.Update(t.Context(), putNode(n)); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("5 Updates waited for %v", waited)
		}
		if n := commits(t, s.driver) - before; n != 5 {
			t.Errorf("5 Updates took %d commits", n)
		}
	})
}

func TestReadOnlyUpdateWritesNothing(t *testing.T) {
	s := openTemp(t)
	before := commits(t, s.driver)
	for _, want := range []error{nil, errOnPurpose} {
		err := s.Update(t.Context(), func(w store.Writer) error {
			if _, err := w.Get(nodeKey(0)); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Fatalf("Update: %v", err)
		}
	}
	if n := commits(t, s.driver) - before; n != 0 {
		t.Errorf("%d commits", n)
	}
}

// A change of which only a half got into the transaction is not kept, and there is
// no news of it.
func TestHalfAChangeIsNotKept(t *testing.T) {
	s := openTemp(t)
	if err := s.Update(t.Context(), putNode(0)); err != nil {
		t.Fatal(err)
	}
	tx, err := s.driver.Begin()
	if err != nil {
		t.Fatal(err)
	}
	tooLong := strings.Repeat("k", 1<<16) // for bbolt
	err = tx.Commit([]store.Change{{Key: nodeKey(1), Value: []byte("v")}, {Key: nodeKey(0)}, {Key: tooLong, Value: []byte("v")}})
	if err == nil || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Commit: %v", err)
	}
	if hasNode(t, s, 1) || !hasNode(t, s, 0) {
		t.Error("half a change is kept")
	}
	if err := s.Update(t.Context(), putNode(2)); err != nil {
		t.Errorf("Update after it: %v", err)
	}
}

// A failed commit whose state shows all the same is an unknown outcome, and ends
// reading and writing; one that left the old state does not.
func TestFailedCommit(t *testing.T) {
	s := openTemp(t)
	err := s.driver.checkFailed(commits(t, s.driver)+1, errOnPurpose)
	if !errors.Is(err, errOnPurpose) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("a clean failure: %v", err)
	}
	if err := s.Update(t.Context(), putNode(1)); err != nil {
		t.Fatalf("after a clean failure: %v", err)
	}
	err = s.driver.checkFailed(commits(t, s.driver), errOnPurpose)
	if !errors.Is(err, errOnPurpose) || !errors.Is(err, store.ErrUnknown) {
		t.Errorf("a failure that shows: %v", err)
	}
	err = s.Update(t.Context(), putNode(2))
	if !errors.Is(err, errUnsure) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Update: %v, want %v", err, errUnsure)
	}
	err = s.View(t.Context(), func(store.Reader) error { return nil })
	if !errors.Is(err, errUnsure) {
		t.Errorf("View: %v, want %v", err, errUnsure)
	}
}

// If nobody can look, nobody knows.
func TestFailedCommitThatNobodySees(t *testing.T) {
	s := openTemp(t)
	id := commits(t, s.driver) + 1
	mustClose(t, s)
	if err := s.driver.checkFailed(id, errOnPurpose); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, errOnPurpose) {
		t.Errorf("got %v", err)
	}
}

// The log says when trouble begins and when it ends, not each time it shows.
func TestTroubleIsReportedOnce(t *testing.T) {
	s := openTemp(t)
	var log bytes.Buffer
	s.driver.log = slog.New(slog.NewTextHandler(&log, nil))
	for _, err := range []error{nil, errOnPurpose, errOnPurpose, nil, nil, errOnPurpose} {
		s.driver.report(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "on purpose") || !strings.Contains(lines[1], "again") {
		t.Errorf("log %q", lines)
	}
}
