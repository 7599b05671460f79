package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// files are those that a program reads.
type files struct{ cert, key, peers string }

// writeFiles writes a certificate, its key, and the certificates of a roster.
func writeFiles(t *testing.T, cert tls.Certificate, n *identity.Node, roster *client.Roster) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "peers.pem")}
	for path, content := range map[string][]byte{
		f.cert:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		f.key:   must[[]byte](t)(keys.EncodePrivate(n.Keys().Sig)),
		f.peers: must[[]byte](t)(roster.CertificatesPEM()),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// cast is who meets in these tests: a, which is ours, and b, the program, and what
// others hold who are to be refused in the place of b.
type cast struct {
	a, b      *tlsMember
	program   files
	strangers map[string]files
}

func newCast(t *testing.T) *cast {
	t.Helper()
	r := xlregtest.Start(t)
	members := tlsCluster(t, r, "c", "a", "b")
	foreign := tlsCluster(t, r, "another", "b", "z")[0]
	stranger := xlregtest.Node(t, "b")
	if err := stranger.SetEndpoints(members[1].Node().Endpoints()); err != nil {
		t.Fatal(err)
	}
	a, b := members[0], members[1]
	return &cast{
		a: a, b: b, program: writeFiles(t, b.shown(), b.Node(), b.Roster()),
		strangers: map[string]files{
			"a stranger":               writeFiles(t, fresh(t, stranger, time.Now()), stranger, b.Roster()),
			"another cluster's member": writeFiles(t, foreign.shown(), foreign.Node(), b.Roster()),
		},
	}
}

// run runs a program to its end, and returns what it says.
func run(t *testing.T, input string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// curl is a client whose server is ours.
func TestCurlWithMembersFiles(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	server := &http.Server{
		TLSConfig: c.a.config(t),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			member := c.a.Roster().ByCertificate(r.TLS.PeerCertificates[0])
			_, _ = io.WriteString(w, "hello "+string(member.Token.Name))
		}),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTLS(c.a.port, "", "") })
	defer serving.Wait()
	defer server.Close()
	get := func(f files, more ...string) (string, error) {
		return run(t, "", append([]string{
			"curl", "-sS", "--noproxy", "*", "--cacert", f.peers, "https://" + string(c.a.Self().Token.Endpoints[0]),
		}, more...)...)
	}
	if out, err := get(c.program, "--cert", c.program.cert, "--key", c.program.key); err != nil || out != "hello b" {
		t.Errorf("got %q, %v", out, err)
	}
	for who, f := range c.strangers {
		if out, err := get(f, "--cert", f.cert, "--key", f.key); err == nil {
			t.Errorf("%s got %q", who, out)
		}
	}
	if out, err := get(c.program); err == nil {
		t.Errorf("nobody got %q", out)
	}
}

// curl believes no server but a member.
func TestCurlRefusesStrangers(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for who, f := range c.strangers {
		config := lax(must[tls.Certificate](t)(tls.LoadX509KeyPair(f.cert, f.key)))
		l := tls.NewListener(listenAnywhere(t), config)
		var serving sync.WaitGroup
		serving.Go(func() {
			if nc, err := l.Accept(); err == nil {
				_ = nc.(*tls.Conn).Handshake()
				nc.Close()
			}
		})
		out, err := run(t, "", "curl", "-sS", "--noproxy", "*", "--cacert", c.program.peers,
			"--cert", c.program.cert, "--key", c.program.key, "https://"+l.Addr().String())
		if err == nil || !strings.Contains(out, "certificate") {
			t.Errorf("%s: curl says %q, %v", who, out, err)
		}
		serving.Wait()
	}
}

func TestOpenSSLClientWithMembersFiles(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	l := c.a.listenOn(t, c.a.port)
	connect := func(f files) (string, error) {
		return run(t, "", "openssl", "s_client", "-connect", l.Addr().String(), "-quiet", "-tls1_3",
			"-CAfile", f.peers, "-verify_return_error", "-cert", f.cert, "-key", f.key)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := tellNames(l, 1); err != nil {
			t.Error(err)
		}
	})
	for who, f := range c.strangers {
		if out, err := connect(f); err == nil || !strings.Contains(out, "bad certificate") {
			t.Errorf("%s: openssl says %q, %v", who, out, err)
		}
	}
	if out, err := connect(c.program); err != nil || !strings.HasSuffix(out, "b") {
		t.Errorf("openssl says %q, %v", out, err)
	}
	serving.Wait()
}

// openSSLServer starts a server that sends each line back in reverse, and returns
// where it is.
func openSSLServer(t *testing.T, f files) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-tls1_3",
		"-CAfile", f.peers, "-Verify", "1", "-verify_return_error", "-cert", f.cert, "-key", f.key)
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			reading.Go(func() { _, _ = io.Copy(io.Discard, out) })
			return addr
		}
	}
	t.Fatalf("openssl s_server does not say where it is: %v", lines.Err())
	return ""
}

// reverse has an openssl server reverse a line.
func reverse(t *testing.T, addr string, config *tls.Config) (string, error) {
	t.Helper()
	nc := must[net.Conn](t)(net.Dial("tcp", addr))
	defer nc.Close()
	c := tls.Client(nc, config)
	if _, err := io.WriteString(c, "desrever\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func TestOpenSSLServerWithMembersFiles(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	addr := openSSLServer(t, c.program)
	if got, err := reverse(t, addr, c.a.config(t)); err != nil || got != "reversed\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for who, f := range c.strangers {
		own := must[tls.Certificate](t)(tls.LoadX509KeyPair(f.cert, f.key))
		if got, err := reverse(t, addr, lax(own)); err == nil {
			t.Errorf("%s got %q", who, got)
		}
	}
	if got, err := reverse(t, addr, lax()); err == nil {
		t.Errorf("nobody got %q", got)
	}
	for who, f := range c.strangers {
		_, err := reverse(t, openSSLServer(t, f), c.a.config(t))
		wantRefused(t, who+" as server", err, "no member")
	}
	if got, err := reverse(t, addr, c.a.config(t)); err != nil || got != "reversed\n" {
		t.Errorf("after all that got %q, %v", got, err)
	}
}

// A program that holds the old files goes on with a member whose clock says that it
// is time for a new certificate, for what is shown is what they hold.
func TestOpenSSLWithOldFiles(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	addr := openSSLServer(t, c.program)
	c.a.clock.forward(keys.DefaultCertificateLife * 9 / 10)
	if got, err := reverse(t, addr, c.a.config(t)); err != nil || got != "reversed\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := reverse(t, addr, lax(fresh(t, c.a.Node(), time.Now()))); err == nil {
		t.Error("a certificate that is not in the file is accepted")
	}
}
