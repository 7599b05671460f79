package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// Fleet is several server processes that share a store, and so are one registry. Its
// clients connect to any of them.
type Fleet struct {
	*Registry
	Servers []*Process
}

// FleetCounts is what the servers of a Fleet have done so far, together but for the
// sessions.
type FleetCounts struct {
	Writes    int64   // transactions with changes that the store was asked for
	Conflicts int64   // those of them that somebody else was faster than
	Looks     int64   // comparisons without changes
	Waiting   int64   // clients that wait now
	Sessions  []int64 // begun at each of the servers
}

// StartFleet starts n servers with the same keys on the store that a URL names. Each has
// a directory of its own in dir.
func StartFleet(c Command, set *keys.Set, url, dir string, n int) (*Fleet, error) {
	f := new(Fleet)
	for i := range n {
		p, err := Start(c, set, url, filepath.Join(dir, fmt.Sprintf("server%d", i)))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.Servers = append(f.Servers, p)
	}
	cred := *f.Servers[0].Target.Cred
	cred.Endpoints = nil
	for _, p := range f.Servers {
		cred.Endpoints = append(cred.Endpoints, p.Target.Endpoints...)
	}
	target, err := regcred.NewTarget(&cred)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.Registry = &Registry{Target: target, Spread: true}
	return f, nil
}

// Close ends all servers. It may be called again.
func (f *Fleet) Close() error {
	errs := make([]error, len(f.Servers))
	for i, p := range f.Servers {
		errs[i] = p.Close()
	}
	return errors.Join(errs...)
}

// Counts asks all servers what they have done.
func (f *Fleet) Counts() (c FleetCounts, err error) {
	c.Sessions = make([]int64, len(f.Servers))
	for i, p := range f.Servers {
		for _, q := range []struct {
			question string
			sum      *int64
		}{
			{askWrites, &c.Writes}, {askConflicts, &c.Conflicts}, {askLooks, &c.Looks}, {askParked, &c.Waiting}, {askSessions, &c.Sessions[i]},
		} {
			n, err := p.ask(q.question)
			switch {
			case err == nil:
				*q.sum += n
			case !errors.Is(err, errors.ErrUnsupported): // it has no database
				return c, err
			}
		}
	}
	return c, nil
}

// Since returns what has been done since the earlier counts. Who waits is as it is now.
func (c FleetCounts) Since(earlier FleetCounts) FleetCounts {
	c.Writes -= earlier.Writes
	c.Conflicts -= earlier.Conflicts
	c.Looks -= earlier.Looks
	sessions := make([]int64, len(c.Sessions))
	for i := range sessions {
		sessions[i] = c.Sessions[i] - earlier.Sessions[i]
	}
	c.Sessions = sessions
	return c
}

// waitingPause is how long it takes until the servers are asked again who waits.
const waitingPause = 5 * time.Millisecond

// awaitWaiting returns when so many clients wait at the servers.
func (f *Fleet) awaitWaiting(ctx context.Context, n int) error {
	for {
		c, err := f.Counts()
		if err != nil || c.Waiting >= int64(n) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitingPause):
		}
	}
}

// Wake lets readers wait for what is new in a cluster, over connections that are spread
// over all servers, and then has one node join it. Before that it calls ready, when
// everybody waits, and after everybody has been told it returns how long that took.
func (f *Fleet) Wake(ctx context.Context, node *identity.Node, cluster xlreg.Name, readers int, ready func() error) (time.Duration, error) {
	const p = xlreg.Protocol20
	if err := f.Create(ctx, p, node, cluster, 2); err != nil {
		return 0, err
	}
	l := &Load{Registry: f.Registry, Protocol: p, Nodes: []*identity.Node{node}}
	conns, err := l.readers(ctx, readers)
	defer closeAll(conns)
	if err != nil {
		return 0, err
	}
	joining, err := l.connectAll(ctx, 1)
	defer closeAll(joining)
	if err != nil {
		return 0, err
	}
	ref := xlreg.ClusterRef{Name: cluster}
	var begun time.Time
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return each(ctx, readers, 0, func(ctx context.Context, i int) error {
			return watch(ctx, conns[i], ref, 1, func(bool, int) {})
		})
	})
	group.Go(func() error {
		if err := f.awaitWaiting(ctx, readers); err != nil {
			return err
		}
		if err := ready(); err != nil {
			return err
		}
		begun = time.Now()
		_, err := ask(ctx, joining[0], wire.NewJoin(wire.JoinRequest{Ref: ref}))
		return err
	})
	err = group.Wait()
	return time.Since(begun), err
}
