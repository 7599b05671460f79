package host

import (
	"context"
	"errors"
	"sync"
)

// anyPort is a free port that only this machine reaches.
const anyPort = "127.0.0.1:0"

// Running is a registry that serves until it is closed.
type Running struct {
	*Host
	close func() error // does it once
}

// Start opens a registry and serves until Close, without a context of its own. With
// no address in cfg.Listen it is on loopback, on a free port. The store is closed with
// the registry, and right away if there is an error; the node stays the caller's.
func Start(cfg Config) (*Running, error) {
	if len(cfg.Listen) == 0 {
		cfg.Listen = []string{anyPort}
	}
	h, err := Open(cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Store.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	var served error
	serving.Go(func() { served = h.Serve(ctx) })
	return &Running{Host: h, close: sync.OnceValue(func() error {
		stop()
		serving.Wait()
		return errors.Join(served, h.Close(), cfg.Store.Close())
	})}, nil
}

// Close answers the last requests, ends the registry and closes its store. It may be
// called again.
func (r *Running) Close() error { return r.close() }
