// Package etcd is the driver for etcd, from 3.4 on: one registry on any number of
// servers. A key is one of etcd's below a prefix, its version the revision that etcd
// modified it at, and a transaction one of etcd's. All reads are linearizable.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/xlattice/xlreg/internal/store/mirror"
)

// What Options leave open.
const (
	defaultTimeout = 3 * time.Second
	defaultPrefix  = "xlreg"
)

// How soon a connection that says nothing is given up. gRPC pings no more often.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 3 * time.Second
)

// limits are what etcd takes without being told otherwise (--max-txn-ops and
// --max-request-bytes), with some room for what a request has beside keys and values.
var limits = mirror.Limits{Compares: 128, Changes: 128, Bytes: 3<<19 - 1<<16}

// Options are how to reach etcd. What a URL names comes from the URL.
type Options struct {
	Endpoints []string // host:port of some members, at least one
	Prefix    string   // what all keys lie below; empty is "xlreg"

	CA        string // file with the certificates that etcd's are signed with; turns TLS on
	Cert, Key string // files with the certificate of this client and its key; turn TLS on

	User         string
	PasswordFile string // which has the password of User in its first line

	Timeout    time.Duration // of one transaction; 0 is 3 seconds
	CacheBytes int           // see mirror.Options
	Logger     *slog.Logger  // nil discards
}

// Open opens the store that a URL names, such as etcd://h1:2379,h2:2379/prod, or, if
// it is empty, the one that the Options do. It fails if no member can be reached.
func Open(ctx context.Context, url string, o Options) (*mirror.Store, error) {
	if url != "" {
		var err error
		if o.Endpoints, o.Prefix, err = Parse(url); err != nil {
			return nil, err
		}
	}
	db, err := Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return mirror.Open(db, mirror.Options{
		Limits: limits, Timeout: o.Timeout, CacheBytes: o.CacheBytes, Logger: o.Logger,
	}), nil
}

// Database is the mirror.Database of one server.
type Database struct {
	client  *clientv3.Client
	prefix  string // with the slash at its end
	timeout time.Duration
	members *members

	stop    context.CancelFunc
	running sync.WaitGroup
	close   func() error
}

var _ mirror.Database = (*Database)(nil)

// Connect returns the Database that the Options name.
func Connect(ctx context.Context, o Options) (*Database, error) {
	if len(o.Endpoints) == 0 {
		return nil, errors.New("etcd: no endpoints")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	cfg, err := o.config()
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	db, err := connect(ctx, &o, cfg)
	if err != nil {
		return nil, fmt.Errorf("etcd at %s: %w", strings.Join(o.Endpoints, ", "), err)
	}
	return db, nil
}

func connect(ctx context.Context, o *Options, cfg clientv3.Config) (*Database, error) {
	m := newMembers(o.Endpoints)
	cfg.Endpoints = m.first()
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, err
	}
	m.use = client.SetEndpoints
	db := &Database{client: client, prefix: o.Prefix + "/", timeout: o.Timeout, members: m}
	db.close = sync.OnceValue(db.shutdown)
	running, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.running.Go(func() { m.watch(running, client) })
	if err := db.reach(ctx); err != nil {
		return nil, errors.Join(db.diagnose(ctx, cfg.TLS, err), db.Close())
	}
	return db, nil
}

// reach waits until a member answers, or says why none does.
func (db *Database) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*db.timeout)
	defer cancel()
	var last error
	for {
		err := db.ping(ctx)
		if !errors.Is(err, mirror.ErrUnreachable) {
			return err
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) { // which says least
			last = err
		}
		if pause(ctx, firstPatience); ctx.Err() != nil {
			return last
		}
	}
}

// ping reads in a transaction, because etcd's client tries a mere read again and again,
// and does not tell why in the end.
func (db *Database) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	at := db.members.now()
	_, err := db.client.Txn(ctx).Then(clientv3.OpGet(db.prefix, clientv3.WithCountOnly())).Commit()
	if err != nil {
		db.members.doubt(at, err)
		return readFailure(err)
	}
	return nil
}

// config is all but the endpoints.
func (o *Options) config() (clientv3.Config, error) {
	cfg := clientv3.Config{
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		Logger:               zap.NewNop(),
		DialOptions:          []grpc.DialOption{grpc.WithStatsHandler(sentHandler{})},
	}
	var err error
	if cfg.TLS, err = o.tls(); err != nil {
		return cfg, err
	}
	var l login
	if l.user, l.password, err = o.user(); err != nil {
		return cfg, err
	}
	cfg.DialOptions = append(cfg.DialOptions, l.options()...)
	return cfg, nil
}

// Close implements mirror.Database.
func (db *Database) Close() error { return db.close() }

func (db *Database) shutdown() error {
	db.stop()
	db.running.Wait()
	if err := db.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close etcd's client: %w", err)
	}
	return nil
}
