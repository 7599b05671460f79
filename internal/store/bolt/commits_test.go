package bolt

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

var errOnPurpose = errors.New("on purpose")

// hold begins an Update of node n that keeps its turn until release is called.
// release waits for its end.
func hold(t *testing.T, s *Store, n int) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Update(t.Context(), func(w store.Writer) error {
			close(held)
			<-free
			return putNode(n)(w)
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	<-held
	return func() {
		close(free)
		wg.Wait()
	}
}

func TestUpdatesShareCommits(t *testing.T) {
	const waiting = 50
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		before := commits(t, s)
		release := hold(t, s, waiting)
		var wg sync.WaitGroup
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
		release()
		wg.Wait()
		if n := commits(t, s) - before; n != 1 {
			t.Errorf("%d Updates took %d commits, want 1", waiting+1, n)
		}
	})
}

// No timer plays a part: the bubble's clock stands still.
func TestLoneCommitIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		start, before := time.Now(), commits(t, s)
		for n := range 5 {
			if err := s.Update(t.Context(), putNode(n)); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("5 Updates waited for %v", waited)
		}
		if n := commits(t, s) - before; n != 5 {
			t.Errorf("5 Updates took %d commits", n)
		}
	})
}

// A commit carries a bounded number of Updates.
func TestCommitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		before := commits(t, s)
		release := hold(t, s, 0)
		var wg sync.WaitGroup
		for range maxTurns {
			wg.Go(func() {
				if err := s.Update(t.Context(), putNode(1)); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if n := commits(t, s) - before; n != 2 {
			t.Errorf("%d Updates took %d commits, want 2", maxTurns+1, n)
		}
	})
}

func TestReadOnlyUpdateCommitsNothing(t *testing.T) {
	s := openTemp(t)
	before := commits(t, s)
	for range 3 {
		err := s.Update(t.Context(), func(w store.Writer) error {
			_, err := w.Node(testNode(0).ID)
			return err
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Update: %v", err)
		}
	}
	if n := commits(t, s) - before; n != 0 {
		t.Errorf("%d commits", n)
	}
}

// What a closure read of another in its batch is not answered before it is on
// disk, whether the closure ends well or not.
func TestAnswersWaitForWhatTheyRead(t *testing.T) {
	for name, want := range map[string]error{"read only": nil, "failing": errOnPurpose} {
		t.Run(name, func(t *testing.T) {
			b := newBatch()
			s := openTemp(t)
			var wg sync.WaitGroup
			answers := make(chan error, 2)
			turn := func(f func(store.Writer) error) {
				wg.Go(func() { answers <- b.update(t.Context(), s, f) })
				<-b.ended
			}
			turn(putNode(1))
			turn(func(w store.Writer) error {
				_, err := w.Node(testNode(1).ID)
				return errors.Join(err, want)
			})
			select {
			case err := <-answers:
				t.Errorf("answered before the commit: %v", err)
			default:
			}
			commitErr := errors.New("disk on fire")
			b.err = commitErr
			close(b.done)
			wg.Wait()
			close(answers)
			for err := range answers {
				if !errors.Is(err, commitErr) {
					t.Errorf("answered %v, want %v", err, commitErr)
				}
			}
			if err := b.tx.Rollback(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestContextEndsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		release := hold(t, s, 0)
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() { answer <- s.Update(ctx, putNode(1)) })
		synctest.Wait()
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v", err)
		}
		release()
		wg.Wait()
		if hasNode(t, s, 1) {
			t.Error("the change was made without a turn")
		}
	})
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		release := hold(t, s, 0)
		answer := make(chan error, 1)
		closed := make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() { answer <- s.Update(t.Context(), putNode(1)) })
		synctest.Wait()
		wg.Go(func() { closed <- s.Close() })
		if err := <-answer; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Update: %v, want %v", err, store.ErrClosed)
		}
		select {
		case err := <-closed:
			t.Errorf("Close did not wait for the Update under way: %v", err)
		default:
		}
		release() // and is answered with success
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()

		s = open(t, dir)
		defer mustClose(t, s)
		if !hasNode(t, s, 0) || hasNode(t, s, 1) {
			t.Error("the file does not hold what was answered")
		}
	})
}

// A change of which only a half got into the transaction takes the batch along.
func TestHalfAChangeIsNotKept(t *testing.T) {
	s := openTemp(t)
	b := newBatch()
	if err := b.begin(s); err != nil {
		t.Fatal(err)
	}
	buf := store.NewBuffer(b.records)
	if err := buf.PutNode(testNode(1)); err != nil {
		t.Fatal(err)
	}
	b.flush(buf)
	if b.failure != nil {
		t.Fatal(b.failure)
	}
	b.failure = errCutOff // what a panic would have left there
	if err := (&committer{store: s}).finish(b); !errors.Is(err, errCutOff) {
		t.Errorf("finish: %v", err)
	}
	if hasNode(t, s, 1) {
		t.Error("half a change is kept")
	}
	if err := s.Update(t.Context(), putNode(2)); err != nil {
		t.Errorf("Update after it: %v", err)
	}
}

// A failed commit whose state shows all the same ends reading and writing; one
// that left the old state does not.
func TestFailedCommitThatShows(t *testing.T) {
	s := openTemp(t)
	c := &committer{store: s}
	c.checkFailed(commits(t, s) + 1)
	if err := s.Update(t.Context(), putNode(1)); err != nil {
		t.Fatalf("after a clean failure: %v", err)
	}
	c.checkFailed(commits(t, s))
	if err := s.Update(t.Context(), putNode(2)); !errors.Is(err, errUnsure) {
		t.Errorf("Update: %v, want %v", err, errUnsure)
	}
	err := s.View(t.Context(), func(store.Reader) error { return nil })
	if !errors.Is(err, errUnsure) {
		t.Errorf("View: %v, want %v", err, errUnsure)
	}
}

// The watchers are told before the Update returns, and not of what failed.
func TestChangeIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTemp(t)
		ctx, cancel := context.WithCancel(t.Context())
		changes := make(chan store.Change, 8)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Watch(ctx, func(c store.Change) { changes <- c }); err != nil {
				t.Errorf("Watch: %v", err)
			}
		})
		<-changes
		id := xlreg.ClusterID(testNode(0).ID)
		for _, want := range []error{errOnPurpose, nil} {
			err := s.Update(t.Context(), func(w store.Writer) error {
				return errors.Join(w.PutSeat(id, xlreg.Member{Token: testNode(1)}), want)
			})
			if !errors.Is(err, want) {
				t.Fatalf("Update: %v", err)
			}
			synctest.Wait()
			if got := len(changes) == 1; got != (want == nil) {
				t.Errorf("after %v: %d changes", want, len(changes))
			}
		}
		if c := <-changes; c.Cluster != id {
			t.Errorf("change %v", c)
		}
		cancel()
		wg.Wait()
	})
}
