package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// loops are the accept loops that are running.
type loops struct {
	mu  sync.Mutex
	all map[*acceptLoop]struct{} // guarded by mu
}

// acceptLoop is one of them.
type acceptLoop struct {
	net.Listener
	turned chan struct{} // has one when Accept has returned since somebody looked
	look   sync.Mutex    // held by whoever looks
}

// add notes that a listener is served, until gone is called.
func (a *loops) add(l net.Listener) (loop *acceptLoop, gone func()) {
	loop = &acceptLoop{Listener: l, turned: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[*acceptLoop]struct{})
	}
	a.all[loop] = struct{}{}
	return loop, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.all, loop)
	}
}

// running returns the loops there are.
func (a *loops) running() []*acceptLoop {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*acceptLoop
	for loop := range a.all {
		all = append(all, loop)
	}
	return all
}

func (a *loops) runs(loop *acceptLoop) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.all[loop]
	return ok
}

// deadliner is a listener whose Accept can be made to return.
type deadliner interface{ SetDeadline(t time.Time) error }

// accept is Accept, but for those times when it was only made to return.
func (l *acceptLoop) accept() (net.Conn, error) {
	for {
		nc, err := l.Accept()
		d, ok := l.Listener.(deadliner)
		if !ok || !errors.Is(err, os.ErrDeadlineExceeded) {
			l.hasTurned()
			return nc, err
		}
		// First this, so that it cannot undo what the next one who looks has done.
		err = d.SetDeadline(time.Time{})
		l.hasTurned()
		if err != nil {
			return nil, err
		}
	}
}

func (l *acceptLoop) hasTurned() {
	select {
	case l.turned <- struct{}{}:
	default:
	}
}

// nudge makes Accept return, and waits until it has. To open a connection would not tell
// as much: in a flood that takes every place, none comes through to a server that is well.
func (l *acceptLoop) nudge(ctx context.Context) error {
	d, ok := l.Listener.(deadliner)
	if !ok {
		return nil
	}
	l.look.Lock()
	defer l.look.Unlock()
	select {
	case <-l.turned:
	default:
	}
	err := d.SetDeadline(time.Unix(1, 0))
	if errors.Is(err, net.ErrClosed) {
		return nil // by whoever ends the loop
	}
	if err != nil {
		return err
	}
	select {
	case <-l.turned:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Alive returns an error if one of the listeners that are served is not accepted from any
// more, which it finds out within ctx.
func (s *Server) Alive(ctx context.Context) error {
	for _, loop := range s.loops.running() {
		if err := loop.nudge(ctx); err != nil && s.loops.runs(loop) { // one that has ended is missed by nobody
			return fmt.Errorf("accept connections on %v: %w", loop.Addr(), err)
		}
	}
	return nil
}
