package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// How many answers in a row may come from a revision before one that was told: a
// member may be behind for a moment. More of them, and etcd has been put back to an
// earlier state.
const maxBehind = 3

var errPutBack = errors.New("etcd is at an earlier revision than it was")

// Follow implements mirror.Database. After a failure the next one tries another member.
func (db *Database) Follow(ctx context.Context, f func(mirror.News)) error {
	at := db.members.now()
	err := db.follow(ctx, f)
	db.members.leave(at)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was to end
	}
	return err
}

func (db *Database) follow(ctx context.Context, f func(mirror.News)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	revision, err := db.revision(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("watch etcd: %w", err)
	}
	w := &watch{db: db, revision: revision, f: f, answers: make(chan *etcdserverpb.WatchResponse), failed: make(chan error, 1)}
	received := make(chan struct{})
	defer func() {
		cancel()
		<-received
	}()
	if w.stream, err = etcdserverpb.NewWatchClient(db.client.ActiveConnection()).Watch(ctx); err != nil {
		close(received)
		return fmt.Errorf("watch etcd: %w", err)
	}
	go func() { // the deferred function waits for it
		defer close(received)
		w.receive(ctx)
	}()
	if err := w.run(ctx); err != nil {
		return fmt.Errorf("watch etcd: %w", err)
	}
	return nil
}

// revision returns the present one.
func (db *Database) revision(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	resp, err := db.client.Get(ctx, db.prefix, clientv3.WithCountOnly())
	if err != nil {
		return 0, readFailure(err)
	}
	return resp.Header.GetRevision(), nil
}

// watch is one stream of etcd's. It is not the watch of etcd's client, which connects
// again by itself: then nobody knows whether something was missed.
type watch struct {
	db       *Database
	stream   etcdserverpb.Watch_WatchClient
	revision int64 // that was told last
	behind   int   // answers in a row that came from an earlier one
	f        func(mirror.News)

	answers chan *etcdserverpb.WatchResponse
	failed  chan error // holds one
}

func (w *watch) receive(ctx context.Context) {
	for {
		answer, err := w.stream.Recv()
		if err != nil {
			w.failed <- readFailure(err)
			return
		}
		select {
		case w.answers <- answer:
		case <-ctx.Done():
			return
		}
	}
}

// run asks for a sign of life once in a while, and tells what comes.
func (w *watch) run(ctx context.Context) error {
	prefix := w.db.prefix
	err := w.stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{
		CreateRequest: &etcdserverpb.WatchCreateRequest{
			Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix)), StartRevision: w.revision + 1,
		},
	}})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(mirror.Heartbeat / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.failed:
			return err
		case answer := <-w.answers:
			err = w.tell(answer)
		case <-ticker.C:
			err = w.stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_ProgressRequest{
				ProgressRequest: &etcdserverpb.WatchProgressRequest{},
			}})
		}
		if err != nil {
			return err
		}
	}
}

// tell hands on an answer. The revision of one without events is not told: some versions
// of etcd say that a watch has come so far while events are still on their way.
func (w *watch) tell(answer *etcdserverpb.WatchResponse) error {
	if answer.GetCanceled() {
		return fmt.Errorf("ended by etcd: %s (compacted up to revision %d)", answer.GetCancelReason(), answer.GetCompactRevision())
	}
	events := answer.GetEvents()
	if len(events) == 0 {
		return w.live(answer.GetHeader().GetRevision())
	}
	n := mirror.News{Events: make([]mirror.Event, len(events))}
	for i, e := range events {
		n.Events[i] = w.db.event(e)
	}
	w.revision = n.Events[len(events)-1].Version
	w.behind = 0
	n.Revision = w.revision
	w.f(n)
	return nil
}

// live hands on a sign of life.
func (w *watch) live(revision int64) error {
	if w.behind++; revision >= w.revision {
		w.behind = 0
	}
	if w.behind > maxBehind {
		return errPutBack
	}
	w.f(mirror.News{Revision: w.revision})
	return nil
}

func (db *Database) event(e *mvccpb.Event) mirror.Event {
	r := db.record(e.GetKv())
	if e.GetType() == mvccpb.Event_DELETE {
		r.Value = nil
	}
	created := e.GetKv().GetCreateRevision() == e.GetKv().GetModRevision()
	return mirror.Event{Record: r, Created: created && r.Value != nil}
}

// How often an announcement is renewed, and tried again after a failure.
const (
	renewal = mirror.AnnounceTTL / 3
	again   = time.Second
)

// Announce implements mirror.Database, with a lease.
func (db *Database) Announce(ctx context.Context, key string, value []byte) error {
	for {
		lease, err := db.announce(ctx, key, value)
		if err == nil {
			err = db.renew(ctx, lease)
		}
		if ctx.Err() != nil {
			return db.withdraw(lease)
		}
		if isRefusal(err) && !isGone(err) {
			return fmt.Errorf("announce this server: %w", err)
		}
		pause(ctx, again)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (db *Database) announce(ctx context.Context, key string, value []byte) (clientv3.LeaseID, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	lease, err := db.client.Grant(ctx, int64(mirror.AnnounceTTL/time.Second))
	if err != nil {
		return clientv3.NoLease, err
	}
	_, err = db.client.Put(ctx, db.prefix+key, string(value), clientv3.WithLease(lease.ID))
	return lease.ID, err
}

// renew keeps a lease alive until ctx ends or the lease has.
func (db *Database) renew(ctx context.Context, lease clientv3.LeaseID) error {
	for next := renewal; ; {
		if pause(ctx, next); ctx.Err() != nil {
			return ctx.Err()
		}
		err := db.renewOnce(ctx, lease)
		if isGone(err) {
			return err
		}
		if next = renewal; err != nil {
			next = again
			_ = db.ping(ctx) // so that a token that has run out is replaced
		}
	}
}

func (db *Database) renewOnce(ctx context.Context, lease clientv3.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	_, err := db.client.KeepAliveOnce(ctx, lease)
	return err
}

// withdraw ends a lease, and its key with it. If etcd cannot be reached the key goes
// when its time is over.
func (db *Database) withdraw(lease clientv3.LeaseID) error {
	if lease == clientv3.NoLease {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), db.timeout)
	defer cancel()
	if _, err := db.client.Revoke(ctx, lease); err != nil && !isGone(err) {
		return fmt.Errorf("withdraw the announcement of this server: %w", store.ErrUnknown)
	}
	return nil
}
