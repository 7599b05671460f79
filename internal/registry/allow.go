package registry

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
)

// Allowance is how far a request may change what is kept. One that would go further is
// refused as xlreg.ErrTooManyRequests.
type Allowance int

// The allowances, each of which includes those before.
const (
	AllowNothing Allowance = iota // but to be told what is there
	AllowChange                   // of records, with no new node and no new cluster
	AllowAll
)

// Effect is what a request did to what is kept.
type Effect int

// The effects.
const (
	Unchanged Effect = iota
	Changed
	MadeNew // a node or a cluster
)

// check returns an error if a request may not do as much.
func (a Allowance) check(e Effect) error {
	if int(e) > int(a) {
		return xlreg.ErrTooManyRequests
	}
	return nil
}

// Bounds are how much is kept at most, and for how long. A zero field is no bound, but for
// those with a default.
type Bounds struct {
	Nodes, Clusters int
	Bytes           int64 // of all records

	MinLease, MaxLease time.Duration // 0: DefaultMinLease, DefaultMaxLease
	Forget             time.Duration // nodes and clusters that nobody needs; 0: DefaultForget; less: never
}

// Defaults of Bounds.
const (
	DefaultMinLease = 2 * time.Second
	DefaultMaxLease = 24 * time.Hour
	DefaultForget   = 30 * 24 * time.Hour
)

func (b Bounds) orDefaults() Bounds {
	b.MinLease = cmp.Or(b.MinLease, DefaultMinLease)
	b.MaxLease = cmp.Or(b.MaxLease, DefaultMaxLease)
	b.Forget = cmp.Or(b.Forget, DefaultForget)
	return b
}

// lease brings what was asked for into the bounds. To ask for none is none.
func (b *Bounds) lease(asked time.Duration) time.Duration {
	if asked <= 0 {
		return 0
	}
	return min(max(asked, b.MinLease), b.MaxLease).Truncate(time.Millisecond)
}

// retryFull is what a client is told to wait when a bound is reached: somebody has to
// raise it, or to make room.
const retryFull = time.Minute

// totals are how much is kept, as far as this registry knows. Of the servers that share a
// store one counts for all from time to time, and each adds what has come through itself
// since, as often as there are servers: what comes through the others is about as much.
type totals struct {
	bounds atomic.Pointer[Bounds]
	fleet  *fleet

	mu    sync.Mutex
	found records.Totals // guarded by mu; at the last count
	grown records.Totals // guarded by mu; since
}

func (t *totals) add(more records.Totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.grown = t.grown.Plus(more)
}

// counted notes what another server has counted.
func (t *totals) counted(found records.Totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found != t.found {
		t.found, t.grown = found, records.Totals{}
	}
}

func (t *totals) known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found != records.Totals{}
}

func (t *totals) get() records.Totals {
	servers := t.fleet.len()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found.Plus(t.grown.Times(servers))
}

// SetRoom changes how much is kept at most: the Nodes, Clusters and Bytes of b. The rest of
// the bounds stays. What is there already stays, too.
func (r *Registry) SetRoom(b Bounds) { r.totals.bounds.Store(&b) }

// roomForNode, roomForCluster and roomForSeat report whether there may be one more.
// What is there may always be replaced, so that nodes and members go on; what that
// adds to the bytes has the bounds of a token.
func (t *totals) roomForNode() error {
	return firstOf(checkBound("nodes", t.bounds.Load().Nodes, t.get().Nodes), t.roomForSeat())
}

func (t *totals) roomForCluster() error {
	return firstOf(checkBound("clusters", t.bounds.Load().Clusters, t.get().Clusters), t.roomForSeat())
}

func (t *totals) roomForSeat() error { return checkBound("data", t.bounds.Load().Bytes, t.get().Bytes) }

func firstOf(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func checkBound[T int | int64](what string, most, now T) error {
	if most == 0 || now < most {
		return nil
	}
	return &xlreg.Error{Kind: xlreg.ErrRegistryFull, Detail: what, Retry: retryFull}
}

// count finds out how much there is, while the registry serves already: what changes
// after the view has begun is added as it happens. A registry that cannot count does
// not end, since it can still serve those it knows.
func (r *Registry) count(ctx context.Context) {
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	r.watcher.Go(func() {
		defer close(r.counted)
		defer begin()
		var found records.Totals
		err := r.view(ctx, func(tx records.Reader) (err error) {
			begin()
			found, err = tx.Count(ctx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			r.log.Error("cannot count what is kept, so the bounds on it do not hold", "err", err)
			return
		}
		r.totals.add(found)
	})
	r.watcher.Go(func() {
		defer close(r.stocked)
		if err := r.takeStock(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("cannot read all seats, so leases from before the start do not run out", "err", err)
		}
	})
	<-begun
}

// sameRegistration reports whether two tokens of a node say the same. Signatures made
// with a random salt differ though what they sign is the same, and one that is kept
// with its certificate is as good as the next.
func sameRegistration(a, b *xlreg.Token) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Attrs == b.Attrs && a.CommsKey == b.CommsKey && a.SigKey == b.SigKey &&
		slices.Equal(a.Endpoints, b.Endpoints) && bytes.Equal(a.Labels, b.Labels) && bytes.Equal(a.Certificate, b.Certificate) &&
		(len(a.Certificate) > 0 || bytes.Equal(a.DigSig2, b.DigSig2))
}
