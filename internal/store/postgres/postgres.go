// Package postgres keeps the keys of several servers in one PostgreSQL database: a
// mirror.Database on one table. Each transaction is one round trip. Those that change
// something take turns under an advisory lock and raise a counter in the same
// transaction, so the order of versions is the order of commits; a listener is told
// the counter, and asks for what has a higher version than it has seen.
//
// What was removed stays in the table for a while as a row without a value, so that
// those who ask learn of it.
package postgres

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

// Options are what may be chosen about a database. The zero value will do.
type Options struct {
	User         string // instead of the one in the URL
	PasswordFile string // read at each connect; without it PGPASSFILE and ~/.pgpass count
	CA           string // file with the certificates that the server's are signed with; without it the system's count
	Cert, Key    string // files with the certificate of this client and its key

	Timeout     time.Duration // of one transaction; 0 is 3 seconds
	MaxConns    int           // open at once; 0 is 6, and 3 are the least
	AnnounceTTL time.Duration // 0 is mirror.AnnounceTTL
	CacheBytes  int           // see mirror.Options

	// Logger is told of settings of the database that put what is in it at risk, and of
	// announcements that do not get through; nobody is if it is nil.
	Logger *slog.Logger
}

const (
	defaultTimeout  = 3 * time.Second
	defaultMaxConns = 6
	minConns        = 3 // one to follow, one to change, one to tidy up

	// connectionLife is how long a connection is used, so that a change of the servers
	// behind a name, or of a password, is noticed before it matters.
	connectionLife = 30 * time.Minute
	// closeGrace is how long Close waits for the database to say good-bye.
	closeGrace = 2 * time.Second
)

// limits is what one transaction may hold. PostgreSQL itself has no bound that is near,
// but what is compared is also what is answered.
func limits() mirror.Limits { return mirror.Limits{Compares: 20 * store.MaxReads} }

// DB is a mirror.Database on PostgreSQL.
type DB struct {
	pool    *pgxpool.Pool
	sql     statements
	timeout time.Duration
	ttl     time.Duration // of announcements
	log     *slog.Logger
	network *network
	calls   *calls
	close   func() error
}

var _ mirror.Database = (*DB)(nil)

// Open opens the store that a URL names; see Connect.
func Open(ctx context.Context, url string, o Options) (*mirror.Store, error) {
	db, err := Connect(ctx, url, o)
	if err != nil {
		return nil, err
	}
	return mirror.Open(db, mirror.Options{
		Limits: limits(), Timeout: o.Timeout, CacheBytes: o.CacheBytes, Logger: o.Logger,
	}), nil
}

// Connect connects to the database that url names, as in
//
//	postgres://user@host1:5432,host2:5432/database?schema=xlreg&sslmode=verify-full
//
// and makes the schema and its tables if they are not there. Of several hosts the one
// counts that can be written to. The schema is "xlreg" unless the URL names another;
// each schema is a space of keys of its own. sslmode is verify-full unless all hosts are
// this machine. A URL with a password is refused. No error says more of a URL than its
// parts that are in order.
//
// It returns store.ErrNewerSchema if a later program made the tables.
func Connect(ctx context.Context, url string, o Options) (*DB, error) {
	a, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	o.complete()
	net := newNetwork()
	config, err := a.config(o, net)
	if err != nil {
		return nil, err
	}
	d := &DB{
		sql:     newStatements(a.schema, o.AnnounceTTL),
		timeout: o.Timeout,
		ttl:     o.AnnounceTTL,
		log:     o.Logger,
		network: net,
		calls:   newCalls(),
	}
	config.AfterConnect = d.sql.prepare
	if err := d.prepareTables(ctx, config); err != nil {
		net.cut()
		return nil, explain("connect", err)
	}
	// The pool outlives ctx, and ends with Close.
	d.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		net.cut()
		return nil, explain("connect", err)
	}
	d.close = sync.OnceValue(d.shutdown)
	return d, nil
}

func (o *Options) complete() {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultMaxConns
	}
	o.MaxConns = max(o.MaxConns, minConns)
	if o.AnnounceTTL <= 0 {
		o.AnnounceTTL = mirror.AnnounceTTL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Close implements mirror.Database. It waits a little for the database, and then for
// nobody.
func (d *DB) Close() error { return d.close() }

func (d *DB) shutdown() error {
	d.calls.end()
	closed := make(chan struct{})
	go func() { // awaited below
		defer close(closed)
		d.calls.wait()
		d.pool.Close()
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-closed:
	case <-grace.C:
	}
	d.network.cut() // from here on nothing is waited for
	<-closed
	return nil
}

// with lends f a connection, and drops it if f leaves it broken: and with it all idle
// ones, which lead to the same server as a rule.
func (d *DB) with(ctx context.Context, f func(*pgxpool.Conn) error) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	err = f(conn)
	broken := conn.Conn().IsClosed()
	conn.Release()
	if broken && !errors.Is(err, context.Canceled) {
		d.pool.Reset()
	}
	return err
}

// calls are those under way, so that Close can end them.
type calls struct {
	under sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	last    int
	cancels map[int]context.CancelFunc
}

func newCalls() *calls { return &calls{cancels: make(map[int]context.CancelFunc)} }

// begin returns a context that Close ends too, and what is to be called at the end.
func (c *calls) begin(ctx context.Context) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, store.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	c.last++
	n := c.last
	c.cancels[n] = cancel
	c.under.Add(1)
	return ctx, func() { c.finish(n) }, nil
}

func (c *calls) finish(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancels[n]()
	delete(c.cancels, n)
	c.under.Done()
}

// end ends all calls, and lets no more begin.
func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cancel := range c.cancels {
		cancel()
	}
}

func (c *calls) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *calls) wait() { c.under.Wait() }
