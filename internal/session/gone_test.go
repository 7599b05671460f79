package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

func TestPeerGone(t *testing.T) {
	server, client := tcp(t)
	if peerGone(server) {
		t.Error("gone although it only says nothing")
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := server.Read(b); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := server.Read(b); err == nil { // so the close has arrived
		t.Fatal("more than one byte")
	}
	if !peerGone(server) {
		t.Error("not gone although it closed")
	}
}

// A Hello whose peer did not wait for its turn costs no decryption.
func TestHelloOfAPeerThatIsGone(t *testing.T) {
	nc, client := tcp(t)
	decrypted := false
	s, err := NewServer(ServerConfig{
		Protocols: []xlreg.Protocol{xlreg.Protocol19},
		Comms: &fakeKey{128, func([]byte) ([]byte, error) {
			decrypted = true
			return nil, errors.New("unreadable")
		}},
		Turn: func(context.Context, netip.Addr) (func(), error) {
			client.Close()
			for begun := time.Now(); !peerGone(nc) || time.Since(begun) <= shortWait; {
				runtime.Gosched()
			}
			return func() {}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(make([]byte, 128)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(t.Context(), nc); !errors.Is(err, ErrHandshake) {
		t.Errorf("Accept: %v", err)
	}
	if decrypted {
		t.Error("decrypted for nobody")
	}
}

// The turn of a TLS handshake ends when the registry has answered, whatever the
// peer does then.
func TestTurnOfTLS(t *testing.T) {
	nc, client := tcp(t)
	ended := make(chan struct{})
	sc := serverConfig(t)
	sc.Turn = func(context.Context, netip.Addr) (func(), error) {
		return func() { close(ended) }, nil // a second time panics
	}
	wasted := 0
	sc.Wasted = func(netip.Addr) { wasted++ }
	accepted := accept(t, sc, nc)
	connected := make(chan error, 1)
	go func() {
		_, err := Connect(t.Context(), &stuckAfterHello{Conn: client}, clientConfig(xlreg.Protocol20))
		connected <- err
	}()
	<-ended
	client.Close()
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) {
		t.Errorf("Accept: %v", r.err)
	}
	<-connected
	if wasted != 1 {
		t.Errorf("wasted %d times", wasted)
	}
}

// A turn is wasted on a Hello that decrypts to nothing, and not on one that ends
// in a session.
func TestWastedOnGarbage(t *testing.T) {
	for _, garbage := range []bool{false, true} {
		nc, client := tcp(t)
		sc := serverConfig(t)
		sc.Turn = func(context.Context, netip.Addr) (func(), error) { return func() {}, nil }
		wasted := false
		sc.Wasted = func(netip.Addr) { wasted = true }
		accepted := accept(t, sc, nc)
		if garbage {
			if _, err := client.Write(make([]byte, sc.Comms.CiphertextLen())); err != nil {
				t.Fatal(err)
			}
		} else if _, err := Connect(t.Context(), client, clientConfig(xlreg.Protocol19)); err != nil {
			t.Fatal(err)
		}
		<-accepted
		if wasted != garbage {
			t.Errorf("garbage %v, wasted %v", garbage, wasted)
		}
	}
}

// A handshake whose turn never comes ends with its context, before it is answered.
func TestTurnThatNeverComes(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			nc, client := tcp(t)
			sc := serverConfig(t)
			full := errors.New("nobody's turn")
			sc.Turn = func(context.Context, netip.Addr) (func(), error) { return nil, full }
			accepted := accept(t, sc, nc)
			if _, err := Connect(t.Context(), client, clientConfig(p)); !errors.Is(err, ErrHandshake) {
				t.Errorf("Connect: %v", err)
			}
			if r := <-accepted; !errors.Is(r.err, full) {
				t.Errorf("Accept: %v", r.err)
			}
		})
	}
}

// stuckAfterHello sends a ClientHello and nothing after it.
type stuckAfterHello struct {
	net.Conn
	said bool
}

func (c *stuckAfterHello) Write(b []byte) (int, error) {
	if c.said {
		return len(b), nil
	}
	c.said = true
	return c.Conn.Write(b)
}
