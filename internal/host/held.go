package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// held is a listening socket that the service manager goes on holding open when this
// process has closed it. The system then goes on taking connections, which wait for the
// next process; that is what such sockets are for. So while this process lives and cannot
// serve, it must turn them away, or clients would wait for nothing where another server
// could serve them.
type held struct{ *net.TCPListener }

// hold takes over sockets from the service manager.
func hold(given []net.Listener) ([]held, error) {
	var all []held
	for _, l := range given {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("listener on %v: want a TCP address", l.Addr())
		}
		if err := adopt(tcp); err != nil {
			return nil, fmt.Errorf("listener on %v: %w", l.Addr(), err)
		}
		all = append(all, held{tcp})
	}
	return all, nil
}

// again returns a listener on the same socket, to be served and closed.
func (h held) again() (net.Listener, error) {
	f, err := h.File()
	if err != nil {
		return nil, err
	}
	defer f.Close() // the listener has a descriptor of its own
	return net.FileListener(f)
}

// turnAway closes connections as soon as they come, until ctx ends: to a client that is as
// good as a closed port. It returns when nothing of it can touch the next turn any more.
func (h held) turnAway(ctx context.Context) {
	woken := make(chan struct{})
	defer func() { <-woken }()
	context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = h.SetDeadline(time.Unix(1, 0))
	})
	for ctx.Err() == nil {
		nc, err := h.AcceptTCP()
		if err == nil {
			_ = nc.SetLinger(0) // nothing is to be kept of it, on either side
			_ = nc.Close()
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			pause(ctx, relistenPause)
		}
	}
}

// door turns clients away at the sockets that others hold, as long as there is a reason.
// There may be several: the store is lost, and the server is drained.
type door struct {
	held []held

	mu      sync.Mutex
	reasons int    // guarded by mu
	open    func() // guarded by mu; ends the turning away
}

// turnAway closes connections until done is called, for every reason.
func (d *door) turnAway() (done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reasons++; d.reasons == 1 {
		d.open = d.begin()
	}
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.reasons--; d.reasons == 0 {
			d.open()
		}
	})
}

func (d *door) begin() (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	var turning sync.WaitGroup
	for _, h := range d.held {
		_ = h.SetDeadline(time.Time{})
		turning.Go(func() { h.turnAway(ctx) })
	}
	return func() {
		stop()
		turning.Wait()
	}
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	ctx, end := context.WithTimeout(ctx, d)
	defer end()
	<-ctx.Done()
}
