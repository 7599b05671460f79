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

// What a try of one endpoint may take, and how long it has the field to itself: half a second,
// or less where there are so many endpoints that the last of them would begin too late. A
// server that accepts connections and then says nothing costs no more than one that is gone.
const (
	tryTimeout     = 30 * time.Second       // for all of it
	connectTimeout = 5 * time.Second        // for TCP
	headStart      = 500 * time.Millisecond // until the next endpoint is tried beside it
	allBegun       = 3 * time.Second        // until all endpoints are under way
)

// try is one endpoint, and what came of it.
type try struct {
	place    int // in the order of the round
	endpoint xlreg.Endpoint
	conn     session.Conn
	err      error
}

// round tries each endpoint once, and takes the first that leads to the registry. They
// begin one after another, each when the one before it has failed or takes its time.
func (d *dialing) round(ctx context.Context) (*Client, error) {
	// The clock may have been set since the last round, and then there is a new one. If
	// it cannot be made now, the one that there is will do.
	_ = d.showCertificate()
	order := d.o.route.order(d.target.Endpoints)
	tries, end := d.race(ctx, order)
	defer end()
	var failed failures
	for range order {
		t := <-tries
		if t.err == nil {
			d.passed(order[:t.place])
			return d.client(t.endpoint, t.conn), nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", t.endpoint, t.err))
		d.o.Logger.Debug("registry not reached", "endpoint", string(t.endpoint), "err", t.err)
		d.warn(t.endpoint, t.err)
	}
	if ctx.Err() == nil {
		d.passed(order)
	}
	return nil, failed
}

// passed notes which endpoints had their try before one that succeeded, if any did.
func (d *dialing) passed(endpoints []xlreg.Endpoint) {
	for _, e := range endpoints {
		d.o.route.pass(e)
	}
}

// race begins the tries of a round. What it returns last ends those under way, waits for
// them, and closes what they opened.
func (d *dialing) race(ctx context.Context, order []xlreg.Endpoint) (tries chan try, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	tries = make(chan try, len(order))
	var running sync.WaitGroup
	turn := make(chan struct{})
	close(turn)
	for i, e := range order {
		mine, next := turn, make(chan struct{})
		running.Go(func() {
			t := try{place: i, endpoint: e}
			select {
			case <-mine:
				t.conn, t.err = d.try(ctx, e, sync.OnceFunc(func() { close(next) }))
			case <-ctx.Done():
				t.err = ctx.Err()
			}
			tries <- t
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
func (d *dialing) try(ctx context.Context, e xlreg.Endpoint, next func()) (session.Conn, error) {
	alone := time.AfterFunc(min(headStart, allBegun/time.Duration(len(d.target.Endpoints))), next)
	defer alone.Stop()
	conn, err := d.connect(ctx, e)
	if err != nil {
		next()
	}
	return conn, err
}

// connect opens a session at an endpoint.
func (d *dialing) connect(ctx context.Context, e xlreg.Endpoint) (session.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	nc, err := d.reachTCP(ctx, e)
	if err != nil {
		return nil, err
	}
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
