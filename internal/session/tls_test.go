package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// otherKey is a key of a kind that the protocol does not have.
func otherKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rawTLS is what a client that is not ours would use.
func rawTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ALPN}}
}

func withCertificate(cert *tls.Certificate) *tls.Config {
	cfg := rawTLS()
	cfg.Certificates = []tls.Certificate{*cert}
	return cfg
}

// TestRefusedClients wants the server to refuse each in the handshake.
func TestRefusedClients(t *testing.T) {
	ec := otherKey(t)
	small := newKey(1024)
	old := rawTLS()
	old.MaxVersion = tls.VersionTLS12
	nameless := rawTLS()
	nameless.NextProtos = nil
	other := rawTLS()
	other.NextProtos = []string{"h2", "xlreg/3"}
	named := rawTLS()
	named.ServerName = strings.Repeat("a", maxServerName+1)
	two, stapled, stamped := ownCertificate(t, nil), ownCertificate(t, nil), ownCertificate(t, nil)
	two.Certificate = append(two.Certificate, two.Certificate[0])
	stapled.OCSPStaple = []byte("staple")
	stamped.SignedCertificateTimestamps = [][]byte{[]byte("timestamp")}
	for name, cfg := range map[string]*tls.Config{
		"TLS 1.2":          old,
		"no ALPN":          nameless,
		"another ALPN":     other,
		"P-384":            withCertificate(certificate(t, ec, ec.Public(), ec, nil)),
		"1024 bits":        withCertificate(certificate(t, small, small.Public(), small, nil)),
		"long server name": named,
		"two certificates": withCertificate(two),
		"an OCSP staple":   withCertificate(stapled),
		"a timestamp":      withCertificate(stamped),
		"over 4 KiB": withCertificate(ownCertificate(t, func(c *x509.Certificate) {
			c.DNSNames = []string{strings.Repeat("a", xlreg.MaxCertificateLen)}
		})),
	} {
		t.Run(name, func(t *testing.T) {
			sn, cn := tcp(t)
			accepted := accept(t, serverConfig(t), sn)
			client := tls.Client(cn, cfg)
			err := client.Handshake()
			if err != nil && len(cfg.Certificates) > 0 {
				t.Errorf("client's handshake, over before the server's: %v", err)
			}
			if err == nil && len(cfg.Certificates) == 0 {
				t.Error("client's handshake succeeded")
			}
			r := make(chan result, 1)
			go func() {
				accepted := <-accepted
				sn.Close() // whether it should have been accepted or not
				r <- accepted
			}()
			var alert *net.OpError
			if _, err := client.Read(make([]byte, 1)); !errors.As(err, &alert) || alert.Op != "remote error" {
				t.Errorf("client read: %v, want an alert", err)
			}
			cn.Close()
			if r := <-r; !errors.Is(r.err, ErrHandshake) || r.conn != nil {
				t.Errorf("accept: %v", r.err)
			}
		})
	}
}

// ownCertificate is a client's, with a change.
func ownCertificate(t testing.TB, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	return certificate(t, clientKey(), clientKey().Public(), clientKey(), change)
}

// TestRefusalIsClear wants a client whose certificate is refused to learn so,
// although its handshake was over and it had sent its request.
func TestRefusalIsClear(t *testing.T) {
	ec := otherKey(t)
	cfg := clientConfig(xlreg.Protocol20)
	cfg.Certificate = certificate(t, ec, ec.Public(), ec, nil)
	sn, cn := tcp(t)
	accepted := accept(t, serverConfig(t), sn)
	client, err := Connect(context.Background(), cn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Send(context.Background(), member("m0")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Receive(context.Background()); !errors.Is(err, ErrHandshake) {
		t.Errorf("receive: %v", err)
	}
	client.Close()
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) {
		t.Errorf("accept: %v", r.err)
	}
}

// leaf is a chain such as an Authority's, with a change.
func leaf(t *testing.T, signer *rsa.PrivateKey, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	now := time.Now()
	root, err := newRoot(signer, now)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(time.Hour),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	if change != nil {
		change(template)
	}
	key := ecKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, root.Raw}, PrivateKey: key}
}

// TestServersJudged has a client meet servers that show it various things.
func TestServersJudged(t *testing.T) {
	valid := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
		}
	}
	stranger := newKey(2048)
	stolen := leaf(t, sigKey(), nil)
	stolen.PrivateKey = ecKey(t)
	borrowed := leaf(t, stranger, nil)
	borrowed.Certificate[1] = leaf(t, sigKey(), nil).Certificate[1]
	own := certificate(t, sigKey(), sigKey().Public(), sigKey(), nil)
	alone := leaf(t, sigKey(), nil)
	alone.Certificate = alone.Certificate[:1]
	for _, tc := range []struct {
		name       string
		cert       *tls.Certificate
		key, print error // for a client that knows the key, the fingerprint
	}{
		{"right", leaf(t, sigKey(), nil), nil, nil},
		{"no root", alone, nil, ErrUntrusted},
		{"another key", leaf(t, stranger, nil), ErrUntrusted, ErrUntrusted},
		{"another key, the right root", borrowed, ErrUntrusted, ErrUntrusted},
		{"another's leaf", stolen, ErrUntrusted, ErrUntrusted},
		{"its own certificate for a leaf", own, ErrUntrusted, ErrUntrusted},
		{"expired", leaf(t, sigKey(), valid(-5*time.Hour, -61*time.Minute)), ErrClock, ErrClock},
		{"just expired", leaf(t, sigKey(), valid(-5*time.Hour, -59*time.Minute)), nil, nil},
		{"not yet valid", leaf(t, sigKey(), valid(61*time.Minute, 5*time.Hour)), ErrClock, ErrClock},
		{"soon valid", leaf(t, sigKey(), valid(59*time.Minute, 5*time.Hour)), nil, nil},
		{"CA", leaf(t, sigKey(), func(c *x509.Certificate) { c.IsCA = true }), ErrUntrusted, ErrUntrusted},
		{"no usage", leaf(t, sigKey(), func(c *x509.Certificate) { c.ExtKeyUsage = nil }), ErrUntrusted, ErrUntrusted},
		{"for clients", leaf(t, sigKey(), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), ErrUntrusted, ErrUntrusted},
		{"SHA-384", leaf(t, sigKey(), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }), ErrUntrusted, ErrUntrusted},
	} {
		byKey := clientConfig(xlreg.Protocol20)
		byPrint := byKey
		byPrint.SigKey, byPrint.Fingerprint = "", fingerprint(t, byKey.SigKey)
		t.Run(tc.name, func(t *testing.T) {
			judge(t, tc.cert, byKey, tc.key)
			judge(t, tc.cert, byPrint, tc.print)
		})
	}
}

func fingerprint(t testing.TB, key xlreg.SigKey) string {
	t.Helper()
	s, err := keys.Fingerprint(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judge connects to a server that shows cert, and wants that to end in an error, or in
// none. One that is not believed must not see a byte of the session.
func judge(t *testing.T, cert *tls.Certificate, cfg ClientConfig, want error) {
	t.Helper()
	believed := want == nil
	sn, cn := tcp(t)
	saw := make(chan int, 1)
	go func() {
		defer sn.Close()
		server := tls.Server(sn, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{ALPN}})
		n, _ := io.ReadFull(server, make([]byte, 1))
		saw <- n
	}()
	client, err := Connect(context.Background(), cn, cfg)
	if believed {
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Send(context.Background(), wire.NewBye()); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	cn.Close()
	for _, kind := range []error{ErrUntrusted, ErrClock, ErrHandshake} {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("connect: %v, want %v alone", err, want)
		}
	}
	if n := <-saw; (n > 0) != believed {
		t.Errorf("server saw %d bytes", n)
	}
}

// TestNoSessionIsNoDistrust wants what says nothing about the server's identity
// to be a failed handshake alone.
func TestNoSessionIsNoDistrust(t *testing.T) {
	cert := leaf(t, sigKey(), nil)
	for name, serve := range map[string]func(net.Conn) error{
		"close": func(net.Conn) error { return nil },
		"no ALPN": func(nc net.Conn) error {
			return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{*cert}}).Handshake()
		},
		"another ALPN": func(nc net.Conn) error {
			return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2"}}).Handshake()
		},
		"TLS 1.2": func(nc net.Conn) error {
			return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{*cert}, MaxVersion: tls.VersionTLS12}).Handshake()
		},
		"not TLS": func(nc net.Conn) error {
			_, err := nc.Write([]byte("220 mail.example ESMTP\r\n"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			sn, cn := tcp(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = serve(sn) // the client's error is what is looked at
				_ = sn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, sn)
			}()
			_, err := Connect(context.Background(), cn, clientConfig(xlreg.Protocol20))
			if !errors.Is(err, ErrHandshake) || errors.Is(err, ErrUntrusted) {
				t.Errorf("connect: %v", err)
			}
			<-done
		})
	}
}

// TestAuthority looks at the chain and at when the leaf is renewed.
func TestAuthority(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	a, err := NewAuthority(private(sigKey()), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := authorityLeaf(t, a)
	root, err := x509.ParseCertificate(a.root.Raw)
	if err != nil || root.CheckSignatureFrom(root) != nil || first.CheckSignatureFrom(root) != nil {
		t.Errorf("chain does not verify: %v", err)
	}
	if !first.NotBefore.Equal(now.Add(-24*time.Hour)) || first.NotAfter.Sub(first.NotBefore) != 7*24*time.Hour {
		t.Errorf("valid from %v to %v", first.NotBefore, first.NotAfter)
	}
	if first.IsCA || first.PublicKeyAlgorithm != x509.ECDSA || first.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Error("not the form of a leaf")
	}
	now = now.Add(24*time.Hour - time.Second)
	if !authorityLeaf(t, a).Equal(first) {
		t.Error("renewed too early")
	}
	now = now.Add(time.Second)
	second := authorityLeaf(t, a)
	if second.Equal(first) || !second.NotBefore.Equal(first.NotBefore.Add(24*time.Hour)) {
		t.Error("not renewed")
	}
	now = now.Add(-48 * time.Hour)
	if third := authorityLeaf(t, a); !third.NotBefore.Before(first.NotBefore) {
		t.Error("not renewed when the clock went back")
	}
}

// The leaf's age is told by the clock that its dates are of. The one that Go
// measures times with stands still while a machine sleeps: woken a week later, a
// registry would show a leaf that has expired, for a day.
func TestAuthorityAfterSleep(t *testing.T) {
	a, err := NewAuthority(private(sigKey()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.made != a.made.Round(0) {
		t.Errorf("the leaf's age is measured from %v", a.made)
	}
}

func authorityLeaf(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	cert, err := a.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestAuthorityKey(t *testing.T) {
	if _, err := NewAuthority(private(newKey(1024)), nil); err == nil {
		t.Error("1024 bits were taken")
	}
}

// TestSmallRegistryKey wants no registry to be believed whose key has 1024 bits.
func TestSmallRegistryKey(t *testing.T) {
	small := newKey(1024)
	cfg := clientConfig(xlreg.Protocol20)
	cfg.SigKey = xlreg.SigKey(publicDER(small))
	judge(t, leaf(t, small, nil), cfg, ErrUntrusted)
}

// counting counts the session tickets that a client is given.
type counting struct{ tickets int }

func (c *counting) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (c *counting) Put(string, *tls.ClientSessionState)        { c.tickets++ }

// TestNoTickets wants no session to be resumed: certificates are looked at in
// each handshake.
func TestNoTickets(t *testing.T) {
	sn, cn := tcp(t)
	accepted := accept(t, serverConfig(t), sn)
	cfg, cache := rawTLS(), new(counting)
	cfg.ClientSessionCache, cfg.ServerName = cache, "registry"
	client := tls.Client(cn, cfg)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	if err := r.conn.Send(t.Context(), wire.NewAck()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 6)); err != nil || cache.tickets != 0 {
		t.Errorf("%d tickets, %v", cache.tickets, err)
	}
}

// TestAlertArrives wants the server that refuses a client to wait for it to take
// the alert: a close on unread bytes would be a reset.
func TestAlertArrives(t *testing.T) {
	cfg := serverConfig(t)
	ec := otherKey(t)
	shown := withCertificate(certificate(t, ec, ec.Public(), ec, nil))
	synctest.Test(t, func(t *testing.T) {
		sn, cn := pipe(t)
		accepted := accept(t, cfg, halfPipe{sn})
		start := time.Now()
		client := tls.Client(cn, shown)
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("client was not refused")
		}
		if r := <-accepted; !errors.Is(r.err, ErrHandshake) || time.Since(start) != lingerTime {
			t.Errorf("%v after %v", r.err, time.Since(start))
		}
	})
}
