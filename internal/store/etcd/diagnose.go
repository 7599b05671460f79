package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/xlattice/xlreg/internal/store/mirror"
)

// diagnosis is how long one member is looked at.
const diagnosis = time.Second

// diagnose says more about why etcd cannot be reached, if a connection to its members
// does: gRPC only says that there is none in time.
func (db *Database) diagnose(ctx context.Context, cfg *tls.Config, err error) error {
	if !errors.Is(err, mirror.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	var found error
	for _, end := range db.members.endpoints {
		found = errors.Join(found, visit(ctx, cfg, end))
	}
	if found == nil {
		return err
	}
	return fmt.Errorf("%w: %w", mirror.ErrUnreachable, found)
}

// visit connects to a member, and waits a moment for it to refuse the connection.
func visit(ctx context.Context, cfg *tls.Config, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, diagnosis)
	defer cancel()
	conn, err := dial(ctx, cfg, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(diagnosis / 4)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return nil
}

func dial(ctx context.Context, cfg *tls.Config, endpoint string) (net.Conn, error) {
	if cfg == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", endpoint)
	}
	return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", endpoint)
}
