package server

import (
	"context"
	"errors"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"
)

// drain is whether the server takes connections. One that is drained looks like one that
// has stopped, to clients and to load balancers: its ports are closed, and whoever waits
// is told to come back, which is at another server if there is one. What is open goes on.
type drain struct {
	mu        sync.Mutex
	on        bool               // guarded by mu, like what follows; this is what is wanted
	drained   bool               // it was on, and the ports are not open again
	serving   bool               // Serve is running
	accepting bool               // there are listeners
	gate      context.Context    //nolint:containedctx // ends when it is on, or nobody is served; replaced afterwards
	shut      context.CancelFunc // ends gate
	turned    chan struct{}      // closed when one of these has changed
}

func newDrain() drain {
	gate, shut := context.WithCancel(context.Background())
	shut()
	return drain{gate: gate, shut: shut, turned: make(chan struct{})}
}

// turn is called after a change. mu is held.
func (d *drain) turn() {
	close(d.turned)
	d.turned = make(chan struct{})
}

// set says whether connections are wanted.
func (d *drain) set(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = on
	if on {
		d.drained = true
		d.shut()
	}
	d.turn()
}

// serve notes that Serve has begun, or ended.
func (d *drain) serve(serving bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serving = serving
	d.turn()
}

// accept notes that listeners are accepted from, or not any more.
func (d *drain) accept(accepting bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepting = accepting
	d.drained = d.drained && !accepting || d.on
	d.turn()
}

// open waits until connections are wanted, and returns a context that ends with ctx, or
// when they are not any more; nil if ctx ends before.
func (d *drain) open(ctx context.Context) context.Context {
	for {
		d.mu.Lock()
		turned := d.turned
		if !d.on {
			d.gate, d.shut = context.WithCancel(ctx)
			defer d.mu.Unlock()
			return d.gate
		}
		d.mu.Unlock()
		select {
		case <-turned:
		case <-ctx.Done():
			return nil
		}
	}
}

// waits returns a context that ends when waits have to.
func (d *drain) waits() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate
}

// settled reports whether what is wanted is so, and returns a channel that is closed when
// that may have changed.
func (d *drain) settled() (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.serving || d.on != d.accepting, d.turned
}

// ErrNoDrain says that a server has no way to open its ports again.
var ErrNoDrain = errors.New("this server cannot open its ports again")

// Drain lets the server take no more connections, or take them again, and returns when it
// does. While Serve does not run, it is for the next time that it does.
func (s *Server) Drain(ctx context.Context, on bool) error {
	if s.reopen == nil {
		return ErrNoDrain
	}
	s.drain.set(on)
	for {
		done, turned := s.drain.settled()
		if done {
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Draining reports whether the server was told to take no connections, or has not opened
// its ports again since.
func (s *Server) Draining() bool {
	s.drain.mu.Lock()
	defer s.drain.mu.Unlock()
	return s.drain.drained
}

// acceptAll accepts connections from the listeners until ctx ends, or a listener fails;
// while the server is drained, from none.
func (s *Server) acceptAll(ctx context.Context, e ends, listeners []net.Listener) error {
	s.drain.serve(true)
	defer s.drain.serve(false)
	if s.Draining() {
		closeAll(listeners)
		listeners = nil
	}
	for {
		open := s.drain.open(ctx)
		if open == nil {
			return nil
		}
		if len(listeners) == 0 && s.reopen != nil {
			listeners = s.reopen(open)
		}
		err := s.acceptWhile(open, e, listeners)
		if err != nil || ctx.Err() != nil {
			return err
		}
		listeners = nil
	}
}

// acceptWhile accepts connections until open ends, or a listener fails.
func (s *Server) acceptWhile(open context.Context, e ends, listeners []net.Listener) error {
	defer closeAll(listeners)
	if open.Err() != nil {
		return nil
	}
	s.drain.accept(true)
	defer s.drain.accept(false)
	accepting, acceptCtx := errgroup.WithContext(open)
	for _, l := range listeners {
		closer := context.AfterFunc(acceptCtx, func() { _ = l.Close() })
		defer closer()
		accepting.Go(func() error { return s.accept(open, e, l) })
	}
	return accepting.Wait()
}

// closeAll closes listeners, of which some may be closed.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}
