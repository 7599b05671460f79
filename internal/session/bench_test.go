package session

import (
	"context"
	"net"
	"runtime"
	"slices"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
)

// BenchmarkClassicSession is what a session costs a server besides its RSA and
// its system calls: hello, Member, MemberOK, Bye, Ack.
func BenchmarkClassicSession(b *testing.B) {
	h := newHello(xlreg.Protocol19)
	opening := slices.Concat(h.marshal(), make([]byte, 256-len(h.marshal())))
	s, err := NewServer(ServerConfig{
		Comms:     &fakeKey{len(opening), func(b []byte) ([]byte, error) { return b[:helloLen19], nil }},
		Protocols: protocols[:2],
		Limits:    limits,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	reply := wire.NewMemberOK(&xlreg.Token{Name: "m0", ID: xlreg.NodeID(make([]byte, 32))})
	b.ReportAllocs()
	for b.Loop() {
		client := &feed{pieces: [][]byte{opening}}
		c, err := s.Accept(ctx, client)
		if err != nil {
			b.Fatal(err)
		}
		codec := &classic{sealer: c.(*conn).codec.(*classic).sealer}
		for _, m := range []*wire.Message{member("m0"), wire.NewBye()} {
			sent, err := codec.seal(m)
			if err != nil {
				b.Fatal(err)
			}
			client.pieces = [][]byte{sent}
			if _, err := c.Receive(ctx); err != nil {
				b.Fatal(err)
			}
			if err := c.Send(ctx, reply); err != nil {
				b.Fatal(err)
			}
		}
		c.Close()
	}
}

// BenchmarkWaiting is the memory of a server's end that holds, after a request
// and a reply: the session, its goroutine's stack, and what Go keeps of a TCP
// connection and, over 2.0, of TLS.
func BenchmarkWaiting(b *testing.B) {
	for _, p := range protocols {
		b.Run(p.String(), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(waitingBytes(b, p, 200), "B/conn")
			}
		})
	}
}

func waitingBytes(b *testing.B, p xlreg.Protocol, conns int) float64 {
	ctx, cancel := context.WithCancel(context.Background())
	held := make(chan error, conns)
	sc, cc := serverConfig(b), clientConfig(p)
	if p == xlreg.Protocol20 {
		cc.Certificate = certificate(b, clientKey(), clientKey().Public(), clientKey(), nil)
	}
	bare := memory()
	sockets := make([][2]net.Conn, conns)
	for i := range sockets {
		sockets[i][0], sockets[i][1] = tcp(b)
	}
	clients := (memory() - bare) / 2
	for _, s := range sockets {
		holdOne(ctx, b, sc, cc, s[0], s[1], held)
	}
	used := memory() - bare - clients
	cancel()
	for range conns {
		if err := <-held; err != nil {
			b.Fatal(err)
		}
	}
	for _, s := range sockets {
		s[0].Close()
		s[1].Close()
	}
	return used / float64(conns)
}

// holdOne brings one session to the point where its server holds, and forgets
// the client's end but for its connection.
func holdOne(ctx context.Context, b *testing.B, sc ServerConfig, cc ClientConfig, sn, cn net.Conn, held chan<- error) {
	b.Helper()
	holding := make(chan struct{})
	s, err := NewServer(sc)
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		c, err := s.Accept(ctx, sn)
		if err == nil {
			_, err = c.Receive(ctx)
		}
		if err == nil {
			err = c.Send(ctx, wire.NewAck())
		}
		close(holding)
		if err == nil {
			err = c.Hold(ctx)
		}
		held <- err
	}()
	client, err := Connect(ctx, cn, cc)
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Send(ctx, member("m0")); err != nil {
		b.Fatal(err)
	}
	if _, err := client.Receive(ctx); err != nil {
		b.Fatal(err)
	}
	<-holding
}

// memory returns the bytes of heap and stacks in use.
func memory() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
