package group

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// together begins an Update with each of these closures while another one keeps the
// turn, so that they are a batch with it, and returns how they end.
func together(t *testing.T, s *Store, closures ...func(store.Writer) error) []error {
	t.Helper()
	errs := make([]error, len(closures))
	release := hold(t, s, "held")
	var wg sync.WaitGroup
	for i, f := range closures {
		wg.Go(func() { errs[i] = s.Update(t.Context(), f) })
	}
	synctest.Wait() // all of them wait for a turn
	release()
	wg.Wait()
	return errs
}

func TestUpdatesShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		closures := make([]func(store.Writer) error, 50)
		for i := range closures {
			closures[i] = put(fmt.Sprint(i), "v")
		}
		if err := errors.Join(together(t, s, closures...)...); err != nil {
			t.Errorf("Update: %v", err)
		}
		if len(f.commits) != 1 || len(f.commits[0]) != 51 {
			t.Errorf("%d commits, want 1", len(f.commits))
		}
	})
}

// Each turn sees what the turns before it in the batch have written.
func TestTurnsSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		closures := make([]func(store.Writer) error, 20)
		for i := range closures {
			closures[i] = func(w store.Writer) error {
				n := 0
				if value, err := w.Get("n"); err == nil {
					n, _ = strconv.Atoi(string(value))
				}
				return w.Put("n", strconv.AppendInt(nil, int64(n)+1, 10))
			}
		}
		if err := errors.Join(together(t, s, closures...)...); err != nil {
			t.Errorf("Update: %v", err)
		}
		if f.values["n"] != "20" || len(f.commits) != 1 {
			t.Errorf("n is %q after %d commits", f.values["n"], len(f.commits))
		}
	})
}

// No timer plays a part: the bubble's clock stands still.
func TestLoneCommitIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		start := time.Now()
		for i := range 5 {
			if err := s.Update(t.Context(), put(fmt.Sprint(i), "v")); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 0 || f.count() != 5 {
			t.Errorf("5 Updates waited for %v and took %d commits", waited, f.count())
		}
	})
}

// Those who come while a commit is on its way are in the very next one, all of them.
func TestNobodyWaitsButForTheCommitBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.gate, f.asked = make(chan struct{}), make(chan struct{}, 1)
		s := on(t, f)
		var wg sync.WaitGroup
		for round := range 3 {
			for i := range 10 {
				wg.Go(func() {
					if err := s.Update(t.Context(), put(fmt.Sprint(round, i), "v")); err != nil {
						t.Errorf("Update: %v", err)
					}
				})
				if round == 0 && i == 0 {
					<-f.asked // alone in the first commit
				}
			}
			synctest.Wait()
			f.gate <- struct{}{}
			<-f.asked
		}
		f.gate <- struct{}{}
		wg.Wait()
		for _, want := range []int{1, 9, 10, 10} {
			got := f.commits[0]
			if f.commits = f.commits[1:]; len(got) != want {
				t.Errorf("a commit of %d changes, want %d", len(got), want)
			}
		}
	})
}

// A commit carries a bounded number of Updates.
func TestCommitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		closures := make([]func(store.Writer) error, maxTurns)
		for i := range closures {
			closures[i] = put("k", "v")
		}
		if err := errors.Join(together(t, s, closures...)...); err != nil {
			t.Errorf("Update: %v", err)
		}
		if f.count() != 2 {
			t.Errorf("%d Updates took %d commits, want 2", maxTurns+1, f.count())
		}
	})
}

// So it does of what they write, in number and in bytes.
func TestCommitIsBoundedInSize(t *testing.T) {
	many := func(w store.Writer) error {
		for i := range store.MaxWrites {
			if err := put(fmt.Sprint(i), "v")(w); err != nil {
				return err
			}
		}
		return nil
	}
	long := put("long", strings.Repeat("v", store.MaxBytes/2))
	for name, c := range map[string]struct {
		closure        func(store.Writer) error
		turns, commits int
	}{
		"writes":   {many, 21, 3},
		"bytes":    {long, 5, 3},
		"little":   {put("k", "v"), 20, 1},
		"no write": {func(store.Writer) error { return errOnPurpose }, 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				s := on(t, f)
				closures := make([]func(store.Writer) error, c.turns)
				for i := range closures {
					closures[i] = c.closure
				}
				for _, err := range together(t, s, closures...) {
					if err != nil && !errors.Is(err, errOnPurpose) {
						t.Errorf("Update: %v", err)
					}
				}
				if f.count() != c.commits {
					t.Errorf("%d commits, want %d", f.count(), c.commits)
				}
			})
		})
	}
}

// A driver without a lock must see whether what was read still holds, even if
// nothing was written.
func TestReadersCommit(t *testing.T) {
	f := newFake()
	s := on(t, f)
	for _, want := range []error{nil, errOnPurpose} {
		err := s.Update(t.Context(), func(w store.Writer) error {
			_, err := w.Get("k")
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get: %v", err)
			}
			return want
		})
		if err != want { //nolint:errorlint // as it is
			t.Errorf("Update: %v, want %v", err, want)
		}
	}
	if f.count() != 2 || len(f.commits[0])+len(f.commits[1]) != 0 {
		t.Errorf("commits %v", f.commits)
	}
}

// What a closure read of another in its batch is not answered before it lasts,
// whether the closure ends well or not.
func TestAnswersWaitForWhatTheyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.gate = make(chan struct{})
		s := on(t, f)
		read := func(answer error) func(store.Writer) error {
			return func(w store.Writer) error {
				_, err := w.Get("k")
				return errors.Join(err, answer)
			}
		}
		var wg sync.WaitGroup
		answers := make(chan error, 3)
		release := make(chan struct{})
		wg.Go(func() {
			answers <- s.Update(t.Context(), func(w store.Writer) error {
				<-release
				return put("k", "v")(w)
			})
		})
		synctest.Wait()
		wg.Go(func() { answers <- s.Update(t.Context(), read(nil)) })
		wg.Go(func() { answers <- s.Update(t.Context(), read(errOnPurpose)) })
		synctest.Wait()
		close(release)
		synctest.Wait() // the commit waits
		if len(answers) != 0 {
			t.Errorf("%d answers before the commit", len(answers))
		}
		errDisk := errors.New("disk on fire")
		f.commit = []error{errDisk}
		f.gate <- struct{}{}
		wg.Wait()
		for range 3 {
			if err := <-answers; !errors.Is(err, errDisk) || errors.Is(err, errOnPurpose) {
				t.Errorf("answered %v, want %v", err, errDisk)
			}
		}
		close(f.gate)
	})
}

// Whoever gives up waiting for a turn has changed nothing.
func TestContextEndsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		release := hold(t, s, "held")
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() { answer <- s.Update(ctx, put("k", "v")) })
		synctest.Wait()
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("Update: %v", err)
		}
		release()
		wg.Wait()
		if f.has("k") || !f.has("held") {
			t.Error("the Update that gave up is kept, or the other is not")
		}
		err := s.View(ctx, func(store.Reader) error { return errOnPurpose })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("View: %v", err)
		}
	})
}

// Whoever gives up waiting for a commit is told that its outcome is not known, if
// there is an outcome. The commit goes on.
func TestContextEndsOnTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		f       func(store.Writer) error
		unknown bool
	}{
		"writes":     {put("k", "v"), true},
		"only reads": {func(w store.Writer) error { _, _ = w.Get("k"); return nil }, false},
		"fails":      {func(w store.Writer) error { return errors.Join(put("k", "v")(w), errOnPurpose) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.gate = make(chan struct{})
				s := on(t, f)
				ctx, cancel := context.WithCancel(t.Context())
				answer := make(chan error, 1)
				var wg sync.WaitGroup
				wg.Go(func() { answer <- s.Update(ctx, c.f) })
				synctest.Wait() // for the commit, which waits
				cancel()
				err := <-answer
				if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) != c.unknown {
					t.Errorf("Update: %v", err)
				}
				close(f.gate)
				wg.Wait()
				synctest.Wait()
				if f.has("k") != c.unknown {
					t.Errorf("kept: %v", f.has("k"))
				}
			})
		})
	}
}

// Whoever is gone when its turn ends has changed nothing, and can know that.
func TestContextEndsInTheTurn(t *testing.T) {
	f := newFake()
	s := on(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(w store.Writer) error { cancel(); return put("k", "v")(w) })
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) || f.has("k") {
		t.Errorf("Update: %v, kept %v", err, f.has("k"))
	}
}

// An outcome that is known is told, also to somebody whose context has ended.
func TestContextEndsWithTheCommit(t *testing.T) {
	for _, failure := range []error{nil, errDisk} {
		for range 100 { // with two ways ready, either may be taken
			b := &batch{driver: newFake(), ended: make(chan struct{}, 1), done: make(chan struct{}), err: failure}
			b.tx, b.written = fakeTx{}, store.NewOverlay(nothing{})
			close(b.done)
			err := b.update(endsWith{t.Context(), b.done}, put("k", "v"))
			if !errors.Is(err, failure) {
				t.Fatalf("Update: %v, want %v", err, failure)
			}
		}
	}
}

// endsWith is a context that is done at the same moment as something else.
type endsWith struct {
	context.Context //nolint:containedctx // it is one itself
	done            chan struct{}
}

func (e endsWith) Done() <-chan struct{} { return e.done }

// Nothing is run again for somebody who is gone.
func TestContextEndsInAConflict(t *testing.T) {
	f := newFake()
	s := on(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	f.commit = []error{ErrConflict, ErrConflict, ErrConflict}
	runs := 0
	err := s.Update(ctx, func(w store.Writer) error {
		if runs++; runs == 2 {
			cancel()
		}
		return put("k", "v")(w)
	})
	if !errors.Is(err, context.Canceled) || runs != 2 || f.has("k") {
		t.Errorf("Update: %v after %d runs, kept %v", err, runs, f.has("k"))
	}
}

// A commit that is under way is finished, and those who wait are turned away.
func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		release := hold(t, s, "held")
		answer, closed := make(chan error, 1), make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() { answer <- s.Update(t.Context(), put("k", "v")) })
		synctest.Wait()
		wg.Go(func() { closed <- s.Close() })
		if err := <-answer; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Update: %v, want %v", err, store.ErrClosed)
		}
		synctest.Wait()
		if len(closed) != 0 || f.closed != 0 {
			t.Error("Close did not wait for the Update under way")
		}
		release() // and is answered with success
		wg.Wait()
		if err := <-closed; !errors.Is(err, errOnPurpose) {
			t.Errorf("Close: %v", err)
		}
		if !f.has("held") || f.has("k") {
			t.Error("what was answered and what is kept differ")
		}
		if err := s.Update(t.Context(), put("k", "v")); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Update: %v", err)
		}
	})
}

// Closures are held to the contract whatever the driver would take.
func TestClosuresAreBounded(t *testing.T) {
	s := on(t, newFake())
	err := s.Update(t.Context(), func(w store.Writer) error {
		for i := range store.MaxWrites + 1 {
			if err := put(fmt.Sprint(i), "v")(w); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Update: %v", err)
	}
	err = s.View(t.Context(), func(r store.Reader) error {
		_, err := r.Get("")
		return err
	})
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("View: %v", err)
	}
}
