package examples

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
)

// The scripts end only when all that they have started is gone: it holds their
// output open.
func TestShellScripts(t *testing.T) {
	for script, says := range map[string]string{
		"etcd.sh": "written on m0, read on m2\n", "nats.sh": "written on m0, read on m2\n",
		"three-servers.sh": "formed without one of the servers and one member of etcd\n",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			out, err := command(t, "./"+script).CombinedOutput()
			if err != nil || string(out) != says {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestHello(t *testing.T) {
	out, err := command(t, "xlreg", "run", "-q", "-n", "3", "--pass-listeners", "--", "hello").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	want := []string{
		`m0 | "hello from m1" on m1`, `m0 | "hello from m2" on m2`, `m1 | "hello from m0" on m0`,
		`m1 | "hello from m2" on m2`, `m2 | "hello from m0" on m0`, `m2 | "hello from m1" on m1`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// etcd takes members and nobody else, for its peers and for its clients.
func TestEtcdRefusesStrangers(t *testing.T) {
	r := start(t, "etcd", `{{args "etcd"}}`, "--data-dir", "{{.Dir}}/etcd")
	m1, peers := r.of("m1")
	for port, path := range []string{"/members", "/version"} {
		url := fmt.Sprintf("https://%s%s", r.endpoints[0][port], path)
		until(t, url, func() error { return curl(t, url, peers, m1) })
		for who, stranger := range strangers(t) {
			if err := curl(t, url, peers, stranger); err == nil {
				t.Errorf("%s is served at %s", who, url)
			}
		}
		if err := curl(t, url, peers, files{}); err == nil {
			t.Errorf("somebody without a certificate is served at %s", url)
		}
	}
}

// curl asks as somebody, or nobody.
func curl(t *testing.T, url, peers string, who files) error {
	t.Helper()
	args := []string{"-sS", "--fail", "--http1.1", "--max-time", "20", "--cacert", peers, url}
	if who.cert != "" {
		args = append(args, "--cert", who.cert, "--key", who.key)
	}
	if out, err := command(t, "curl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// NATS takes members and nobody else, as routes and as clients.
func TestNATSRefusesStrangers(t *testing.T) {
	r := start(t, "nats-server", "-c", `{{file "nats"}}`)
	m1, peers := r.of("m1")
	for port := range 2 {
		at := r.endpoints[0][port]
		nats := natsClient
		if port == 0 {
			nats = natsRoute
		}
		until(t, string(at), func() error { return nats(at, peers, &m1) })
		for who, stranger := range strangers(t) {
			if err := nats(at, peers, &stranger); err == nil {
				t.Errorf("%s is served at %s", who, at)
			}
		}
		if err := nats(at, peers, nil); err == nil {
			t.Errorf("somebody without a certificate is served at %s", at)
		}
	}
}

// natsClient does as a client: the server speaks first, then both TLS, and then it
// answers a PING if it has accepted the certificate.
func natsClient(at xlreg.Endpoint, peers string, who *files) error {
	raw, err := dial(at)
	if err != nil {
		return err
	}
	defer raw.Close()
	info, err := bufio.NewReaderSize(raw, 1<<16).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(info, "INFO ") || !strings.Contains(info, `"tls_required":true`) {
		return fmt.Errorf("the server says %q", info)
	}
	return speakNATS(raw, at, peers, who, "CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG")
}

// natsRoute does as another server: both speak TLS at once, and then the server says
// who it is.
func natsRoute(at xlreg.Endpoint, peers string, who *files) error {
	raw, err := dial(at)
	if err != nil {
		return err
	}
	defer raw.Close()
	return speakNATS(raw, at, peers, who, "", "INFO ")
}

func dial(at xlreg.Endpoint) (net.Conn, error) {
	c, err := net.Dial("tcp", string(at))
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(20 * time.Second))
}

// speakNATS shakes hands as somebody, or nobody, says something and wants an answer.
func speakNATS(raw net.Conn, at xlreg.Endpoint, peers string, who *files, say, want string) error {
	config := &tls.Config{ServerName: at.Host(), RootCAs: x509.NewCertPool()}
	data, err := os.ReadFile(peers)
	if err != nil || !config.RootCAs.AppendCertsFromPEM(data) {
		return fmt.Errorf("no certificates in %s: %w", peers, err)
	}
	if who != nil {
		pair, err := tls.LoadX509KeyPair(who.cert, who.key)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	c := tls.Client(raw, config)
	if _, err := fmt.Fprint(c, say); err != nil { // shakes hands, whatever there is to say
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, want) {
		err = errors.New(line)
	}
	return err
}
