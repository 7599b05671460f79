package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/storetest/optimistic"
)

// bare is a store on an optimistic driver, without all that package group does.
type bare struct {
	group.Driver
	update func(s *bare, ctx context.Context, f func(store.Writer) error) error
	writer func(own *store.Overlay) store.Writer

	mu    sync.Mutex
	state any // what update keeps; guarded by mu
}

func newBare() *bare {
	return &bare{
		Driver: optimistic.NewBackend().Driver(),
		update: plainUpdate,
		writer: func(own *store.Overlay) store.Writer { return &store.Bounded{Writer: own} },
	}
}

func (s *bare) View(ctx context.Context, f func(store.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Driver.View(ctx, func(r store.Reader) error {
		// A Bounded over an Overlay is what a BoundedReader is, and writer may change it.
		return f(s.writer(store.NewOverlay(r)))
	})
}

func (s *bare) Update(ctx context.Context, f func(store.Writer) error) error {
	return s.update(s, ctx, f)
}

func plainUpdate(s *bare, ctx context.Context, f func(store.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		tx, own, err := s.run(f)
		if tx == nil {
			return err
		}
		if err == nil {
			err = tx.Commit(own.Changes())
		} else if conflict := tx.Commit(nil); conflict != nil {
			err = conflict
		}
		if !errors.Is(err, group.ErrConflict) {
			return err
		}
	}
}

// run runs f in a transaction of its own, which is left open.
func (s *bare) run(f func(store.Writer) error) (group.Tx, *store.Overlay, error) {
	tx, err := s.Begin()
	if err != nil {
		return nil, nil, err
	}
	own := store.NewOverlay(tx)
	return tx, own, f(s.writer(own))
}

func bound(writer func(own *store.Overlay) store.Writer) func() store.Store {
	return func() store.Store {
		s := newBare()
		s.writer = writer
		return s
	}
}

func unbound(own *store.Overlay) store.Writer { return own }

func freeReads(own *store.Overlay) store.Writer {
	return getter{&store.Bounded{Writer: own}, own.Get}
}

func freeWrites(own *store.Overlay) store.Writer {
	b := &store.Bounded{Writer: own}
	return uncounted{b, func() { b.Writes = 0 }}
}

func freeBytes(own *store.Overlay) store.Writer {
	b := &store.Bounded{Writer: own}
	return uncounted{b, func() { b.Bytes = 0 }}
}

type uncounted struct {
	store.Writer
	reset func()
}

func (u uncounted) Put(key string, value []byte) error {
	u.reset()
	return u.Writer.Put(key, value)
}

func (u uncounted) Delete(key string) error {
	u.reset()
	return u.Writer.Delete(key)
}

// twistUpdate replaces what Update does.
func twistUpdate(update func(s *bare, ctx context.Context, f func(store.Writer) error) error) func() store.Store {
	return func() store.Store {
		s := newBare()
		s.update = update
		return s
	}
}

func wrapError(s *bare, ctx context.Context, f func(store.Writer) error) error {
	if err := plainUpdate(s, ctx, f); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

func keepFailed(s *bare, ctx context.Context, f func(store.Writer) error) error {
	var failure error
	err := plainUpdate(s, ctx, func(w store.Writer) error {
		failure = f(w)
		return nil
	})
	return errors.Join(err, failure)
}

func keepPanic(s *bare, ctx context.Context, f func(store.Writer) error) error {
	var fault any
	err := plainUpdate(s, ctx, func(w store.Writer) error {
		defer func() { fault = recover() }()
		return f(w)
	})
	if fault != nil {
		panic(fault)
	}
	return err
}

// forgetAfterFailure keeps nothing of the next good Update after a failed one.
func forgetAfterFailure() func(*bare, context.Context, func(store.Writer) error) error {
	return func(s *bare, ctx context.Context, f func(store.Writer) error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == nil {
			err := plainUpdate(s, ctx, f)
			if err != nil {
				s.state = err
			}
			return err
		}
		_, _, err := s.run(f)
		if err == nil {
			s.state = nil
		}
		return err
	}
}

func ignoreContext(s *bare, ctx context.Context, f func(store.Writer) error) error {
	return plainUpdate(s, context.WithoutCancel(ctx), f)
}

// unsure commits, and then says that it does not know if ctx has ended.
func unsure(s *bare, ctx context.Context, f func(store.Writer) error) error {
	err := plainUpdate(s, ctx, f)
	if err == nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err())
	}
	return err
}

func retryUnknown(s *bare, ctx context.Context, f func(store.Writer) error) error {
	err := unsure(s, ctx, f)
	if errors.Is(err, store.ErrUnknown) {
		return unsure(s, context.WithoutCancel(ctx), f)
	}
	return err
}

func hideCause(s *bare, ctx context.Context, f func(store.Writer) error) error {
	err := unsure(s, ctx, f)
	if errors.Is(err, store.ErrUnknown) {
		return store.ErrUnknown
	}
	return err
}

func byHalves(s *bare, ctx context.Context, f func(store.Writer) error) error {
	var changes []store.Change
	err := plainUpdate(s, ctx, func(w store.Writer) error {
		own := store.NewOverlay(w)
		err := f(own)
		changes = own.Changes()
		return errors.Join(err, write(w, changes[:len(changes)/2]))
	})
	if err != nil {
		return err
	}
	others()
	return plainUpdate(s, ctx, func(w store.Writer) error { return write(w, changes[len(changes)/2:]) })
}

// others lets other goroutines run for a while.
func others() {
	for range 100 {
		runtime.Gosched()
	}
}

// atOnce makes each change as it comes.
func atOnce(s *bare, ctx context.Context, f func(store.Writer) error) error {
	return plainUpdate(s, ctx, func(w store.Writer) error { return f(writeThrough{w, s, ctx}) })
}

type writeThrough struct {
	store.Writer
	store *bare
	ctx   context.Context //nolint:containedctx // that of the one Update it is made for
}

func (w writeThrough) Put(key string, value []byte) error {
	err := plainUpdate(w.store, w.ctx, func(tx store.Writer) error { return tx.Put(key, value) })
	others()
	return err
}

func (w writeThrough) Delete(key string) error {
	err := plainUpdate(w.store, w.ctx, func(tx store.Writer) error { return tx.Delete(key) })
	others()
	return err
}

// oldViews shows what there was before the last Update.
func oldViews() store.Store {
	b := optimistic.NewBackend()
	return &followers{Store: group.New(b.Driver()), behind: memory.New()}
}

// followers reads from a copy that is one Update behind.
type followers struct {
	store.Store
	behind *memory.Store

	mu  sync.Mutex
	lag []store.Change // guarded by mu
}

func (s *followers) View(ctx context.Context, f func(store.Reader) error) error {
	return s.behind.View(ctx, f)
}

func (s *followers) Update(ctx context.Context, f func(store.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lag := s.lag
	err := s.Store.Update(ctx, func(w store.Writer) error {
		own := store.NewOverlay(w)
		if err := f(own); err != nil {
			return err
		}
		s.lag = own.Changes()
		return write(w, s.lag)
	})
	return errors.Join(err, s.behind.Update(ctx, func(w store.Writer) error { return write(w, lag) }))
}

// hasty answers before it commits: the next Update does that.
func hasty() store.Store {
	return twistUpdate(func(s *bare, ctx context.Context, f func(store.Writer) error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		last, _ := s.state.([]store.Change)
		err := plainUpdate(s, ctx, func(w store.Writer) error { return write(w, last) })
		_, own, failure := s.run(f)
		s.state = own.Changes()
		return errors.Join(err, failure)
	})()
}
