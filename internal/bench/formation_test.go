package bench_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/regcred"
	"github.com/xlattice/xlreg/session"
	"github.com/xlattice/xlreg/wire"
)

const members = 64

// BenchmarkFormation64 forms clusters of 64 over 2.0 in one process, and holds
// the time against the same 64 mutual TLS handshakes alone, and against those
// and the 64 × 64 signature checks that all members together have to make. The
// goals are 2.0 for received/handshakes and 1.6 for verified/work.
func BenchmarkFormation64(b *testing.B) {
	all := nodes(b, members+1)
	h := startHost(b, all[members])
	target, err := h.Cred().Target()
	if err != nil {
		b.Fatal(err)
	}
	shaker := newShaker(b, all)
	addr := string(h.Cred().Endpoints[0])
	var shakes, received, verified, checks []time.Duration
	for i := range b.N {
		shakes = append(shakes, shaker.run(b))
		received = append(received, receiveAll(b, addr, shaker.configs, all[:members], fmt.Sprintf("r%d", i)))
		verified = append(verified, verifyAll(b, target, all[:members], fmt.Sprintf("v%d", i)))
		checks = append(checks, checkAll(b, all[:members]))
	}
	report(b, shakes, received, verified, checks)
	stats(b, h)
}

func report(b *testing.B, shakes, received, verified, checks []time.Duration) {
	ms := func(list []time.Duration) float64 { return median(list).Seconds() * 1000 }
	b.ReportMetric(ms(shakes), "ms/64-handshakes")
	b.ReportMetric(ms(received), "ms/last-received")
	b.ReportMetric(ms(verified), "ms/all-verified")
	b.ReportMetric(ms(checks), "ms/64x64-checks")
	b.ReportMetric(ms(received)/ms(shakes), "received/handshakes")
	b.ReportMetric(ms(verified)/(ms(shakes)+ms(checks)), "verified/work")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// stats fails the benchmark if a member asked more often than once.
func stats(b *testing.B, h *host.Host) {
	b.Helper()
	for op, n := range h.Stats().Requests {
		if op.String() == "GetCluster" && n != uint64(2*members*b.N) {
			b.Errorf("%d GetCluster requests for %d waits", n, 2*members*b.N)
		}
	}
}

// each runs f for every index at once, and returns when the last has ended.
func each(b *testing.B, n int, f func(ctx context.Context, i int) error) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	var group errgroup.Group
	begun := time.Now()
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// receiveAll forms a cluster, and returns when the last roster has arrived. It
// is not verified: that would make those whose roster is still on its way wait
// for processors which, on machines of their own, they need not share.
func receiveAll(b *testing.B, addr string, configs []session.ClientConfig, list []*identity.Node, name string) time.Duration {
	b.Helper()
	return each(b, len(list), func(ctx context.Context, i int) error {
		conn, err := connect(ctx, addr, configs[i])
		if err != nil {
			return err
		}
		defer conn.Close()
		token, _, err := list[i].Token(xlreg.Protocol20, "", time.Now())
		if err != nil {
			return err
		}
		roster, err := converse(ctx, conn, token, name)
		if err != nil {
			return err
		}
		if n := roster.Size(); n < members*1500 {
			return fmt.Errorf("roster of %d bytes", n)
		}
		return nil
	})
}

// converse asks what a member asks, and returns the last reply.
func converse(ctx context.Context, conn session.Conn, token *xlreg.Token, name string) (reply *wire.Message, err error) {
	all := uint32(members)
	for _, m := range []*wire.Message{
		wire.NewMember(token),
		wire.NewCreate(wire.CreateRequest{Name: name, MaxSize: members, EndpointCount: 1}),
		wire.NewJoin(xlreg.ClusterRef{}),
		wire.NewGet(wire.GetRequest{Which: xlreg.AllSeats, Wait: true, WaitSize: &all}),
	} {
		if reply, err = ask(ctx, conn, m); err != nil {
			return nil, err
		}
	}
	return reply, nil
}

// verifyAll forms a cluster with the client that users have, and returns when
// the last member has verified its roster.
func verifyAll(b *testing.B, target *regcred.Target, list []*identity.Node, name string) time.Duration {
	b.Helper()
	return each(b, len(list), func(ctx context.Context, i int) error {
		m, err := client.Form(ctx, target, client.FormOptions{
			Options: client.Options{Node: list[i]},
			Cluster: xlreg.ClusterRef{Name: xlreg.Name(name)},
			Size:    members,
		})
		if err != nil {
			return err
		}
		if r := m.Roster(); len(r.Members) != members || r.Unverified() != nil {
			return fmt.Errorf("roster of %d, unverified %v", len(r.Members), r.Unverified())
		}
		return nil
	})
}

// shaker makes mutual TLS handshakes and nothing else.
type shaker struct {
	addr    string
	configs []session.ClientConfig
	accepts chan error
}

func newShaker(b *testing.B, all []*identity.Node) *shaker {
	b.Helper()
	keys := all[members].Keys()
	authority, err := session.NewAuthority(keys.Sig, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	server, err := session.NewServer(session.ServerConfig{
		HelloLen: keys.Comms.Size(), Authority: authority, Protocols: []xlreg.Protocol{xlreg.Protocol20},
		Decrypt: refuse,
	})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &shaker{addr: l.Addr().String(), accepts: make(chan error, members)}
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(l, server, &serving) })
	b.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	for _, node := range all[:members] {
		s.configs = append(s.configs, clientConfig(b, node, keys.SigKey))
	}
	return s
}

func clientConfig(b *testing.B, node *identity.Node, registry xlreg.SigKey) session.ClientConfig {
	b.Helper()
	der, err := node.Certificate(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	return session.ClientConfig{
		Protocol: xlreg.Protocol20, SigKey: registry,
		Certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: node.Keys().Sig},
	}
}

func (s *shaker) serve(l net.Listener, server *session.Server, serving *sync.WaitGroup) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			conn, err := server.Accept(context.Background(), nc)
			s.accepts <- err
			if err == nil {
				conn.Close()
			}
		})
	}
}

// run returns the time until both ends of all handshakes are through.
func (s *shaker) run(b *testing.B) time.Duration {
	b.Helper()
	return each(b, len(s.configs), func(ctx context.Context, i int) error {
		conn, err := connect(ctx, s.addr, s.configs[i])
		if err != nil {
			return err
		}
		if err := <-s.accepts; err != nil {
			return err
		}
		return conn.Close()
	})
}

// checkAll verifies each node's token once for each node, on all processors,
// and parses its keys each time.
func checkAll(b *testing.B, list []*identity.Node) time.Duration {
	tokens := make([]*xlreg.Token, len(list))
	certificates := make([][]byte, len(list))
	for i, node := range list {
		t, der, err := node.Token(xlreg.Protocol20, "", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		tokens[i], certificates[i] = t, der
	}
	begun := time.Now()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for range list {
		group.Go(func() error {
			for i, t := range tokens {
				if err := identity.VerifyToken(t, certificates[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

func refuse(context.Context, netip.Addr, []byte) ([]byte, error) {
	return nil, session.ErrHandshake
}
