package server_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/server"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// stuck is a listener whose Accept hangs, whatever is done to it.
type stuck struct {
	net.Listener
	free chan struct{}
}

func (s *stuck) Accept() (net.Conn, error) { <-s.free; return nil, net.ErrClosed }

func (s *stuck) SetDeadline(time.Time) error { return nil }

// A server is alive whose accept loops go round, with or without connections and while it
// is full; one of them that hangs is found out, and none that has ended is missed.
func TestAlive(t *testing.T) {
	w := newWorld(t, memory.New(), guard.Limits{ConnectionsLoopback: 1})
	for range 3 {
		if err := w.server.Alive(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.tcp()
	}
	w.stop()
	<-w.served
	w.served <- nil
	if err := w.server.Alive(t.Context()); err != nil {
		t.Errorf("after the end: %v", err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stuck{Listener: l, free: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = w.server.Serve(ctx, s) })
	short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	awaitStuck(short, t, w.server)
	stop()
	close(s.free)
	serving.Wait()
}

// Several may look at the same time, and over and over.
func TestAliveTogether(t *testing.T) {
	w := newWorld(t, memory.New(), guard.Limits{})
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for range 500 {
				if err := w.server.Alive(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	looking.Wait()
}

// awaitStuck waits until the listener is served, and so until it is found out.
func awaitStuck(ctx context.Context, t *testing.T, s *server.Server) {
	t.Helper()
	end, looks := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for {
		if err := s.Alive(ctx); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			return
		}
		select {
		case <-looks.C:
		case <-end:
			t.Fatal("an accept loop that hangs was not found out")
		}
	}
}
