package client_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// clock is one that a test can set forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// tlsMember is a member with ports and a clock of its own.
type tlsMember struct {
	*client.Membership
	port  net.Listener // the first of ports
	ports []net.Listener
	clock *clock
}

func (m *tlsMember) name() xlreg.Name { return m.Node().Name() }

// shown is the certificate that the others have of m in their rosters.
func (m *tlsMember) shown() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{m.der()}, PrivateKey: m.Node().Keys().Sig.Signer()}
}

// der is the same, without its key.
func (m *tlsMember) der() []byte {
	cert, err := m.Self().Certificate()
	if err != nil {
		panic(err) // it is a member of 2.0
	}
	return cert.Raw
}

// tlsCluster forms a cluster whose members have keys of their own.
func tlsCluster(t testing.TB, r *xlregtest.Registry, cluster xlreg.Name, names ...xlreg.Name) []*tlsMember {
	t.Helper()
	var nodes []*identity.Node
	for _, name := range names {
		nodes = append(nodes, xlregtest.Node(t, name))
	}
	return tlsClusterOf(t, r, cluster, 1, nodes)
}

func tlsClusterOf(t testing.TB, r *xlregtest.Registry, cluster xlreg.Name, endpoints int, nodes []*identity.Node) []*tlsMember {
	t.Helper()
	members := make([]*tlsMember, len(nodes))
	var g errgroup.Group
	for i, node := range nodes {
		m := &tlsMember{clock: new(clock)}
		for range endpoints {
			m.ports = append(m.ports, listenAnywhere(t))
		}
		m.port, members[i] = m.ports[0], m
		o := client.FormOptions{
			Options:   client.Options{Node: node, Now: m.clock.now},
			Cluster:   xlreg.ClusterRef{Name: cluster},
			Size:      len(nodes),
			Listeners: m.ports,
		}
		g.Go(func() (err error) {
			m.Membership, err = client.Form(t.Context(), r.Target(), o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return members
}

func listenAnywhere(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// shake lets two configurations meet, and returns what each end has to say when
// both have had a word from the other.
func shake(t testing.TB, clientConfig, serverConfig *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	near, far := tcpPair(t)
	c, s := tls.Client(near, clientConfig), tls.Server(far, serverConfig)
	var both sync.WaitGroup
	both.Go(func() {
		defer near.Close()
		clientErr = greet(c)
	})
	both.Go(func() {
		defer far.Close()
		serverErr = greet(s)
	})
	both.Wait()
	return clientErr, serverErr
}

// tcpPair returns both ends of a connection with buffers: an end that refuses the
// other says so while that one is still writing.
func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l := listenAnywhere(t)
	defer l.Close()
	near = must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
	return near, must[net.Conn](t)(l.Accept())
}

func greet(c *tls.Conn) error {
	if err := c.Handshake(); err != nil {
		return err
	}
	if _, err := c.Write([]byte("!")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

func wantAccepted(t testing.TB, what string, clientConfig, serverConfig *tls.Config) {
	t.Helper()
	if c, s := shake(t, clientConfig, serverConfig); c != nil || s != nil {
		t.Errorf("%s: the client says %v, the server %v", what, c, s)
	}
}

func wantRefused(t testing.TB, what string, err error, says string) {
	t.Helper()
	if !errors.Is(err, client.ErrPeerRefused) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: got %v, want peer refused: … %s", what, err, says)
	}
}

// lax accepts anybody, and shows what it is given.
func lax(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: certs,
		InsecureSkipVerify: true, ClientAuth: tls.RequestClientCert,
	}
}

func (m *tlsMember) config(t testing.TB) *tls.Config {
	t.Helper()
	return must[*tls.Config](t)(m.TLSConfig())
}

// another is a certificate that an honest node would not make: some other one of
// the key.
func another(t testing.TB, set *keys.Set, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(1), 120), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"a"},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, set.Sig.Signer().Public(), set.Sig.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: set.Sig.Signer()}
}

// fresh is a certificate in the form agreed on, made at the time given.
func fresh(t testing.TB, n *identity.Node, at time.Time) tls.Certificate {
	t.Helper()
	token := &xlreg.Token{Name: n.Name(), SigKey: n.Keys().SigKey, Endpoints: n.Endpoints()}
	var err error
	if token.Certificate, err = keys.NewCertificate(n.Keys().Sig, token, at, keys.DefaultCertificateLife); err != nil {
		t.Fatal(err)
	}
	der := must[[]byte](t)(keys.BuildCertificate(token))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: n.Keys().Sig.Signer()}
}

func TestTLSConfigsOfAllPairs(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b", "c", "d")
	for _, from := range members {
		for _, to := range members {
			if from == to {
				continue
			}
			what := fmt.Sprintf("from %s to %s", from.name(), to.name())
			wantAccepted(t, what, from.config(t), to.config(t))
		}
		wantAccepted(t, "from a client of the cluster",
			must[*tls.Config](t)(members[0].Roster().ClientTLSConfig(nil)), must[*tls.Config](t)(from.ServerTLSConfig()))
	}
}

// Whoever is not to be accepted is refused at either end, and by clients too.
func TestTLSRefuses(t *testing.T) {
	t.Parallel()
	const most = keys.DefaultCertificateLife
	r := xlregtest.Start(t)
	members := tlsCluster(t, r, "c", "a", "b")
	a, b := members[0], members[1]
	stranger := xlregtest.Node(t, "b") // its name is nothing to go by
	foreign := tlsCluster(t, r, "another", "b", "z")[0]
	for what, c := range map[string]struct {
		shows tls.Certificate
		says  string
	}{
		"a stranger":                 {fresh(t, stranger, time.Now()), "its key is that of no member of cluster \"c\""},
		"another cluster's member":   {foreign.shown(), "its key is that of no member of cluster \"c\""},
		"an expired certificate":     {fresh(t, b.Node(), time.Now().Add(-most)), `certificate of "b" expired at`},
		"one that is not valid yet":  {fresh(t, b.Node(), time.Now().Add(2*time.Hour)), `certificate of "b" is not valid before`},
		"another form":               {another(t, b.Node().Keys(), func(*x509.Certificate) {}), "not in the one form that there is"},
		"an authority":               {another(t, b.Node().Keys(), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), "not in the one form that there is"},
		"the member's name on a key": {another(t, stranger.Keys(), func(c *x509.Certificate) { c.Subject.CommonName = "b" }), "its key is that of no member"},
	} {
		_, err := shake(t, lax(c.shows), a.config(t))
		wantRefused(t, what+" as client", err, c.says)
		err, _ = shake(t, a.config(t), lax(c.shows))
		wantRefused(t, what+" as server", err, c.says)
		err, _ = shake(t, must[*tls.Config](t)(a.Roster().ClientTLSConfig(nil)), lax(c.shows))
		wantRefused(t, what+" to a client of the cluster", err, c.says)
	}
	_, err := shake(t, lax(a.shown()), a.config(t))
	wantRefused(t, "own key as client", err, "its key is that of this node")
	err, _ = shake(t, a.config(t), lax(a.shown()))
	wantRefused(t, "own key as server", err, "its key is that of this node")
	if _, err = shake(t, lax(), a.config(t)); err == nil || !strings.Contains(err.Error(), "didn't provide a certificate") {
		t.Errorf("no certificate: got %v", err)
	}
	old := lax(b.shown())
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if c, s := shake(t, old, a.config(t)); c == nil || s == nil {
		t.Error("TLS 1.2 is spoken")
	}
	if c, s := shake(t, a.config(t), old); c == nil || s == nil {
		t.Error("TLS 1.2 is spoken by a client")
	}
	wantAccepted(t, "the member itself", lax(b.shown()), a.config(t))
}

// A stranger's certificate is no good even behind a member's, nor the other way.
func TestTLSLooksAtTheLeafAlone(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	stranger := fresh(t, xlregtest.Node(t, "b"), time.Now())
	stranger.Certificate = append(stranger.Certificate, members[1].der())
	_, err := shake(t, lax(stranger), members[0].config(t))
	wantRefused(t, "a stranger with a member's certificate", err, "no member")
}

// Nobody has to be told of a renewal: it is the key that counts.
func TestTLSWithRenewedCertificates(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	a, b := members[0], members[1]
	wantAccepted(t, "renewed", lax(fresh(t, b.Node(), time.Now())), a.config(t))
	configs := []*tls.Config{a.config(t), b.config(t)}

	// The node would make a new one now, but others may have a file with the old.
	const old = keys.DefaultCertificateLife * 3 / 4
	b.clock.forward(old)
	if cert := must[[]byte](t)(b.Node().Certificate(b.clock.now())); slices.Equal(cert, b.der()) {
		t.Fatal("the node has not made a new certificate")
	}
	shown := must[*tls.Certificate](t)(configs[1].GetClientCertificate(nil))
	if !slices.Equal(shown.Certificate[0], b.der()) {
		t.Error("not what the others have is shown, though it is valid")
	}

	// Now it has expired.
	b.clock.forward(keys.DefaultCertificateLife - old)
	a.clock.forward(keys.DefaultCertificateLife)
	wantAccepted(t, "renewed by both", configs[0], configs[1])
	_, err := shake(t, lax(b.shown()), configs[0])
	wantRefused(t, "what is in the roster", err, "expired")
}

// Who does not ask for unverified members gets none: neither a roster nor TLS.
func TestTLSNamesTheUnverified(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	var g errgroup.Group
	members := make([]*client.Membership, 3)
	failed := make([]error, 3)
	for i, p := range protocols {
		o := client.FormOptions{
			Options: client.Options{Node: xlregtest.Node(t, xlreg.Name(fmt.Sprintf("by-%v", p)), xlregtest.WithKeys(keys.RSA)), Protocol: p},
			Cluster: xlreg.ClusterRef{Name: "c"}, Size: len(members), Listeners: []net.Listener{listenAnywhere(t)},
		}
		g.Go(func() (err error) {
			if members[i], failed[i] = client.Form(t.Context(), r.Target(), o); p.Classic() {
				return failed[i]
			}
			o.AllowUnverified = true
			members[i], err = client.Form(t.Context(), r.Target(), o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	modern, classic := slices.Index(protocols, xlreg.Protocol20), slices.Index(protocols, xlreg.Protocol19)
	roster := members[modern].Roster()
	errs := map[string]error{"Form": failed[modern]}
	_, errs["ClientTLSConfig"] = roster.ClientTLSConfig(nil)
	_, errs["CertificatesPEM"] = roster.CertificatesPEM()
	for what, err := range errs {
		if !errors.Is(err, client.ErrUnverified) || strings.Contains(err.Error(), `"by-2.0"`) ||
			!strings.Contains(err.Error(), `"by-1.8"`) || !strings.Contains(err.Error(), `"by-1.9"`) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := members[modern].Dial(t.Context(), "by-1.8"); !errors.Is(err, client.ErrUnverified) {
		t.Errorf("Dial: got %v", err)
	}
	errs = make(map[string]error)
	_, errs["TLSConfig"] = members[classic].TLSConfig()
	_, errs["Listen"] = members[classic].Listen(listenAnywhere(t))
	_, errs["ServerTLSConfig"] = members[classic].ServerTLSConfig()
	for what, err := range errs {
		if !errors.Is(err, client.ErrUnverified) {
			t.Errorf("%s of an unverified node: got %v", what, err)
		}
	}
}

// Without a wait Form returns as soon as the node has its place.
func TestFormWithoutWaiting(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	for i, name := range []xlreg.Name{"a", "b"} {
		m, err := client.Form(t.Context(), r.Target(), client.FormOptions{
			Options: client.Options{Node: xlregtest.Node(t, name)}, Cluster: xlreg.ClusterRef{Name: "c"}, Size: 3,
			Listeners: []net.Listener{listenAnywhere(t)}, NoWait: true,
		})
		if err != nil || len(m.Roster().Members) != i+1 || m.Self().Index != i {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// A member may come with something from which no certificate follows.
func TestTLSNamesWhoseCertificateWillNotDo(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b")
	roster := &client.Roster{Members: slices.Clone(members[0].Roster().Members)}
	b := roster.ByName("b")
	b.Token.Certificate = b.Token.Certificate[:16]
	_, tlsErr := roster.ClientTLSConfig(nil)
	_, pemErr := roster.CertificatesPEM()
	_, dialErr := roster.Dial(t.Context(), "b", nil)
	for what, err := range map[string]error{"ClientTLSConfig": tlsErr, "CertificatesPEM": pemErr, "Dial": dialErr} {
		if err == nil || !strings.Contains(err.Error(), `certificate of "b"`) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// A member without proof that comes into the roster later is not accepted either.
func TestTLSRefusesWhoComesUnverified(t *testing.T) {
	t.Parallel()
	r := xlregtest.Start(t)
	members := tlsCluster(t, r, "c", "a", "b", "c")
	config := members[0].config(t)
	late := xlregtest.Node(t, "late", xlregtest.WithKeys(keys.RSA))
	if err := members[2].Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := client.Form(t.Context(), r.Target(), client.FormOptions{
		Options: client.Options{Node: late, Protocol: xlreg.Protocol19},
		Cluster: xlreg.ClusterRef{Name: "c"}, Size: 3, Listeners: []net.Listener{listenAnywhere(t)},
		NoWait: true, // over this carrier it does not see the others, whose keys are on P-256
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := members[0].Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = shake(t, lax(fresh(t, late, time.Now())), config)
	wantRefused(t, "late", err, `that of "late"`)
	if !errors.Is(err, client.ErrUnverified) {
		t.Errorf("got %v", err)
	}
	wantAccepted(t, "the others", members[1].config(t), config)
}

// Refresh counts from the next handshake on, for configurations made before too.
func TestTLSAfterAMemberLeft(t *testing.T) {
	t.Parallel()
	members := tlsCluster(t, xlregtest.Start(t), "c", "a", "b", "c")
	stays, leaves := members[0], members[1]
	config, theirs := stays.config(t), leaves.config(t)
	l := must[net.Listener](t)(stays.Listen(stays.port))
	defer l.Close()
	open := must[*client.Conn](t)(leaves.Dial(t.Context(), "a"))
	defer open.Close()
	accepted := must[net.Conn](t)(l.Accept())
	defer accepted.Close()

	if err := leaves.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAccepted(t, "nobody was told", theirs, config)
	if _, err := stays.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := shake(t, theirs, config)
	wantRefused(t, "as client", err, "no member")
	err, _ = shake(t, config, theirs)
	wantRefused(t, "as server", err, "no member")
	if _, err := stays.Dial(t.Context(), "b"); !errors.Is(err, xlreg.ErrNotMember) {
		t.Errorf("Dial: got %v", err)
	}
	refused, err := leaves.Dial(t.Context(), "a") // which knows only when it reads
	if err == nil {
		_, err = refused.Read(make([]byte, 1))
		refused.Close()
	}
	if err == nil {
		t.Error("who left is let in")
	}
	var talk sync.WaitGroup
	talk.Go(func() { fmt.Fprint(open, "still here") })
	got := make([]byte, 10)
	if _, err := io.ReadFull(accepted, got); err != nil || string(got) != "still here" {
		t.Errorf("over the connection that was open: %q, %v", got, err)
	}
	talk.Wait()
}

func TestCertificatesPEM(t *testing.T) {
	t.Parallel()
	roster := tlsCluster(t, xlregtest.Start(t), "c", "a", "b", "c")[0].Roster()
	rest := must[[]byte](t)(roster.CertificatesPEM())
	for i := range roster.Members {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			t.Fatalf("no certificate %d", i)
		}
		cert := must[*x509.Certificate](t)(x509.ParseCertificate(block.Bytes))
		if m := roster.ByCertificate(cert); m != &roster.Members[i] {
			t.Errorf("certificate %d is of %v", i, m)
		}
	}
	if len(rest) > 0 {
		t.Errorf("after it comes %q", rest)
	}
	other := must[*x509.Certificate](t)(x509.ParseCertificate(fresh(t, xlregtest.Node(t, "a"), time.Now()).Certificate[0]))
	if m := roster.ByCertificate(other); m != nil {
		t.Errorf("a stranger's certificate is of %v", m.Token.Name)
	}
}

func TestCertificatesExpire(t *testing.T) {
	t.Parallel()
	var nodes []*identity.Node
	for i, life := range []time.Duration{0, 3 * time.Hour, 24 * time.Hour} {
		nodes = append(nodes, must[*identity.Node](t)(identity.NewNode(identity.Options{
			Name: xlreg.Name(fmt.Sprintf("m%d", i)), Keys: xlregtest.Node(t, "n").Keys(), CertificateLife: life,
		})))
	}
	members := tlsClusterOf(t, xlregtest.Start(t), "c", 1, nodes)
	cert := must[*x509.Certificate](t)(members[1].Self().Certificate())
	if got := members[0].Roster().CertificatesExpire(); !got.Equal(cert.NotAfter) {
		t.Errorf("got %v, want %v", got, cert.NotAfter)
	}
	if got := new(client.Roster).CertificatesExpire(); !got.IsZero() {
		t.Errorf("of nobody: %v", got)
	}
}
