package session

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// TestCloseGracefully ends a session on which more was sent than was read: the
// last reply arrives, and then the close.
func TestCloseGracefully(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		server, client := pair(t, tcp, p)
		for range 20 {
			if err := client.Send(t.Context(), member("m0")); err != nil {
				t.Fatal(err)
			}
		}
		if err := server.Send(t.Context(), wire.NewAck()); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- CloseGracefully(t.Context(), server) }()
		if m, err := client.Receive(t.Context()); err != nil || m.Op() != wire.OpAck {
			t.Errorf("last reply: %v", err)
		}
		if _, err := client.Receive(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after it: %v", err)
		}
		client.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("close once more: %v", err)
		}
	})
}

// halfPipe is an end of a pipe whose writing direction seems to be closed alone.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// TestLingerEnds meets peers that do not close, and that go on sending.
func TestLingerEnds(t *testing.T) {
	commsKey()
	half := func(t testing.TB) (net.Conn, net.Conn) {
		s, c := pipe(t)
		return halfPipe{s}, c
	}
	each(t, func(t *testing.T, p xlreg.Protocol) {
		synctest.Test(t, func(t *testing.T) {
			server, _ := pair(t, half, p)
			if _, err := server.Receive(after(t, time.Millisecond)); err == nil {
				t.Fatal("a message from nowhere")
			}
			start := time.Now()
			if err := CloseGracefully(t.Context(), server); err != nil || time.Since(start) != lingerTime {
				t.Errorf("silent peer: %v after %v", err, time.Since(start))
			}

			server, _ = pair(t, half, p)
			start = time.Now()
			if err := CloseGracefully(after(t, time.Millisecond), server); err != nil || time.Since(start) != time.Millisecond {
				t.Errorf("context: %v after %v", err, time.Since(start))
			}
		})
	})
	synctest.Test(t, func(t *testing.T) {
		server, raw := half(t)
		l := newLink(server)
		written := make(chan int, 1)
		go func() { n, _ := raw.Write(make([]byte, 10*lingerBytes)); written <- n }()
		l.linger(t.Context(), func() {})
		l.Close()
		if n := <-written; n != lingerBytes {
			t.Errorf("%d bytes were read", n)
		}
	})
}
