package launch

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// certified is a cluster whose members have their files.
type certified struct {
	data  []*Data // in the order of indexes
	nodes []*xlregtest.Membership
}

// certifyTwo makes a cluster of two and writes the files of each member.
func certifyTwo(t *testing.T, o FileOptions, opts ...xlregtest.Option) *certified {
	t.Helper()
	c := new(certified)
	dir := t.TempDir()
	c.nodes = xlregtest.Cluster(t, 2, opts...)
	for i, m := range c.nodes {
		c.data = append(c.data, dataOf(t, m, filepath.Join(dir, fmt.Sprint(i))))
	}
	c.write(t, o)
	return c
}

func (c *certified) write(t *testing.T, o FileOptions) {
	t.Helper()
	for i := range c.nodes {
		c.writeOne(t, i, o)
	}
}

func (c *certified) writeOne(t *testing.T, i int, o FileOptions) {
	t.Helper()
	if err := o.Write(c.data[i], c.nodes[i].Node()); err != nil {
		t.Fatal(err)
	}
}

func (c *certified) files(t *testing.T, i int) TLS {
	t.Helper()
	files, err := c.data[i].TLS()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func testAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority("web", time.Hour*24*90)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorityIssues(t *testing.T) {
	for _, kind := range []keys.Kind{keys.P256, keys.RSA} {
		a := testAuthority(t)
		c := certifyTwo(t, FileOptions{Authority: a, Names: []string{"db.example", "*.example", "192.0.2.7"}}, xlregtest.WithKeys(kind))
		root, leaf := readOne(t, c.files(t, 0).Peers), readOne(t, c.files(t, 0).Cert)
		if !root.Equal(a.Certificate()) || !root.IsCA || root.MaxPathLen != 0 || root.KeyUsage != x509.KeyUsageCertSign {
			t.Errorf("%v: the authority is %+v", kind, root)
		}
		name := c.data[0].Self.Name
		if leaf.IsCA || leaf.Subject.CommonName != name || fmt.Sprint(leaf.DNSNames) != fmt.Sprintf("[%s localhost db.example *.example]", name) ||
			fmt.Sprint(leaf.IPAddresses) != "[127.0.0.1 192.0.2.7]" {
			t.Errorf("%v: the leaf of %s has %v and %v", kind, leaf.Subject, leaf.DNSNames, leaf.IPAddresses)
		}
		if encipher := leaf.KeyUsage&x509.KeyUsageKeyEncipherment != 0; encipher != (kind == keys.RSA) || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			t.Errorf("%v: usage %b", kind, leaf.KeyUsage)
		}
		if _, err := tls.LoadX509KeyPair(c.files(t, 0).Cert, c.files(t, 0).Key); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if _, err := tls.LoadX509KeyPair(c.files(t, 0).KeyCert, c.files(t, 0).KeyCert); err != nil {
			t.Errorf("%v: keycert.pem: %v", kind, err)
		}
		for i := range 2 {
			for _, purpose := range []string{"sslserver", "sslclient"} {
				out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", c.files(t, 1-i).Peers, c.files(t, i).Cert).CombinedOutput()
				if err != nil {
					t.Errorf("%v, %s: %v\n%s", kind, purpose, err, out)
				}
			}
		}
	}
}

// A member may be called what the authority is called.
func TestMemberNamedAsItsAuthority(t *testing.T) {
	c := certifyTwo(t, FileOptions{})
	a, err := NewAuthority(c.data[0].Self.Name, 90*day)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, FileOptions{Authority: a})
	files := c.files(t, 0)
	if out, err := exec.Command("openssl", "verify", "-x509_strict", "-CAfile", files.Peers, files.Cert).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func readOne(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	cert, err := readCertificate(path)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// No way of printing shows a key, and one that is forgotten serves nobody any more.
func TestForget(t *testing.T) {
	a := testAuthority(t)
	for _, text := range []string{fmt.Sprintf("%v", a), fmt.Sprintf("%+v %#v", a, a), fmt.Sprintf("%+v", FileOptions{Authority: a})} {
		if strings.Contains(text, "PrivateKey") || strings.Contains(text, " D:") {
			t.Errorf("printed as %s", text)
		}
	}
	c := certifyTwo(t, FileOptions{Authority: a})
	a.Forget()
	a.Forget()
	if err := (FileOptions{Authority: a}).Write(c.data[0], c.nodes[0].Node()); !errors.Is(err, ErrForgotten) {
		t.Errorf("after that: %v", err)
	}
	if _, err := os.Stat(c.files(t, 0).Cert); err != nil {
		t.Errorf("the certificate of before is gone: %v", err)
	}
}

func TestNamesThatNobodyCanHave(t *testing.T) {
	c := certifyTwo(t, FileOptions{})
	for _, name := range []string{"", "a b", "1.2.3", "a..b", "*", "*.1.2.3.4"} {
		err := FileOptions{Authority: testAuthority(t), Names: []string{name}}.Write(c.data[0], c.nodes[0].Node())
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is neither", name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"localhost", "*.example.org", "::1", "10.0.0.1"} {
		if err := CheckSAN(name); err != nil {
			t.Error(err)
		}
	}
}

// ends returns the files of two members, and of nodes that are none.
func ends(t *testing.T, o FileOptions) (server, client TLS, strangers map[string]TLS) {
	t.Helper()
	members, others, alone := certifyTwo(t, o), certifyTwo(t, FileOptions{Authority: testAuthority(t), KeyStores: o.KeyStores}), certifyTwo(t, FileOptions{KeyStores: o.KeyStores})
	server = members.files(t, 0)
	stranger := func(c *certified) TLS { // trusts the members, but is none
		files := c.files(t, 1)
		files.Peers, files.TrustStore = server.Peers, server.TrustStore
		return files
	}
	return server, members.files(t, 1), map[string]TLS{"of another authority": stranger(others), "its own": stranger(alone)}
}

// options are the ways in which members come to certificates.
func options(t *testing.T) map[string]FileOptions {
	return map[string]FileOptions{"self": {}, "ca": {Authority: testAuthority(t)}}
}

func TestMutualTLS(t *testing.T) {
	for name, o := range options(t) {
		server, client, strangers := ends(t, o)
		if err := shakeHands(t, server, client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, files := range strangers {
			if err := shakeHands(t, server, files); err == nil {
				t.Errorf("%s: a client whose certificate is %s is let in", name, what)
			}
			files.Peers, server.Peers = server.Peers, files.Peers
			if err := shakeHands(t, files, client); err == nil {
				t.Errorf("%s: a server whose certificate is %s is trusted", name, what)
			}
			files.Peers, server.Peers = server.Peers, files.Peers
		}
	}
}

// shakeHands returns what either end says of the other.
func shakeHands(t *testing.T, server, client TLS) error {
	t.Helper()
	s, c := goTLS(t, server), goTLS(t, client)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(far, s).Handshake(); far.Close() }()
	conn := tls.Client(near, c)
	err := conn.Handshake()
	if err == nil { // with TLS 1.3 a server refuses afterwards
		_, err = conn.Read(make([]byte, 1))
	}
	near.Close()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, <-done)
}

func goTLS(t *testing.T, files TLS) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.KeyCert, files.KeyCert)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(files.Peers)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, ServerName: "127.0.0.1",
	}
}

func TestMutualTLSWithOpenSSL(t *testing.T) {
	for name, o := range options(t) {
		server, client, strangers := ends(t, o)
		at := serveOpenSSL(t, server)
		if out := askOpenSSL(t, at, client); !strings.Contains(out, "gnip") {
			t.Errorf("%s: %s", name, out)
		}
		for what, files := range strangers {
			// The alert that says why may be lost when the server hangs up.
			if out := askOpenSSL(t, at, files); strings.Contains(out, "gnip") {
				t.Errorf("%s: a client whose certificate is %s: %s", name, what, out)
			}
		}
		if out := askOpenSSL(t, at, client); !strings.Contains(out, "gnip") {
			t.Errorf("%s: a member after strangers: %s", name, out)
		}
	}
}

// serveOpenSSL runs a server that sends back each line in reverse, to those it trusts.
func serveOpenSSL(t *testing.T, files TLS) (at string) {
	t.Helper()
	return serveUntil(t, `ACCEPT (\S+)`, "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", files.Cert, "-key", files.Key,
		"-CAfile", files.Peers, "-Verify", "1", "-verify_return_error", "-rev")
}

// serveUntil runs a server for as long as the test lasts, and returns what it says of itself.
func serveUntil(t *testing.T, says string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe() // some servers end with it
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	want := regexp.MustCompile(says)
	for lines.Scan() {
		if found := want.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return found[1]
		}
	}
	t.Fatalf("%s ended: %s", command[0], &errs)
	return ""
}

func askOpenSSL(t *testing.T, at string, files TLS) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", at, "-quiet", "-cert", files.Cert, "-key", files.Key,
		"-CAfile", files.Peers, "-verify_return_error", "-verify_ip", "127.0.0.1")
	cmd.Stdin = strings.NewReader("ping\nCLOSE\n")
	out, _ := cmd.CombinedOutput() // the text says more than the status
	return string(out)
}

// A run that starts again finds what it had.
func TestKeptAuthority(t *testing.T) {
	a := testAuthority(t)
	names := []string{"db.example"}
	o := FileOptions{Authority: a, Names: names}
	c := certifyTwo(t, o)
	before := readOne(t, c.files(t, 1).Cert)
	kept := KeptAuthority(c.data, names)
	if kept == nil || !kept.Certificate().Equal(a.Certificate()) {
		t.Fatal("not kept")
	}
	c.write(t, FileOptions{Authority: kept, Names: names})
	if !readOne(t, c.files(t, 1).Cert).Equal(before) || KeptAuthority(c.data, names) == nil {
		t.Error("another certificate")
	}
	now := time.Now()
	for what, at := range map[string]time.Time{"a third left": now.Add(60 * day), "not valid yet": now.Add(-2 * time.Hour)} {
		if keptAuthority(c.data, names, at) != nil {
			t.Errorf("%s: kept", what)
		}
	}
	if keptAuthority(c.data, names, now.Add(59*day)) == nil {
		t.Error("not kept with more than a third left")
	}
	for what, spoil := range map[string]func() (wanted []string){
		"another name":   func() []string { return []string{"other.example"} },
		"no name":        func() []string { return nil },
		"no certificate": func() []string { remove(t, c.files(t, 1).Cert); return names },
		"no authority":   func() []string { remove(t, c.files(t, 0).Peers); return names },
		"two authorities": func() []string {
			c.writeOne(t, 1, FileOptions{Authority: testAuthority(t), Names: names})
			return names
		},
		"one for itself": func() []string { c.writeOne(t, 1, FileOptions{}); return names },
		"another's":      func() []string { copyFile(t, c.files(t, 0).Cert, c.files(t, 1).Cert); return names },
		"other addresses": func() []string {
			c.data[1].Self.Endpoints = []xlreg.Endpoint{"192.0.2.1:1"}
			return names
		},
	} {
		c.data[1].Self.Endpoints = c.nodes[1].Self().Token.Endpoints
		c.write(t, o)
		if wanted := spoil(); KeptAuthority(c.data, wanted) != nil {
			t.Errorf("%s: kept", what)
		}
	}
	if KeptAuthority(nil, nil) != nil {
		t.Error("an authority of nobody")
	}
	c.data[0].NoTLS = true
	if KeptAuthority(c.data, names) != nil {
		t.Error("an authority where nobody wants TLS")
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
