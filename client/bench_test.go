package client_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// formed is the size of the cluster that is measured.
const formed = 64

// BenchmarkForm measures how long 64 members on this machine need to form a
// cluster over 2.0, once until the last roster has arrived, and once until all of
// them have verified theirs too; keys, certificates and signatures are made
// before. Beside it stand what that is held against: the same mutual TLS
// handshakes alone, and 64 x 64 checks of a signature. Times are in ms.
func BenchmarkForm(b *testing.B) {
	for _, kind := range benchKinds {
		b.Run(string(kind), func(b *testing.B) { benchForm(b, kind) })
	}
}

func benchForm(b *testing.B, kind keys.Kind) {
	nodes := benchNodes(b, kind)
	var handshakes, received, verified, checks time.Duration
	for b.Loop() {
		handshakes += timeHandshakes(b, nodes)
		received += timeForm(b, nodes, false)
		verified += timeForm(b, nodes, true)
		checks += timeChecks(b, nodes)
	}
	report := func(d time.Duration, unit string) {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), unit)
	}
	b.ReportMetric(0, "ns/op")
	report(handshakes, "ms-handshakes")
	report(received, "ms-received")
	report(checks, "ms-checks")
	report(verified, "ms-verified")
	b.ReportMetric(float64(received)/float64(handshakes), "received/handshakes")
	b.ReportMetric(float64(verified-checks)/float64(handshakes), "(verified-checks)/handshakes")
}

// benchNodes are ready to register.
func benchNodes(b *testing.B, kind keys.Kind) []*identity.Node {
	nodes := make([]*identity.Node, formed)
	for i := range nodes {
		endpoint := xlreg.Endpoint(fmt.Sprintf("127.0.0.1:%d", 5000+i))
		nodes[i] = must[*identity.Node](b)(identity.NewNode(identity.Options{
			Name: xlreg.Name(fmt.Sprintf("m%d", i)), Endpoints: []xlreg.Endpoint{endpoint}, Kind: kind,
		}))
		if _, _, err := nodes[i].Token(xlreg.Protocol20, "", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	return nodes
}

// timeForm forms a cluster on a new registry.
func timeForm(b *testing.B, nodes []*identity.Node, verify bool) time.Duration {
	r := start(b, "127.0.0.1:0", memory.New())
	defer r.stop()
	target := r.target()
	clients := make([]*client.Client, len(nodes))
	began := time.Now()
	each(b, len(nodes), func(i int) (err error) {
		clients[i], err = formOne(target, nodes[i], verify)
		return err
	})
	took := time.Since(began)
	each(b, len(clients), func(i int) error { return clients[i].Close() })
	return took
}

func formOne(target *regcred.Target, n *identity.Node, verify bool) (*client.Client, error) {
	ctx := context.Background()
	c, err := client.Dial(ctx, target, client.Options{Node: n})
	if err != nil {
		return nil, err
	}
	if _, err := c.Register(ctx); err != nil {
		return c, err
	}
	if _, err := c.Create(ctx, client.CreateOptions{Name: "bench", Size: formed}); err != nil {
		return c, err
	}
	if _, err := c.Join(ctx, xlreg.ClusterRef{}); err != nil {
		return c, err
	}
	if verify {
		_, err := c.Wait(ctx, xlreg.ClusterRef{}, formed)
		return c, err
	}
	_, err = client.WaitReceived(ctx, c, xlreg.ClusterRef{}, formed)
	return c, err
}

// each calls f for 0 to n-1, all at once.
func each(b testing.TB, n int, f func(int) error) {
	b.Helper()
	var g errgroup.Group
	for i := range n {
		g.Go(func() error { return f(i) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// timeHandshakes shakes hands as members and registry do, with crypto/tls and
// nothing else, and checks no certificate.
func timeHandshakes(b *testing.B, nodes []*identity.Node) time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{registryCertificate(b)},
	}
	began := time.Now()
	var accepting errgroup.Group
	for range nodes {
		accepting.Go(func() error {
			nc, err := l.Accept()
			if err != nil {
				return err
			}
			defer nc.Close()
			return tls.Server(nc, config).Handshake()
		})
	}
	each(b, len(nodes), func(i int) error { return shakeHands(l.Addr().String(), nodes[i]) })
	if err := accepting.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func shakeHands(addr string, n *identity.Node) error {
	der, err := n.Certificate(time.Now())
	if err != nil {
		return err
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	t := tls.Client(nc, &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: n.Keys().Sig.Signer()}},
	})
	if err := t.Handshake(); err != nil {
		return err
	}
	_, err = t.Read(make([]byte, 1)) // until the other end has seen the certificate
	if err == nil {
		return fmt.Errorf("unexpected data")
	}
	return nil
}

// timeChecks checks each node's signature as often as there are nodes, at once.
func timeChecks(b *testing.B, nodes []*identity.Node) time.Duration {
	roster := benchRoster(b, nodes)
	began := time.Now()
	each(b, len(nodes), func(int) error {
		for i := range roster.Members {
			t := &roster.Members[i].Token
			if err := keys.VerifyToken(t); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Since(began)
}

func benchRoster(b *testing.B, nodes []*identity.Node) *xlreg.Roster {
	b.Helper()
	r := &xlreg.Roster{Cluster: xlreg.Cluster{Name: "bench", MaxSize: len(nodes)}}
	for i, n := range nodes {
		t, _, err := n.Token(xlreg.Protocol20, xlreg.NodeID(id(fmt.Sprint(i))), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		r.Members = append(r.Members, xlreg.Member{Index: i, Token: *t})
	}
	return r
}

// BenchmarkVerify measures what a roster of 64 costs one member that has the
// machine to itself, for the first time and again.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range benchKinds {
		b.Run(string(kind), func(b *testing.B) { benchVerify(b, benchRoster(b, benchNodes(b, kind))) })
	}
}

func benchVerify(b *testing.B, roster *xlreg.Roster) {
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := client.Verify(roster); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		again := client.VerifyAgain(roster)
		for b.Loop() {
			if _, err := again(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
