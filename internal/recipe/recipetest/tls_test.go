package recipetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// errRefused says that the other end has ended the connection because of who we are.
var errRefused = errors.New("refused")

// silence is less than servers wait for a client to say something.
const silence = 5 * time.Second

// foreignCertificate returns one that looks like that of a member and is that of nobody.
func foreignCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "m0"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"m0", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// foreignFiles returns the paths of a certificate and a key like foreignCertificate's.
func foreignFiles(t *testing.T) (cert, key string) {
	t.Helper()
	foreign := foreignCertificate(t)
	der, err := x509.MarshalPKCS8PrivateKey(foreign.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: foreign.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// knock connects to a port with a certificate, or without, and returns nil if it is let in. A
// server may refuse a certificate after the client thinks that the handshake is over, and
// then the first read says so, within this time: one who is let in gets nothing to read, or
// something.
func knock(p port, address string, cert *tls.Certificate, within time.Duration) error {
	conn, err := net.DialTimeout("tcp", address, 30*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a connection that is closed fails by itself
	if p.hello != nil {
		if err := p.hello(conn); err != nil {
			return err
		}
	}
	client := tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true, // whom the server lets in is the question here
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert == nil {
				return new(tls.Certificate), nil
			}
			return cert, nil
		},
	})
	if err := client.Handshake(); err != nil {
		return refusal(err)
	}
	begin := time.Now()
	_ = conn.SetDeadline(begin.Add(within))
	_, err = client.Read(make([]byte, 1))
	if timeout := net.Error(nil); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	if !isAlert(err) && time.Since(begin) > silence {
		return err // it has waited for what we did not say
	}
	return refusal(err)
}

// refusal returns err as errRefused if it is how one is refused.
func refusal(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isAlert(err) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// isAlert reports whether err is what the other end said of TLS.
func isAlert(err error) bool {
	op := new(net.OpError)
	return errors.As(err, &op) && op.Op == "remote error"
}
