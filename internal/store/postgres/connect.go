package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	errNetworkCut = errors.New("the database is being closed")
	errNoCancel   = errors.New("statements under way are not cancelled")
	errReadOnly   = errors.New("the database is read-only")
)

// config is what the pool is made with.
func (a *address) config(o Options, n *network) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(a.connString(o))
	if err != nil {
		return nil, explain("set up", err)
	}
	config.MaxConns = int32(o.MaxConns)
	config.MaxConnLifetime = connectionLife
	config.PingTimeout = o.Timeout
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return prepareConnect(c, o, n) }

	// Each host has its share of the time that the first transaction will wait.
	config.ConnConfig.ConnectTimeout = o.Timeout / time.Duration(len(a.hosts))
	for name, value := range settings(o.Timeout) {
		config.ConnConfig.RuntimeParams[name] = value
	}
	return config, nil
}

// settings are those of each session. The server gives up waiting for the lock before
// this side does, so that as a rule it is known that nothing was changed; large answers
// may take longer, which a caller has to ask for. A client that has stopped
// reading may hold the lock, for as long as TCP lets it. The tables are read by their
// indexes whatever the planner thinks of their size, since its plans outlive it.
func settings(timeout time.Duration) map[string]string {
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }
	return map[string]string{
		"application_name":                    "xlreg",
		"default_transaction_isolation":       "read committed",
		"lock_timeout":                        milliseconds(timeout / 2),
		"statement_timeout":                   milliseconds(timeout * 2),
		"idle_in_transaction_session_timeout": milliseconds(timeout),
		"tcp_user_timeout":                    milliseconds(timeout),
		"enable_seqscan":                      "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"jit":                                 "off",
	}
}

// prepareConnect gives a connection that is about to be made its password, and sees
// that it asks nobody to cancel what it has sent. A commit that waits for a standby
// would be visible from then on, and lost with the primary.
func prepareConnect(c *pgx.ConnConfig, o Options, n *network) error {
	if o.PasswordFile != "" {
		password, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		c.Password = strings.TrimRight(string(password), "\r\n")
	}
	var connected atomic.Bool
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errNoCancel
		}
		return n.dial(ctx, network, address)
	}
	c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := validate(ctx, conn); err != nil {
			return err
		}
		connected.Store(true)
		return nil
	}
	return nil
}

// sessionSQL says whether a server can be written to, and sees that its commits are on
// disk when it says so: also those of this session's that are set up otherwise.
const sessionSQL = `SELECT current_setting('transaction_read_only'), set_config('synchronous_commit',
	CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
	ELSE current_setting('synchronous_commit') END, false)`

// validate refuses servers that cannot be written to; then the next host is tried.
func validate(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, sessionSQL).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != "off" {
		return errReadOnly
	}
	return nil
}

// network is the connections that are open, so that they can be cut.
type network struct {
	mu   sync.Mutex
	open map[*trackedConn]struct{} // nil once cut
}

// trackedConn is a connection that is known to a network.
type trackedConn struct {
	net.Conn
	network *network
}

func newNetwork() *network { return &network{open: make(map[*trackedConn]struct{})} }

func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{conn, n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		_ = conn.Close() // it has carried nothing
		return nil, errNetworkCut
	}
	n.open[tracked] = struct{}{}
	return tracked, nil
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.network.mu.Lock()
	delete(c.network.open, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// cut closes all connections, and lets no more be made.
func (n *network) cut() {
	n.mu.Lock()
	open := n.open
	n.open = nil
	n.mu.Unlock()
	for conn := range open {
		_ = conn.Conn.Close() // whoever used it gets an error
	}
}
