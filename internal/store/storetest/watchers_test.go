package storetest_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// heard is what a watcher is called with.
type heard = func(store.Change) error

// watcher is a sound store with another Watch.
type watcher struct {
	store.Store
	watch func(ctx context.Context, s store.Store, prefix string, f heard) error
}

func (w watcher) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return w.watch(ctx, w.Store, prefix, f)
}

func twistWatch(watch func(ctx context.Context, s store.Store, prefix string, f heard) error) func() store.Store {
	return func() store.Store { return watcher{memory.New(), watch} }
}

func silentStart(ctx context.Context, s store.Store, prefix string, f heard) error {
	return s.Watch(ctx, prefix, func(c store.Change) error {
		if c.IsZero() {
			return nil
		}
		return f(c)
	})
}

func onlyOneZero(ctx context.Context, s store.Store, prefix string, f heard) error {
	begun := false
	return s.Watch(ctx, prefix, func(c store.Change) error {
		if c.IsZero() && begun {
			return nil
		}
		begun = true
		return f(c)
	})
}

func noValues(ctx context.Context, s store.Store, prefix string, f heard) error {
	return s.Watch(ctx, prefix, func(c store.Change) error { return f(store.Change{Key: c.Key}) })
}

func lateValues(ctx context.Context, s store.Store, prefix string, f heard) error {
	before := make(map[string][]byte)
	return s.Watch(ctx, prefix, func(c store.Change) error {
		last, ok := before[c.Key]
		before[c.Key] = c.Value
		if ok {
			c.Value = last
		}
		return f(c)
	})
}

func anyPrefix(ctx context.Context, s store.Store, _ string, f heard) error {
	return s.Watch(ctx, "", f)
}

func twiceAtATime(ctx context.Context, s store.Store, prefix string, f heard) error {
	return s.Watch(ctx, prefix, func(c store.Change) error {
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wg.Go(func() { errs[i] = f(c) })
		}
		wg.Wait()
		return errors.Join(errs...)
	})
}

func contextError(ctx context.Context, s store.Store, prefix string, f heard) error {
	return errors.Join(s.Watch(ctx, prefix, f), ctx.Err())
}

func swallow(ctx context.Context, s store.Store, prefix string, f heard) error {
	if err := s.Watch(ctx, prefix, f); errors.Is(err, store.ErrClosed) {
		return err
	}
	return nil
}

func silentEnd(ctx context.Context, s store.Store, prefix string, f heard) error {
	if err := s.Watch(ctx, prefix, f); !errors.Is(err, store.ErrClosed) {
		return err
	}
	return nil
}

// heralded is a store that has its own way to tell watchers of changes.
type heralded struct {
	store.Store
	feed  *store.Feed
	views atomic.Int64
	tell  func(s *heralded, changes []store.Change, failed bool)
}

func herald(tell func(s *heralded, changes []store.Change, failed bool)) func() store.Store {
	return func() store.Store { return &heralded{Store: memory.New(), feed: store.NewFeed(), tell: tell} }
}

func (s *heralded) View(ctx context.Context, f func(store.Reader) error) error {
	defer s.views.Add(1)
	return s.Store.View(ctx, f)
}

func (s *heralded) Watch(ctx context.Context, prefix string, f func(store.Change) error) error {
	return s.feed.Watch(ctx, prefix, f)
}

func (s *heralded) Update(ctx context.Context, f func(store.Writer) error) error {
	return s.Store.Update(ctx, func(w store.Writer) error {
		own := store.NewOverlay(w)
		failed := true
		defer func() { s.tell(s, own.Changes(), failed) }()
		err := f(own)
		failed = err != nil
		return errors.Join(err, write(w, own.Changes()))
	})
}

func (s *heralded) Close() error {
	s.feed.Close()
	return s.Store.Close()
}

// tellFirst tells from inside the Update, and gives watchers the time for a look.
func tellFirst(s *heralded, changes []store.Change, failed bool) {
	if failed {
		return
	}
	views := s.views.Load()
	s.feed.Publish(changes...)
	for i := 0; i < 10000 && s.views.Load() == views; i++ {
		runtime.Gosched()
	}
}

// tellFailed tells of all that a closure wrote.
func tellFailed(s *heralded, changes []store.Change, _ bool) {
	s.feed.Publish(changes...)
}
