package session

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys of this test binary: the registry's two and a client's.
var (
	commsKey  = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	sigKey    = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	clientKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
)

func newKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// private returns key as this package takes it.
func private(key *rsa.PrivateKey) keys.Private {
	p, err := keys.NewPrivate(key)
	if err != nil {
		panic(err)
	}
	return p
}

// fakeKey is a comms key that decrypts as a test wants it to.
type fakeKey struct {
	size    int
	decrypt func(ciphertext []byte) ([]byte, error)
}

func (k *fakeKey) CiphertextLen() int               { return k.size }
func (k *fakeKey) Decrypt(b []byte) ([]byte, error) { return k.decrypt(b) }

func publicDER(key *rsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return der
}

var protocols = []xlreg.Protocol{xlreg.Protocol18, xlreg.Protocol19, xlreg.Protocol20}

// limits are the times of most tests: the tests that wait for one to pass do so
// in a synctest bubble.
var limits = Limits{Message: 10 * time.Second, Idle: 120 * time.Second, Write: 10 * time.Second}

func serverConfig(t testing.TB) ServerConfig {
	t.Helper()
	authority, err := NewAuthority(private(sigKey()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ServerConfig{
		Comms:     private(commsKey()).(keys.Decrypter),
		Authority: authority,
		Protocols: protocols,
		Limits:    limits,
	}
}

func clientConfig(p xlreg.Protocol) ClientConfig {
	return ClientConfig{
		Protocol: p,
		CommsKey: xlreg.CommsKey(publicDER(commsKey())),
		SigKey:   xlreg.SigKey(publicDER(sigKey())),
		Limits:   limits,
	}
}

// network makes a connected pair of connections.
type network func(t testing.TB) (server, client net.Conn)

var networks = map[string]network{"pipe": pipe, "tcp": tcp}

func pipe(t testing.TB) (server, client net.Conn) {
	server, client = net.Pipe()
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

func tcp(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// result is what Accept returned.
type result struct {
	conn Conn
	err  error
}

// accept runs the server's handshake in a goroutine.
func accept(t testing.TB, cfg ServerConfig, nc net.Conn) <-chan result {
	t.Helper()
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan result, 1)
	go func() {
		c, err := s.Accept(context.Background(), nc)
		done <- result{c, err}
	}()
	return done
}

// pair returns both ends of a session over p.
func pair(t testing.TB, n network, p xlreg.Protocol) (server, client Conn) {
	t.Helper()
	return pairWith(t, n, serverConfig(t), clientConfig(p))
}

func pairWith(t testing.TB, n network, sc ServerConfig, cc ClientConfig) (server, client Conn) {
	t.Helper()
	sn, cn := n(t)
	accepted := accept(t, sc, sn)
	client, err := Connect(context.Background(), cn, cc)
	if err != nil {
		t.Fatal(err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.conn.Close(); client.Close() })
	return r.conn, client
}

// each runs f over every carrier.
func each(t *testing.T, f func(t *testing.T, p xlreg.Protocol)) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) { f(t, p) })
	}
}

// member is a request of about the size that they have.
func member(name string) *wire.Message {
	return wire.NewMember(&xlreg.Token{
		Name:      xlreg.Name(name),
		CommsKey:  xlreg.CommsKey(make([]byte, 294)),
		SigKey:    xlreg.SigKey(make([]byte, 294)),
		Endpoints: []xlreg.Endpoint{"127.0.0.1:1"},
		DigSig:    make([]byte, 256),
	})
}

// text returns m encoded, to compare messages by.
func text(t testing.TB, m *wire.Message) string {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// send sends in a goroutine, since over a pipe it waits for the reader.
func send(c Conn, m *wire.Message) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Send(context.Background(), m) }()
	return done
}

// pass sends m from one end and wants it at the other.
func pass(t testing.TB, from, to Conn, m *wire.Message) {
	t.Helper()
	sent := send(from, m)
	got, err := to.Receive(context.Background())
	if err != nil {
		t.Fatalf("receive %v: %v", m.Op(), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if text(t, got) != text(t, m) {
		t.Fatalf("received %v, not the %v that was sent", got.Op(), m.Op())
	}
}

func TestSession(t *testing.T) {
	for name, n := range networks {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p xlreg.Protocol) {
				server, client := pair(t, n, p)
				for i := range 5 {
					pass(t, client, server, member(fmt.Sprintf("m%d", i)))
					pass(t, server, client, wire.NewAck())
				}
				pass(t, client, server, wire.NewBye())
				if err := client.Close(); err != nil {
					t.Error(err)
				}
				if err := client.Close(); err != nil {
					t.Errorf("second close: %v", err)
				}
				if _, err := server.Receive(context.Background()); !errors.Is(err, ErrClosed) {
					t.Errorf("after the client's close: %v", err)
				}
			})
		})
	}
}

func TestPeer(t *testing.T) {
	each(t, func(t *testing.T, p xlreg.Protocol) {
		server, client := pair(t, tcp, p)
		s, c := server.Peer(), client.Peer()
		if s.Protocol != p || c.Protocol != p {
			t.Errorf("protocols %v and %v", s.Protocol, c.Protocol)
		}
		if !s.Addr.Addr().IsLoopback() || !c.Addr.Addr().Is4() || s.Addr.Port() == c.Addr.Port() {
			t.Errorf("addresses %v and %v", s.Addr, c.Addr)
		}
		if p.Classic() && (len(s.Salt) != saltLen || string(s.Salt) != string(c.Salt)) {
			t.Errorf("salts %x and %x", s.Salt, c.Salt)
		}
		if !p.Classic() && c.SigKey != xlreg.SigKey(publicDER(sigKey())) {
			t.Error("not the registry's key")
		}
		if s.Certificate != nil || s.SigKey != "" {
			t.Error("server sees a certificate that was not shown")
		}
	})
}

// certificate is a self-signed one with whatever key.
func certificate(t testing.TB, key any, public any, signer any, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0), // long expired: nobody looks
		NotAfter:     time.Unix(1, 0),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The server knows a client by the key that it proved, of either kind.
func TestClientCertificate(t *testing.T) {
	ec := ecKey(t)
	for name, shown := range map[string]*tls.Certificate{
		"RSA":   certificate(t, clientKey(), clientKey().Public(), clientKey(), nil),
		"P-256": certificate(t, ec, ec.Public(), ec, nil),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clientConfig(xlreg.Protocol20)
			cfg.Certificate = shown
			server, client := pairWith(t, tcp, serverConfig(t), cfg)
			pass(t, client, server, wire.NewBye())
			peer := server.Peer()
			der, err := x509.MarshalPKIXPublicKey(shown.PrivateKey.(crypto.Signer).Public())
			if err != nil {
				t.Fatal(err)
			}
			if peer.SigKey != xlreg.SigKey(der) {
				t.Error("not the client's key")
			}
			if string(peer.Certificate) != string(shown.Certificate[0]) {
				t.Error("not the client's certificate")
			}
		})
	}
}

// A client that shows a certificate and does not hold its key is nobody.
func TestBorrowedCertificate(t *testing.T) {
	ec := ecKey(t)
	cfg := clientConfig(xlreg.Protocol20)
	cfg.Certificate = certificate(t, ecKey(t), ec.Public(), ec, nil)
	sn, cn := tcp(t)
	accepted := accept(t, serverConfig(t), sn)
	client, err := Connect(context.Background(), cn, cfg)
	if err == nil {
		defer client.Close()
	}
	if r := <-accepted; !errors.Is(r.err, ErrHandshake) {
		t.Errorf("accept: %v", r.err)
	}
}

func TestFingerprintAlone(t *testing.T) {
	want := xlreg.SigKey(publicDER(sigKey()))
	print, err := keys.Fingerprint(want)
	if err != nil {
		t.Fatal(err)
	}
	cfg := clientConfig(xlreg.Protocol20)
	cfg.SigKey, cfg.Fingerprint = "", print
	server, client := pairWith(t, pipe, serverConfig(t), cfg)
	pass(t, client, server, wire.NewBye())
	if client.Peer().SigKey != want {
		t.Error("client did not take the key from the chain")
	}
}
