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

func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func TestPeerGone(t *testing.T) {
	client, server := tcpPair(t)
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
	client, nc := tcpPair(t)
	decrypted := false
	s, err := NewServer(ServerConfig{
		HelloLen: 128, Protocols: []xlreg.Protocol{xlreg.Protocol19},
		Decrypt: func(context.Context, netip.Addr, []byte) ([]byte, error) {
			decrypted = true
			return nil, errors.New("unreadable")
		},
		Turn: func(context.Context, netip.Addr) (func(), error) {
			client.Close()
			for begun := time.Now(); !peerGone(nc) || time.Since(begun) <= shortTurn; {
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
