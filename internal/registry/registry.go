// Package registry is the rules: who may register, create, join, read, wait and
// leave, and what happens then. It knows no network and no driver. A rule runs
// in one store transaction, so what must be atomic is.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// retryLater is what a client is told to wait when the store cannot write.
const retryLater = time.Second

// Clock is the time of a registry.
type Clock interface {
	// Now returns the time that joins are recorded with.
	Now() time.Time
	// Monotonic returns a time that goes on evenly when somebody sets Now, to measure
	// how long something lasts.
	Monotonic() time.Time
	// AfterFunc calls f once after d unless stop is called first.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// SystemClock is the Clock of the machine.
type SystemClock struct{}

// Now returns time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// Monotonic returns time.Now, which has a monotonic reading.
func (SystemClock) Monotonic() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (SystemClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

// Config is what a Registry is built from. Store and Self are needed.
type Config struct {
	Store   store.Store
	Self    xlreg.NodeID  // the registry's own ID, which no node may take
	IDLen   int           // bytes of new IDs; 0 is xlreg.LongIDLen
	MaxWait time.Duration // of one waiting read; 0 is xlreg.DefaultMaxWait
	Clock   Clock         // nil is SystemClock
	Logger  *slog.Logger  // nil discards
	// Admit says whose keys may be registered; nil admits all. Without a registered
	// node a peer can only read.
	Admit func(xlreg.SigKey) bool
	// Bounds are how much is kept at most, and for how long.
	Bounds Bounds
	// Server is what the other servers know this one by that share the store; empty if
	// there are none. It is announced before New, as long as the registry is open.
	Server records.ServerID
	// Observe is told what has happened, after it is kept and before whoever caused it is
	// answered; nil: nobody is. It is called from many goroutines and must not block: of
	// what happens in a cluster at one time the revisions tell the order. Of a change of
	// which the store cannot say whether it is kept it is told nothing.
	Observe func(Event)
}

// Registry applies the rules to a store. All methods may be called from any
// goroutine. Errors have a kind of package xlreg, unless the context ended; one
// of kind xlreg.ErrTryLater wraps the store's error, which is for the log alone.
type Registry struct {
	store   store.Store
	self    xlreg.NodeID
	idLen   int
	maxWait time.Duration
	clock   Clock
	log     *slog.Logger
	admit   func(xlreg.SigKey) bool // nil: all
	observe func(Event)             // nil: nobody

	bounds   Bounds
	hub      hub
	leases   leases
	rosters  rosterCache
	verified verified
	totals   totals
	purges   chan xlreg.ClusterID // that are gone, and of which something is left
	stocked  chan struct{}        // closed when leases has what there was at the start
	counted  chan struct{}        // closed when totals has what there was at the start
	reading  singleflight.Group   // of rosters, by cluster and revision

	fleet     fleet
	attention chan struct{} // a change among the servers is to be looked after
	failure   chan error    // why this server can no longer serve

	stop    context.CancelFunc
	watcher sync.WaitGroup
}

// New starts a registry on an open store, which stays the caller's to close,
// after the registry.
func New(cfg Config) (*Registry, error) {
	if cfg.IDLen == 0 {
		cfg.IDLen = xlreg.LongIDLen
	}
	if cfg.IDLen != xlreg.ShortIDLen && cfg.IDLen != xlreg.LongIDLen {
		return nil, fmt.Errorf("new IDs of %d bytes: want %d or %d", cfg.IDLen, xlreg.ShortIDLen, xlreg.LongIDLen)
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = xlreg.DefaultMaxWait
	}
	if cfg.Clock == nil {
		cfg.Clock = SystemClock{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Registry{
		store: cfg.Store, self: cfg.Self, idLen: cfg.IDLen, maxWait: cfg.MaxWait,
		clock: cfg.Clock, log: cfg.Logger, admit: cfg.Admit, observe: cfg.Observe, stop: stop,
		bounds: cfg.Bounds.orDefaults(), hub: hub{clock: cfg.Clock}, leases: leases{clock: cfg.Clock},
		fleet:     fleet{self: cfg.Server, there: make(map[records.ServerID]records.Server)},
		attention: make(chan struct{}, 1), failure: make(chan error, 1), counted: make(chan struct{}), stocked: make(chan struct{}), purges: make(chan xlreg.ClusterID, 64),
	}
	r.totals.fleet, r.leases.fleet = &r.fleet, &r.fleet
	r.SetRoom(cfg.Bounds)
	if err := r.begin(ctx); err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

// begin brings old records up to date, and starts what goes on beside the requests.
func (r *Registry) begin(ctx context.Context) error {
	if err := r.beginFleet(ctx); err != nil {
		return err
	}
	r.watcher.Go(func() { r.watch(ctx) })
	r.watcher.Go(func() { r.expire(ctx) })
	r.watcher.Go(func() { r.forget(ctx) })
	return nil
}

// beginFleet finds out what there is: alone by a look at everything, and among others by
// what they say. Only a store without others may have records of version 1.
func (r *Registry) beginFleet(ctx context.Context) error {
	if r.fleet.alone() {
		if err := records.Upgrade(ctx, r.store); err != nil {
			return err
		}
		r.count(ctx)
		return nil
	}
	close(r.counted)
	close(r.stocked)
	if err := r.admitSelf(ctx); err != nil {
		return err
	}
	r.watcher.Go(func() { r.follow(ctx) })
	r.watcher.Go(func() { r.attendAll(ctx) })
	return nil
}

// Close ends the notification of waiters, and returns when it has. It may be
// called again.
func (r *Registry) Close() error {
	r.stop()
	r.hub.close()
	r.watcher.Wait()
	return nil
}

// update runs f in a transaction.
func (r *Registry) update(ctx context.Context, f func(records.Writer) error) error {
	var grown records.Totals
	err := r.store.Update(ctx, func(tx store.Writer) error {
		w := records.NewWriterOf(tx, r.fleet.version())
		err := f(w)
		grown = w.Grown()
		return err
	})
	if err == nil {
		r.totals.add(grown)
	}
	return r.explain(ctx, err)
}

func (r *Registry) view(ctx context.Context, f func(records.Reader) error) error {
	return r.explain(ctx, r.store.View(ctx, func(tx store.Reader) error { return f(records.NewReader(tx)) }))
}

// explain gives an error that is not a rule's the kind that clients are told.
func (r *Registry) explain(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, ok := xlreg.KindOf(err); ok || isAdmins(err) {
		return err
	}
	if !isOurs(err) {
		r.leases.troubled()
	}
	return fmt.Errorf("%w: %w", &xlreg.Error{Kind: xlreg.ErrTryLater, Retry: retryLater}, err)
}

// isOurs reports whether an error is no failure of the store, but what it has in it.
func isOurs(err error) bool {
	for _, ours := range []error{errAnothers, errRenewed, errCompleted, records.ErrDamaged, errNoFreeDraw} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return records.IsNotFound(err)
}

// orKind puts kind in the place of an error that says there is no such record.
func orKind(err error, kind error) error {
	if records.IsNotFound(err) {
		return kind
	}
	return err
}

// exists tells from the error of a reading call whether there is such a record.
func exists(err error) (bool, error) {
	if records.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
