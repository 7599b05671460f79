package server_test

import (
	"errors"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/session"
	"github.com/xlattice/xlreg/internal/wire"
)

func TestLimitOfConnections(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{ConnectionsLoopback: 1})
	first := w.connect(xlreg.Protocol20, nil)
	first.ask(wire.NewRegCredRequest())

	second := w.connect(xlreg.Protocol20, testKeys()[1])
	second.send(wire.NewMember(second.token("a")))
	err := second.receive().Err()
	if !errors.Is(err, xlreg.ErrTooManyRequests) || xlreg.RetryAfter(err) <= 0 {
		t.Errorf("a connection over the limit is told %v, retry %v", err, xlreg.RetryAfter(err))
	}
	first.ask(wire.NewRegCredRequest())
	first.conn.Close()
	until(func() bool { return w.server.Stats().Open == 0 })
	w.connect(xlreg.Protocol20, nil).ask(wire.NewRegCredRequest())
	if got := w.server.Stats().Refused; got != 1 {
		t.Errorf("%d refused, want 1", got)
	}
}

// A classic peer has no reply that would say it.
func TestLimitOfConnectionsClassic(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{ConnectionsLoopback: 1})
	w.connect(xlreg.Protocol20, nil).ask(wire.NewRegCredRequest())
	cfg := session.ClientConfig{Protocol: xlreg.Protocol19, CommsKey: testKeys()[0].CommsKey}
	if _, err := session.Connect(t.Context(), w.tcp(), cfg); !errors.Is(err, session.ErrHandshake) {
		t.Errorf("a classic connection over the limit: %v", err)
	}
}

// Those that are told why are bounded themselves: past the bound connections are
// closed at once, whatever becomes of the others.
func TestRefusalsAreBounded(t *testing.T) {
	w := newWorld(t, nil, guard.Limits{ConnectionsLoopback: 1})
	w.connect(xlreg.Protocol20, nil).ask(wire.NewRegCredRequest())
	const flood = 40
	ended := make(chan struct{}, flood)
	for range flood {
		nc := w.tcp()
		go func() {
			_, _ = nc.Read(make([]byte, 1))
			ended <- struct{}{}
		}()
	}
	const told = 16 // of one source, of 64; they wait for a handshake that never comes
	for range flood - told {
		<-ended
	}
	if open := w.server.Stats().Open; open != 1 {
		t.Errorf("%d connections open, want 1", open)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("a refused connection that says nothing stays open")
	}
}
