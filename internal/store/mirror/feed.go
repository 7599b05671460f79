package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xlattice/xlreg/internal/store"
)

// silence is how long the feed may say nothing before it counts as lost.
const silence = 3 * Heartbeat

// lostPatience is how long somebody waits for a feed that was there and is lost.
const lostPatience = time.Second

// How long it takes until the feed is begun anew: the first time at once.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

var (
	errSilent     = errors.New("the feed says nothing")
	errBehind     = errors.New("the feed does not tell of our own changes")
	errRolledBack = errors.New("the database is at an earlier revision than before")
	errSlow       = errors.New("no answer in time")
)

// followAll follows the database until the store closes.
func (d *driver) followAll(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		began, err := d.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if began || pause == 0 { // and not each time that it fails again
			d.log.Warn("database feed lost", "err", err)
		}
		if pause = min(max(2*pause, firstPause), lastPause); began {
			pause = 0
		}
		wait(ctx, pause/2+rand.N(pause/2+1)) //nolint:gosec // jitter
	}
}

func wait(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// follow takes in what one Follow tells, until it ends, falls silent or has to begin
// anew. It reports whether it has begun at all.
func (d *driver) follow(ctx context.Context) (began bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() {
		cancel(errSilent)
		d.lost() // Follow may need a while to end, and nobody is to wait for that
	})
	defer watchdog.Stop()
	d.mu.Lock()
	d.restart = func(why error) { cancel(why) }
	d.mu.Unlock()
	defer d.lost()
	err = d.db.Follow(ctx, func(n News) {
		watchdog.Reset(silence)
		if ctx.Err() != nil {
			return
		}
		if !began {
			began = true
			d.begun(&n)
			return
		}
		d.hear(&n)
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = errors.New("it ended")
	}
	return began, err
}

// begun empties the cache: what happened before is not known. Those who watch are told
// first, so that a Watch which begins now is told once.
func (d *driver) begun(n *News) {
	d.feed.PublishAll()
	d.mu.Lock()
	d.cache.begin(n.Revision)
	d.committed = 0
	d.turn(true)
	d.mu.Unlock()
	d.log.Info("database feed begun", "revision", n.Revision)
}

// hear takes in what has changed, and then tells those who watch.
func (d *driver) hear(n *News) {
	if len(n.Events) == 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cache.apply(n)
		d.tellAll()
		return
	}
	changes := make([]store.Change, len(n.Events))
	for i := range n.Events {
		changes[i] = store.Change{Key: n.Events[i].Key, Value: n.Events[i].Value}
	}
	d.mu.Lock()
	d.cache.apply(n)
	d.bound()
	d.tellAll()
	d.mu.Unlock()
	d.feed.Publish(changes...)
}

func (d *driver) lost() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restart = func(error) {}
	d.turn(false)
}

// turn notes whether the feed runs. Called with mu held.
func (d *driver) turn(connected bool) {
	if d.connected != connected {
		d.connected = connected
		close(d.turned)
		d.turned = make(chan struct{})
		d.feedTurned()
	}
	d.tellAll()
}

// hope is for those who look while the feed is lost: what does not answer the feed does
// not answer them either, and whoever waits for them is told sooner so.
type hope struct {
	ctx  context.Context //nolint:containedctx // it ends when there is none
	end  context.CancelFunc
	fade *time.Timer
}

// feedTurned begins a hope, or has it end soon. Called with mu held.
func (d *driver) feedTurned() {
	h := &d.hope
	if !d.connected {
		h.fade = time.AfterFunc(lostPatience, h.end)
		return
	}
	d.had = true
	if h.fade == nil || !h.fade.Stop() {
		h.ctx, h.end = context.WithCancel(context.Background()) //nolint:gosec // it ends with the feed
	}
}

// hopeNow returns a context that ends when the feed has been lost for a while.
func (d *driver) hopeNow() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hope.ctx == nil {
		return context.Background() // it has not begun yet
	}
	return d.hope.ctx
}

// patience is how long somebody waits for the feed. When it has just been lost it mostly
// comes back at once or not for long, and others may know more.
func (d *driver) patience() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.had && !d.connected {
		return min(d.timeout, lostPatience)
	}
	return d.timeout
}

// bound empties the cache when it is too large. Called with mu held, and never after an
// answer has been taken in: somebody is about to use that.
func (d *driver) bound() {
	if d.cache.size > d.cacheBytes {
		d.cache.forget()
	}
}

// tellAll wakes those who wait for the feed. Called with mu held.
func (d *driver) tellAll() {
	close(d.moved)
	d.moved = make(chan struct{})
}

// settled returns the cache when the feed runs and has told of what this server has
// committed. A feed that does not do so in time is begun anew.
func (d *driver) settled(ctx context.Context) (snapshot, error) {
	select {
	case <-d.closing:
		return snapshot{}, store.ErrClosed
	default:
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.patience(), errSlow)
	defer cancel()
	for {
		d.mu.Lock()
		connected, behind, moved := d.connected, d.cache.shown < d.committed, d.moved
		if connected && !behind {
			defer d.mu.Unlock()
			return d.cache.snapshot(), nil
		}
		d.mu.Unlock()
		select {
		case <-moved:
		case <-d.closing:
			return snapshot{}, store.ErrClosed
		case <-ctx.Done():
			return snapshot{}, d.unsettled(ctx, connected)
		}
	}
}

// unsettled is why nobody can go on. Whoever has ended ctx himself is told just that.
func (d *driver) unsettled(ctx context.Context, connected bool) error {
	if !errors.Is(context.Cause(ctx), errSlow) {
		return ctx.Err()
	}
	if !connected {
		return ErrUnreachable
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restart(errBehind)
	return fmt.Errorf("%w: %w", ErrUnreachable, errBehind)
}

func (d *driver) shownNow() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cache.shown
}
