package server_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/guard"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// New limits count for new connections, and for what those who are there ask for from now on.
func TestOtherLimits(t *testing.T) {
	w := newWorld(t, memory.New(), guard.Limits{ConnectionsLoopback: 1, ClustersPerMinute: 1, LoopbackPerMinute: 1000, Hello: time.Minute})
	first := w.tcp()
	await(t, func() bool { return w.server.Stats().Open == 1 })
	w.tcp()
	await(t, func() bool { return w.server.Stats().Refused == 1 })
	w.server.SetLimits(guard.Limits{ConnectionsLoopback: 2, Hello: 10 * time.Millisecond})
	third := w.tcp()
	if err := third.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // by the new hello timeout
		t.Errorf("a connection that says nothing: %v", err)
	}
	if err := first.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := first.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the connection that was there has other timeouts now: %v", err)
	}
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	end, looks := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for !holds() {
		select {
		case <-looks.C:
		case <-end:
			t.Fatal("not within a minute")
		}
	}
}
