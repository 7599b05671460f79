package admin

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/atomicfile"
)

// Certificate is what the admin side proves itself with over TLS: the operator's, from
// two files that may be replaced while it runs, or one of its own.
type Certificate struct {
	certFile, keyFile string
	own               bool
	hosts             []string // names in one of its own
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate // guarded by mu
	leaf   *x509.Certificate
	seen   [2]fs.FileInfo // guarded by mu; the files that pair was read from
	looked time.Time      // guarded by mu
}

// How long a certificate of the admin side's own is good, and how long before its end
// there is a new one. The key stays the same, and so does what clients pin.
const (
	ownLife    = 397 * 24 * time.Hour
	ownRenewal = 60 * 24 * time.Hour

	certLookEvery = time.Second
	maxSerialBits = 120
)

// The files of a certificate of the admin side's own, in the data directory.
const (
	ownCertFile = "admin-cert.pem"
	ownKeyFile  = "admin-key.pem"
)

// LoadCertificate reads the operator's certificate and key, which are read again when
// the files change.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: cmp.Or(log, slog.New(slog.DiscardHandler))}
	return c, c.load()
}

// OwnCertificate opens the certificate of the admin side's own in dir, made with its key
// if there is none. It is signed by its own key: clients compare the key's sum, see Pin.
func OwnCertificate(dir string, hosts []string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{
		certFile: filepath.Join(dir, ownCertFile), keyFile: filepath.Join(dir, ownKeyFile),
		own: true, hosts: hosts, log: cmp.Or(log, slog.New(slog.DiscardHandler)),
	}
	err := c.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = c.renew()
	}
	return c, err
}

// Pin returns the SHA-256 of the public key, in the form that curl --pinnedpubkey takes.
func (c *Certificate) Pin() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pinOf(c.leaf)
}

func pinOf(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:])
}

// Until returns when the certificate expires.
func (c *Certificate) Until() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaf.NotAfter
}

// Own reports whether nobody vouches for the certificate but its own key.
func (c *Certificate) Own() bool { return c.own }

// Reload reads the files anew. An error leaves the certificate as it was.
func (c *Certificate) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *Certificate) load() error { return c.Reload() }

// read needs mu held.
func (c *Certificate) read() error {
	c.looked = time.Now()
	seen, err := c.stat()
	if err != nil {
		return fmt.Errorf("certificate of the admin side: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate of the admin side: %w", err)
	}
	c.pair, c.leaf, c.seen = &pair, pair.Leaf, seen
	return nil
}

func (c *Certificate) stat() (seen [2]fs.FileInfo, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if seen[i], err = os.Stat(name); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// current returns what is shown in a handshake now, for tls.Config.GetCertificate.
func (c *Certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certLookEvery {
		return c.pair, nil
	}
	c.looked = time.Now()
	err := c.refresh()
	if err != nil {
		c.log.Warn("the certificate of the admin side stays as it was", "err", err)
	}
	return c.pair, nil
}

// refresh needs mu held.
func (c *Certificate) refresh() error {
	if c.own && time.Until(c.leaf.NotAfter) < ownRenewal {
		return c.makeOwn()
	}
	seen, err := c.stat()
	if err != nil {
		return err
	}
	if sameFile(seen[0], c.seen[0]) && sameFile(seen[1], c.seen[1]) {
		return nil
	}
	return c.read()
}

// renew makes a certificate of the admin side's own.
func (c *Certificate) renew() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.makeOwn()
}

// makeOwn needs mu held.
func (c *Certificate) makeOwn() error {
	key, err := c.ownKey()
	if err != nil {
		return fmt.Errorf("key of the admin side: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), maxSerialBits))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "xlreg admin"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(ownLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              append([]string{"localhost"}, c.hosts...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := writePEM(c.certFile, "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	return c.read()
}

// ownKey returns the key of the admin side, made if there is none.
func (c *Certificate) ownKey() (*ecdsa.PrivateKey, error) {
	if c.pair != nil {
		if key, ok := c.pair.PrivateKey.(*ecdsa.PrivateKey); ok {
			return key, nil
		}
	}
	text, err := os.ReadFile(c.keyFile)
	if err == nil {
		return parseOwnKey(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(c.keyFile, "PRIVATE KEY", der, 0o600)
}

func parseOwnKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM in it")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it cannot be read") // what is in it is not for a log
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is of another kind than P-256")
	}
	return key, nil
}

func writePEM(path, kind string, der []byte, perm os.FileMode) error {
	return atomicfile.Write(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), perm)
}

// maxServerName is the longest name of a host that there is.
const maxServerName = 255

// tlsConfig is for browsers and programs of today. Clients are asked for a certificate
// only where one could be good for something, as browsers ask people which to send.
func (s *Server) tlsConfig(cert *Certificate) *tls.Config {
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true, // what a client has shown is looked at each time
		GetCertificate:         cert.current,
		GetConfigForClient:     greet,
	}
	if len(s.cfg.Admins) > 0 {
		cfg.ClientAuth = tls.RequestClientCert
	}
	return cfg
}

// greet has a handshake wait for its turn.
func greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if n := len(hello.ServerName); n > maxServerName {
		return nil, fmt.Errorf("server name of %d bytes", n)
	}
	c, ok := hello.Conn.(*guest)
	if !ok {
		return nil, nil
	}
	return nil, c.takeTurn(context.WithoutCancel(hello.Context()))
}
