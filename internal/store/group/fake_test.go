package group

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errOnPurpose = errors.New("on purpose")

// fake is a Driver whose commits go as the test says.
type fake struct {
	feed *store.Feed

	mu      sync.Mutex
	values  map[string]string
	begun   int              // transactions, well or not
	commits [][]store.Change // asked for, whatever came of them
	closed  int

	begin  []error       // how the next transactions begin; nil when there is none
	commit []error       // how the next commits end; likewise
	gate   chan struct{} // each commit waits for one, unless it is nil
	asked  chan struct{} // each commit says here that it has begun, unless it is nil
}

func newFake() *fake { return &fake{feed: store.NewFeed(), values: make(map[string]string)} }

// shift takes the first of errs.
func shift(errs *[]error) (err error) {
	if len(*errs) > 0 {
		err, *errs = (*errs)[0], (*errs)[1:]
	}
	return err
}

func (f *fake) snapshot() *store.Overlay {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := store.NewOverlay(nothing{})
	for key, value := range maps.All(f.values) {
		_ = o.Put(key, []byte(value))
	}
	return o
}

// nothing is a Reader without data.
type nothing struct{}

func (nothing) Get(string) ([]byte, error) { return nil, store.ErrNotFound }

func (nothing) Scan(string) iter.Seq2[store.Item, error] {
	return func(func(store.Item, error) bool) {}
}

func (f *fake) View(_ context.Context, fn func(store.Reader) error) error { return fn(f.snapshot()) }

func (f *fake) Watch(ctx context.Context, prefix string, fn func(store.Change) error) error {
	return f.feed.Watch(ctx, prefix, fn)
}

func (f *fake) Close() error {
	f.feed.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return errOnPurpose
}

func (f *fake) Begin() (Tx, error) {
	f.mu.Lock()
	f.begun++
	err := shift(&f.begin)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return fakeTx{f.snapshot(), f}, nil
}

type fakeTx struct {
	store.Reader
	fake *fake
}

func (t fakeTx) Commit(changes []store.Change) error {
	f := t.fake
	if f.asked != nil {
		f.asked <- struct{}{}
	}
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commits = append(f.commits, changes)
	if err := shift(&f.commit); err != nil {
		return err
	}
	for _, c := range changes {
		if c.Value == nil {
			delete(f.values, c.Key)
			continue
		}
		f.values[c.Key] = string(c.Value)
	}
	f.feed.Publish(changes...)
	return nil
}

func (f *fake) has(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.values[key]
	return ok
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.commits)
}

// on returns a Store on f that is closed when the test ends.
func on(t *testing.T, f *fake) *Store {
	t.Helper()
	s := New(f)
	t.Cleanup(func() {
		for range 2 {
			if err := s.Close(); !errors.Is(err, errOnPurpose) {
				t.Errorf("Close: %v, want what the driver says", err)
			}
		}
		if f.closed != 1 {
			t.Errorf("the driver was closed %d times", f.closed)
		}
	})
	return s
}

func put(key, value string) func(store.Writer) error {
	return func(w store.Writer) error { return w.Put(key, []byte(value)) }
}

// hold begins an Update of key that keeps its turn until release is called, and
// release waits for its end.
func hold(t *testing.T, s *Store, key string) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Update(t.Context(), func(w store.Writer) error {
			close(held)
			<-free
			return put(key, "v")(w)
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
