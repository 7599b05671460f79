package trial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// prelude is what is said on a connection before TLS begins.
type prelude func(net.Conn) error

func nothing(net.Conn) error { return nil }

// refusesStrangers holds a port to mutual TLS: it takes a member, and neither somebody
// without a certificate nor somebody with one of their own.
func (c *cluster) refusesStrangers(port string, begin prelude) {
	c.t.Helper()
	member, err := tls.LoadX509KeyPair(c.file("m1", "cert.pem"), c.file("m1", "key.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	address := c.endpoint("m0", port)
	if err := knock(address, begin, member); err != nil {
		c.t.Errorf("port %s refuses a member: %v", port, err)
	}
	for who, cert := range map[string][]tls.Certificate{"without a certificate": nil, "with one of their own": {ownCertificate(c.t)}} {
		if err := knock(address, begin, cert...); err == nil {
			c.t.Errorf("port %s takes somebody %s", port, who)
		} else {
			c.t.Logf("port %s refuses somebody %s: %v", port, who, err)
		}
	}
	c.knowsMembersAlone(port, address, begin)
}

// knowsMembersAlone checks what the port itself shows: the certificate that the others know.
func (c *cluster) knowsMembersAlone(port, address string, begin prelude) {
	c.t.Helper()
	peers, err := os.ReadFile(c.file("m1", "peers.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(peers)
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), begin(conn)); err != nil {
		c.t.Fatal(err)
	}
	member, err := tls.LoadX509KeyPair(c.file("m1", "cert.pem"), c.file("m1", "key.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{member}})
	if err := secured.Handshake(); err != nil {
		c.t.Errorf("port %s has a certificate that members do not know: %v", port, err)
	}
}

// knock connects with a certificate, and returns why it was refused. In TLS 1.3 a client only
// learns this when it reads; one that is taken hears nothing, or something, for a while.
func knock(address string, begin prelude, certs ...tls.Certificate) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), begin(conn)); err != nil {
		return err
	}
	// Who is refused is to be refused by the port, and not by what it has to show.
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: certs}) //nolint:gosec // see above
	if err := client.Handshake(); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	_, err = client.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// ownCertificate is one like those of members, except that no member knows it.
func ownCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "m1"}, DNSNames: []string{"m1"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
