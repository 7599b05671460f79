package session

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// TLS would take a chain of any length, parse it, and keep it until the session ends.
func TestLongChain(t *testing.T) {
	cert := ownCertificate(t, nil)
	cert.Certificate = slices.Repeat(cert.Certificate, 229)
	sn, cn := tcp(t)
	accepted := accept(t, serverConfig(t), sn)
	if err := cn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	client := tls.Client(cn, withCertificate(cert))
	if err := client.Handshake(); err == nil {
		_, err = client.Read(make([]byte, 1))
		if err == nil {
			t.Error("the client was answered")
		}
	}
	cn.Close()
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) || !errors.Is(r.err, errGreeting) {
		t.Errorf("accept: %v", r.err)
	}
}

// chopped writes what TLS writes first in records of n bytes.
type chopped struct {
	net.Conn
	n int
}

func (c *chopped) Write(b []byte) (int, error) {
	if c.n == 0 {
		return c.Conn.Write(b)
	}
	header, all := b[:tlsHeaderLen], []byte(nil)
	for piece := range slices.Chunk(b[tlsHeaderLen:], c.n) {
		all = append(all, header[:3]...)
		all = binary.BigEndian.AppendUint16(all, uint16(len(piece)))
		all = append(all, piece...)
	}
	c.n = 0
	if _, err := c.Conn.Write(all); err != nil {
		return 0, err
	}
	return len(b), nil
}

// A ClientHello may come in records as short as a byte.
func TestClientHelloInShortRecords(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 100} {
		short := func(t testing.TB) (net.Conn, net.Conn) {
			s, c := tcp(t)
			return s, &chopped{c, n}
		}
		server, client := pair(t, short, xlreg.Protocol20)
		pass(t, client, server, member("m0"))
		pass(t, server, client, wire.NewAck())
	}
}

// The signatures that a client shows are verified in a turn, which is over when the
// session is there, and while the client has yet to say something.
func TestTurnsOfAClientsCertificate(t *testing.T) {
	cfg := serverConfig(t)
	var turns, held atomic.Int32
	cfg.Turn = func(context.Context, netip.Addr) (func(), error) {
		turns.Add(1)
		held.Add(1)
		return func() { held.Add(-1) }, nil
	}
	client := clientConfig(xlreg.Protocol20)
	client.Certificate = ownCertificate(t, nil)
	pairWith(t, tcp, cfg, client)
	if turns.Load() != 2 || held.Load() != 0 {
		t.Errorf("%d turns, %d of them held; want 2, one for either side's signatures", turns.Load(), held.Load())
	}
}

// A session that waits keeps no room of the long request before.
func TestHoldAfterALongRequest(t *testing.T) {
	var b []byte
	for _, m := range []*wire.Message{ofSize(t, 16<<10), wire.NewBye()} {
		head, rest, err := testCodec(t, xlreg.Protocol20).encode(m)
		if err != nil {
			t.Fatal(err)
		}
		b = slices.Concat(b, head, rest)
	}
	server := receiver(t, xlreg.Protocol20, [][]byte{b})
	if _, err := server.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.in.len() == 0 {
		t.Fatal("the second request did not come with the first")
	}
	_ = server.Hold(t.Context()) // the peer has gone
	if n := cap(server.in.buf); n > ahead {
		t.Errorf("room for %d bytes is kept", n)
	}
	if m, err := server.Receive(t.Context()); err != nil || m.Op() != wire.OpBye {
		t.Errorf("then comes %v, %v", m, err)
	}
}
