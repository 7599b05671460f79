package topcmd

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg/internal/admin/adminclient"
	"github.com/xlattice/xlreg/internal/admin/api"
)

// wish is what the model wants to know.
type wish struct {
	state  api.State // of the clusters in the list; empty: any
	order  api.Order
	match  string
	detail string // the ID of the cluster that is open; empty: none
}

// seen is what a look has found.
type seen struct {
	wish     wish
	registry api.Registry
	limits   []api.Limit
	clusters api.Page[api.Cluster]
	listed   bool // clusters was asked for
	detail   *api.ClusterDetail
	gone     bool // the cluster that is open is no more
}

// maxRows is how many clusters are listed at most.
const maxRows = 200

// relist is how often the list is read although changes are told: what leaves the list
// makes room for clusters that have not changed.
const relist = 10 * time.Second

// look asks for everything at once.
func look(ctx context.Context, c *adminclient.Client, w wish) (*seen, error) {
	s := &seen{wish: w, listed: true}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return lookBriefly(ctx, c, s) })
	group.Go(func() (err error) {
		s.clusters, err = c.Clusters(ctx, w.query())
		return err
	})
	return s, group.Wait()
}

func (w *wish) query() api.ClusterQuery {
	return api.ClusterQuery{Match: w.match, State: w.state, Order: w.order, Limit: maxRows}
}

// feed brings what happens to the model. Its goroutines are the callers of poll and
// follow.
type feed struct {
	client   *adminclient.Client
	interval time.Duration
	updates  chan func(*model)
	wishes   chan wish     // holds the newest
	stale    chan struct{} // the list is to be read anew
	last     wish          // owned by the caller of want
}

func newFeed(c *adminclient.Client, interval time.Duration) *feed {
	return &feed{
		client: c, interval: interval, updates: make(chan func(*model)),
		wishes: make(chan wish, 1), stale: make(chan struct{}, 1), last: newModel(true).wish(),
	}
}

// want says what the model wants to know from now on.
func (f *feed) want(w wish) {
	if w == f.last {
		return
	}
	f.last = w
	select {
	case <-f.wishes: // an older one that nobody has seen
	default:
	}
	f.wishes <- w
}

func (f *feed) tell(ctx context.Context, u func(*model)) error {
	select {
	case f.updates <- u:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll looks again and again at what does not tell of itself, and at the list when there
// is a reason to.
func (f *feed) poll(ctx context.Context) error {
	w := newModel(true).wish()
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	again := time.NewTicker(relist)
	defer again.Stop()
	for {
		list := true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w = <-f.wishes:
		case <-f.stale:
		case <-again.C:
		case <-ticker.C:
			list = false
		}
		if err := f.tell(ctx, f.lookFor(ctx, w, list)); err != nil {
			return err
		}
	}
}

// lookFor looks at what is wanted, and returns what that changes.
func (f *feed) lookFor(ctx context.Context, w wish, list bool) func(*model) {
	s := &seen{wish: w}
	var err error
	if list {
		s, err = look(ctx, f.client, w)
	} else {
		err = lookBriefly(ctx, f.client, s)
	}
	at := time.Now()
	return func(m *model) {
		if m.trouble = err; err == nil {
			m.take(s, at)
		}
	}
}

// lookBriefly asks for everything but the list.
func lookBriefly(ctx context.Context, c *adminclient.Client, s *seen) error {
	var err error
	if s.registry, err = c.Registry(ctx); err != nil {
		return err
	}
	if s.limits, err = c.Limits(ctx); err != nil || s.wish.detail == "" {
		return err
	}
	detail, err := c.Cluster(ctx, s.wish.detail)
	if isGone(err) {
		s.gone = true
		return nil
	}
	s.detail = &detail
	return err
}

// follow passes on changes as they happen.
func (f *feed) follow(ctx context.Context) error {
	lost := func(err error) {
		_ = f.tell(ctx, func(m *model) { m.trouble = err }) // or it ends anyway
	}
	return f.client.Follow(ctx, lost, func(restart bool, changes []api.Change) error {
		if restart {
			select {
			case f.stale <- struct{}{}:
			default: // it is going to be read anyway
			}
		}
		at := time.Now()
		return f.tell(ctx, func(m *model) { m.change(changes, at) })
	})
}
