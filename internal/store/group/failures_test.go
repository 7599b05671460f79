package group

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/xlattice/xlreg/internal/store"
)

// failures are how closures that write and closures that fail are answered when a
// commit goes wrong, or several do.
var failures = map[string]struct {
	commits      []error
	runs         int
	writer, fail error
	kept         bool
}{
	"no failure":        {nil, 1, nil, errOnPurpose, true},
	"disk":              {[]error{errDisk}, 1, errDisk, errDisk, false},
	"conflict":          {[]error{ErrConflict}, 2, nil, errOnPurpose, true},
	"wrapped conflict":  {[]error{fmt.Errorf("commit: %w", ErrConflict)}, 2, nil, errOnPurpose, true},
	"several conflicts": {[]error{ErrConflict, ErrConflict, ErrConflict}, 4, nil, errOnPurpose, true},
	"conflict, disk":    {[]error{ErrConflict, errDisk}, 2, errDisk, errDisk, false},
	"unknown":           {[]error{errUnknown}, 1, errUnknown, errUnknown, false},
	"conflict, unknown": {[]error{ErrConflict, errUnknown}, 2, errUnknown, errUnknown, false},
}

var (
	errDisk    = errors.New("disk on fire")
	errUnknown = fmt.Errorf("%w: line cut", store.ErrUnknown)
)

func TestCommitsThatFail(t *testing.T) {
	for name, c := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				s := on(t, f)
				var runs int
				f.commit = slices.Clone(c.commits)
				err := s.Update(t.Context(), func(w store.Writer) error { runs++; return put("k", fmt.Sprint(runs))(w) })
				if !errors.Is(err, c.writer) || runs != c.runs || f.has("k") != c.kept {
					t.Errorf("writer: %v after %d runs, kept %v", err, runs, f.has("k"))
				}
				if c.kept && f.values["k"] != fmt.Sprint(c.runs) {
					t.Errorf("kept what run %q wrote", f.values["k"])
				}
				runs = 0
				f.commit = slices.Clone(c.commits)
				err = s.Update(t.Context(), func(store.Writer) error { runs++; return errOnPurpose })
				if !errors.Is(err, c.fail) || runs != c.runs {
					t.Errorf("a closure that fails: %v after %d runs", err, runs)
				}
				if err := s.Update(t.Context(), put("later", "v")); err != nil || !f.has("later") {
					t.Errorf("later: %v", err)
				}
			})
		})
	}
}

// All turns of a batch are answered alike, and run again alike.
func TestBatchesFailTogether(t *testing.T) {
	for name, failure := range map[string]error{"disk": errDisk, "unknown": errUnknown, "conflict": ErrConflict} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				s := on(t, f)
				runs := make([]int, 10)
				errs := make([]error, len(runs))
				free := make(chan struct{})
				var wg sync.WaitGroup
				for i := range runs {
					wg.Go(func() {
						errs[i] = s.Update(t.Context(), func(w store.Writer) error {
							runs[i]++
							if runs[i] == 1 {
								<-free
							}
							return put(fmt.Sprint(i), "v")(w)
						})
					})
				}
				f.commit = []error{failure}
				synctest.Wait()
				close(free)
				wg.Wait()
				again := errors.Is(failure, ErrConflict)
				for i, err := range errs {
					if again != (err == nil) || again != f.has(fmt.Sprint(i)) || again != (runs[i] == 2) {
						t.Errorf("%d: %v after %d runs", i, err, runs[i])
					}
				}
			})
		})
	}
}

func TestBeginFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		f.begin = []error{errDisk, errDisk}
		for range 2 {
			err := s.Update(t.Context(), func(store.Writer) error {
				t.Error("the closure runs")
				return nil
			})
			if err != errDisk { //nolint:errorlint // as it is
				t.Errorf("Update: %v", err)
			}
		}
		if err := s.Update(t.Context(), put("k", "v")); err != nil || f.count() != 1 || f.begun != 3 {
			t.Errorf("Update: %v, %d of %d transactions committed", err, f.count(), f.begun)
		}
	})
}

// Closures that fail, panic or take their goroutine along leave their batch be.
func TestFailuresInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := on(t, f)
		recovered := make(chan any, 1)
		release := hold(t, s, "held")
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { recovered <- recover() }()
			_ = s.Update(t.Context(), func(w store.Writer) error {
				_ = w.Put("panic", []byte("v"))
				panic(errOnPurpose)
			})
		})
		wg.Go(func() {
			_ = s.Update(t.Context(), func(w store.Writer) error {
				defer runtime.Goexit()
				return w.Put("exit", []byte("v"))
			})
		})
		wg.Go(func() {
			err := s.Update(t.Context(), func(w store.Writer) error {
				return errors.Join(w.Put("error", []byte("v")), errOnPurpose)
			})
			if !errors.Is(err, errOnPurpose) {
				t.Errorf("Update: %v", err)
			}
		})
		for i := range 5 {
			wg.Go(func() {
				if err := s.Update(t.Context(), put(fmt.Sprint(i), "v")); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if got := <-recovered; got != any(errOnPurpose) {
			t.Errorf("recovered %v", got)
		}
		if f.count() != 1 || len(f.commits[0]) != 6 || f.has("panic") || f.has("exit") || f.has("error") {
			t.Errorf("commits %q", f.commits)
		}
	})
}
