package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
)

// fleet is the servers that share the store, as far as this one has been told. The
// earliest of them leads: it does what has to be done once for all. For a moment two may
// lead, or none. What a leader does is safe when two do it, and is made up for by the
// next.
type fleet struct {
	self records.ServerID // empty: this registry has the store to itself

	mu     sync.Mutex
	there  map[records.ServerID]records.Server // guarded by mu
	schema int                                 // guarded by mu; 0: as new as this program
}

// alone reports whether no other server can be there.
func (f *fleet) alone() bool { return f.self == "" }

// set notes that a server is there, or has gone, and reports whether that is news.
func (f *fleet) set(id records.ServerID, s *records.Server) (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, was := f.there[id]
	if s == nil {
		delete(f.there, id)
		return was
	}
	f.there[id] = *s
	return !was
}

func (f *fleet) replace(servers []records.Server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.there = make(map[records.ServerID]records.Server, len(servers))
	for i := range servers {
		f.there[servers[i].ID] = servers[i]
	}
}

// isThere reports whether a server is there that may keep a lease. This one always is.
func (f *fleet) isThere(id records.ServerID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.there[id]
	return ok || id == f.self
}

// leads reports whether this server does what has to be done once for all.
func (f *fleet) leads() bool {
	if f.alone() {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.there[f.self]; !ok {
		return false
	}
	return slices.Min(slices.Collect(maps.Keys(f.there))) == f.self
}

// all returns the servers, the earliest first.
func (f *fleet) all() []records.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.there), func(a, b records.Server) int { return cmp.Compare(a.ID, b.ID) })
}

func (f *fleet) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(1, len(f.there))
}

// version is that in which records are written now.
func (f *fleet) version() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.schema == 0 {
		return records.NewestVersion
	}
	return f.schema
}

func (f *fleet) setVersion(version int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.schema = version
}

// reads returns the newest version that every server reads.
func (f *fleet) reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := records.NewestVersion
	for _, s := range f.there {
		newest = min(newest, s.Reads)
	}
	return newest
}

// admitSelf finds out in which version records are written, and says so if nobody has. A
// program that cannot read it must not serve.
func (r *Registry) admitSelf(ctx context.Context) error {
	var schema int
	err := r.store.Update(ctx, func(tx store.Writer) (err error) {
		w := records.NewWriter(tx)
		if schema, err = w.Schema(); err != nil || schema != 0 {
			return err
		}
		schema = records.NewestVersion
		return w.PutSchema(schema)
	})
	if err != nil {
		return fmt.Errorf("find out in which version the data are written: %w", err)
	}
	if err := checkSchema(schema); err != nil {
		return err
	}
	r.fleet.setVersion(schema)
	return nil
}

func checkSchema(schema int) error {
	switch {
	case schema > records.NewestVersion:
		return fmt.Errorf("%w: version %d, this one reads up to %d", store.ErrNewerSchema, schema, records.NewestVersion)
	case schema < records.OldestVersion:
		return fmt.Errorf("%w: version %d, this one reads from %d on", store.ErrOlderSchema, schema, records.OldestVersion)
	}
	return nil
}

// follow keeps up with the other servers until ctx ends. What one watch tells is looked up by
// that watch alone, when something may have been missed: a look of another one could bring back
// what has changed since.
func (r *Registry) follow(ctx context.Context) {
	var watching sync.WaitGroup
	for prefix, look := range map[string]func(context.Context) error{
		records.Servers: r.lookForServers, records.Count: r.lookForCount, records.Schema: r.lookForSchema,
	} {
		watching.Go(func() {
			r.keepWatching(ctx, prefix, func(c store.Change) error {
				if c.IsZero() {
					return look(ctx)
				}
				return r.heard(c)
			})
		})
	}
	watching.Wait()
}

// heard takes in what one of the servers has said to all.
func (r *Registry) heard(c store.Change) error {
	if total, ok, err := records.ChangedCount(c); ok || err != nil {
		r.totals.counted(total)
		return err
	}
	if schema, ok, err := records.ChangedSchema(c); ok || err != nil {
		return errors.Join(err, r.learnSchema(schema))
	}
	id, server, err := records.ChangedServer(c)
	if err != nil || id == "" {
		return err
	}
	if !r.fleet.set(id, server) {
		return nil
	}
	r.log.Info("server changed", "server", id, "there", server != nil)
	if server == nil || id == r.fleet.self {
		r.attend()
	}
	return nil
}

func (r *Registry) lookForServers(ctx context.Context) error {
	var servers []records.Server
	err := r.view(ctx, func(tx records.Reader) (err error) {
		servers, err = tx.Servers()
		return err
	})
	if err != nil {
		return err
	}
	r.fleet.replace(servers)
	if !r.totals.known() { // or the leader would count what has been counted
		if err := r.lookForCount(ctx); err != nil {
			return err
		}
	}
	r.attend()
	return nil
}

func (r *Registry) lookForCount(ctx context.Context) error {
	var total records.Totals
	err := r.view(ctx, func(tx records.Reader) (err error) {
		total, err = tx.LastCount()
		return ignoreNotFound(err)
	})
	if err == nil {
		r.totals.counted(total)
	}
	return err
}

func (r *Registry) lookForSchema(ctx context.Context) error {
	var schema int
	err := r.view(ctx, func(tx records.Reader) (err error) {
		schema, err = tx.Schema()
		return err
	})
	if err != nil {
		return err
	}
	return r.learnSchema(schema)
}

// learnSchema writes in the version that is the servers' now. One that this program does
// not read ends it: what it would say from now on might be wrong.
func (r *Registry) learnSchema(schema int) error {
	if schema == 0 {
		return nil
	}
	if err := checkSchema(schema); err != nil {
		r.log.Error("this server cannot go on", "err", err)
		r.outdated(err)
		return err
	}
	r.fleet.setVersion(schema)
	return nil
}

// attend has the leader look after what a change among the servers leaves to do.
func (r *Registry) attend() {
	select {
	case r.attention <- struct{}{}:
	default: // it is due already
	}
}

// attendAll does, when it leads, what a server left behind that has gone, until ctx ends.
func (r *Registry) attendAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.attention:
		}
		if !r.fleet.leads() {
			continue
		}
		if err := errors.Join(r.takeStock(ctx), r.raiseSchema(ctx), r.countFirst(ctx)); err != nil && ctx.Err() == nil {
			r.log.Error("cannot take over from a server that has gone, will try again", "err", err)
			if r.pause(ctx, rewatchDelay) {
				r.attend()
			}
		}
	}
}

// raiseSchema has records written in the newest version that every server reads.
func (r *Registry) raiseSchema(ctx context.Context) error {
	newest := r.fleet.reads()
	if newest <= r.fleet.version() {
		return nil
	}
	err := r.update(ctx, func(tx records.Writer) error {
		schema, err := tx.Schema()
		if err != nil || schema >= newest {
			return err
		}
		return tx.PutSchema(newest)
	})
	if err == nil {
		r.log.Info("records are written in a newer version from now on", "version", newest)
	}
	return err
}

// countFirst counts if nobody has.
func (r *Registry) countFirst(ctx context.Context) error {
	if r.totals.known() {
		return nil
	}
	return r.countAll(ctx)
}

// countAll counts what there is for all servers, if this one leads.
func (r *Registry) countAll(ctx context.Context) error {
	if r.fleet.alone() || !r.fleet.leads() {
		return nil
	}
	var found records.Totals
	for first := range 256 {
		var part records.Totals
		err := r.view(ctx, func(tx records.Reader) (err error) {
			part, err = tx.CountPart(ctx, byte(first))
			return err
		})
		if err != nil {
			return err
		}
		found = found.Plus(part)
	}
	return r.update(ctx, func(tx records.Writer) error { return tx.PutCount(found) })
}

// Failure returns a channel on which there is an error once this server can no longer
// serve, because those it shares the store with have gone on to a newer version.
func (r *Registry) Failure() <-chan error { return r.failure }

func (r *Registry) outdated(err error) {
	select {
	case r.failure <- err:
	default: // it has been said
	}
}

// adopt looks whether the session's node has a seat with a lease in a cluster that another
// server keeps, and keeps it from now on: the member speaks to this one now.
func (r *Registry) adopt(ctx context.Context, s *Session, id xlreg.ClusterID) error {
	var c records.Cluster
	var seat *records.Seat
	var order uint64
	err := r.update(ctx, func(tx records.Writer) error {
		defer func() { order = r.leases.next() }()
		seat = nil
		found, err := tx.Cluster(id)
		if err != nil || !found.Deleted.IsZero() {
			return ignoreNotFound(err)
		}
		seats, _, err := tx.SeatsOfKey(&found, s.sum)
		if err != nil || len(seats) == 0 || !ends(&found, &seats[0]) {
			return err
		}
		c, seat = found, &seats[0]
		if seat.Keeper == r.fleet.self {
			return nil
		}
		return tx.PutKeeper(&c, seat, r.fleet.self)
	})
	if err == nil && seat != nil {
		r.leases.keep(s, &c, seat, order)
	}
	return err
}

// ends reports whether a seat ends without a sign of life.
func ends(c *records.Cluster, s *records.Seat) bool {
	return s.Token.Seat.Lease > 0 || s.Fresh && s.Epoch > c.Completed
}
