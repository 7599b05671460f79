package client

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/session"
)

// What a try of one endpoint may take, and how long it has the field to itself. Where the
// others are dead or silent, all sixteen that a registry may have are under way in time.
// A registry that is slow since it has much to do is not made slower by several tries.
const (
	tryTimeout     = 30 * time.Second        // for all of it
	connectTimeout = 5 * time.Second         // for TCP
	connectAlone   = 250 * time.Millisecond  // until TCP is there
	shakeAlone     = 1500 * time.Millisecond // and for the handshake after it
)

// try is one endpoint, and what came of it.
type try struct {
	endpoint xlreg.Endpoint
	conn     session.Conn
	err      error
}

// round tries each endpoint once, and takes the first that leads to the registry. They
// begin in their order, each when the one before it has failed or takes its time.
func (d *dialing) round(ctx context.Context) (*Client, error) {
	// The clock may have been set since the last round, and then there is a new one. If
	// it cannot be made now, the one that there is will do.
	_ = d.showCertificate()
	tries, end := d.race(ctx)
	defer end()
	var failed failures
	for range d.target.Endpoints {
		t := <-tries
		if t.err == nil {
			return d.client(t.conn), nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", t.endpoint, t.err))
		d.o.Logger.Debug("registry not reached", "endpoint", string(t.endpoint), "err", t.err)
		d.warn(t.endpoint, t.err)
	}
	return nil, failed
}

// race begins the tries of a round. What it returns last ends those under way, waits for
// them, and closes what they opened.
func (d *dialing) race(ctx context.Context) (tries chan try, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	tries = make(chan try, len(d.target.Endpoints))
	var running sync.WaitGroup
	turn := make(chan struct{})
	close(turn)
	for _, e := range d.target.Endpoints {
		mine, next := turn, make(chan struct{})
		running.Go(func() {
			select {
			case <-mine:
				tries <- d.try(ctx, e, sync.OnceFunc(func() { close(next) }))
			case <-ctx.Done():
				tries <- try{endpoint: e, err: ctx.Err()}
			}
		})
		turn = next
	}
	return tries, func() {
		cancel()
		running.Wait()
		close(tries)
		for t := range tries {
			if t.err == nil {
				t.conn.Close()
			}
		}
	}
}

// try tries an endpoint. It calls next when it is the turn of another one, which it is
// at the latest when this one has failed.
func (d *dialing) try(ctx context.Context, e xlreg.Endpoint, next func()) try {
	alone := time.AfterFunc(connectAlone, next)
	defer alone.Stop()
	conn, err := d.connect(ctx, e, func() { alone.Reset(shakeAlone) })
	if err != nil {
		next()
	}
	return try{e, conn, err}
}

// connect opens a session at an endpoint, and calls connected when TCP is there.
func (d *dialing) connect(ctx context.Context, e xlreg.Endpoint, connected func()) (session.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	nc, err := d.reachTCP(ctx, e)
	if err != nil {
		return nil, err
	}
	connected()
	return d.open(ctx, nc, func() (net.Conn, error) { return d.reachTCP(ctx, e) })
}

func (d *dialing) reachTCP(ctx context.Context, e xlreg.Endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := d.o.Dialer.DialContext(ctx, "tcp", string(e))
	if err == nil {
		keepAlive(nc, d.o.Limits.Silence)
	}
	return nc, err
}
