package launch

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

// Java's own tool finds in each file what has to be there.
func TestKeytoolReadsTheStores(t *testing.T) {
	for name, o := range options(t) {
		o.KeyStores = true
		c := certifyTwo(t, o)
		files := c.files(t, 0)
		own := keytool(t, files.KeyStore)
		if strings.Count(own, "Entry type: PrivateKeyEntry") != 1 || strings.Contains(own, "trustedCertEntry") || !strings.Contains(own, "CN="+c.data[0].Self.Name) {
			t.Errorf("%s: member.p12 has\n%s", name, own)
		}
		want := []string{"Alias name: m0", "Alias name: m1"}
		if o.Authority != nil {
			want = []string{"Alias name: authority"}
		}
		peers := keytool(t, files.TrustStore)
		if strings.Count(peers, "Entry type: trustedCertEntry") != len(want) || strings.Contains(peers, "PrivateKeyEntry") {
			t.Errorf("%s: peers.p12 has\n%s", name, peers)
		}
		for _, alias := range want {
			if !strings.Contains(peers, alias) {
				t.Errorf("%s: no %q in\n%s", name, alias, peers)
			}
		}
	}
}

func keytool(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("keytool", "-list", "-v", "-keystore", path, "-storepass", keyStorePassword,
		"-J-Duser.language=en").CombinedOutput()
	if err != nil {
		t.Fatalf("%v (Debian package default-jre-headless)\n%s", err, out)
	}
	return string(out)
}

// The stores are written for those who want them, and do not stay for others.
func TestStoresOnDemand(t *testing.T) {
	o := FileOptions{Authority: testAuthority(t), KeyStores: true}
	c := certifyTwo(t, o)
	files := c.files(t, 0)
	stores := []string{files.KeyStore, files.TrustStore}
	for _, path := range stores {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	o.KeyStores = false
	c.write(t, o)
	for _, path := range stores {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s stays: %v", path, err)
		}
	}
	o.KeyStores = true
	c.write(t, o)
	c.data[0].NoTLS = true
	c.writeOne(t, 0, o)
	if entries, err := os.ReadDir(c.data[0].Dir); err != nil || len(entries) != 1 || entries[0].Name() != rosterFile {
		t.Errorf("without TLS there are %v, %v", entries, err)
	}
}

func TestWhoWantsStores(t *testing.T) {
	for text, want := range map[string]bool{"{{.TLS.KeyStore}}": true, "{{with .TLS}}{{.TrustStore}}{{end}}": true, "{{.TLS.Key}} KeyStore": false} {
		specs := []Spec{
			{Args: []Text{{Text: "x"}, {Text: text}}},
			{Args: []Text{{Text: "x"}}, Env: []EnvText{{"A", Text{Text: text}}}},
			{Args: []Text{{Text: "x"}}, Files: []FileText{{"a", Text{Text: text}}}},
		}
		got := make([]bool, len(specs))
		for i, s := range specs {
			c, err := ParseSpec(s)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = c.KeyStores()
		}
		if slices.Contains(got, !want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// Two Java programs, and one that is built on OpenSSL, meet.
func TestMutualTLSWithJava(t *testing.T) {
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-d", classes, filepath.Join("testdata", "java", "Peer.java")).CombinedOutput(); err != nil {
		t.Fatalf("%v (Debian package default-jdk-headless)\n%s", err, out)
	}
	java := func(args ...string) []string {
		return append([]string{"java", "-XX:TieredStopAtLevel=1", "-cp", classes, "Peer"}, args...)
	}
	serve := func(own, peers TLS) (port string) {
		return serveUntil(t, `port (\d+)`, java("serve", own.Password, own.KeyStore, peers.TrustStore)...)
	}
	for name, o := range options(t) {
		o.KeyStores = true
		server, client, strangers := ends(t, o)
		port := serve(server, server)
		if out := askOpenSSL(t, "127.0.0.1:"+port, client); !strings.Contains(out, "welcome") {
			t.Errorf("%s with OpenSSL: %s", name, out)
		}
		var dials []string
		var whats []string
		dial := func(what, port string, files TLS) {
			whats = append(whats, what)
			dials = append(dials, port, files.KeyStore, files.TrustStore)
		}
		dial("a member", port, client)
		for what, files := range strangers {
			dial("a client whose certificate is "+what, port, files)
		}
		stranger := strangers["its own"]
		dial("a server whose certificate is its own", serve(stranger, server), client)
		command := java(append([]string{"ask", keyStorePassword}, dials...)...)
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if err != nil || len(lines) != len(whats) || lines[0] != "welcome" {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		for i, line := range lines[1:] {
			// What a server says when it refuses may be lost when it hangs up.
			if !strings.HasPrefix(line, "javax.net.ssl.SSL") && !strings.HasPrefix(line, "java.net.SocketException") {
				t.Errorf("%s: %s: %s", name, whats[i+1], line)
			}
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "SSLHandshakeException") {
			t.Errorf("%s: %s: %s", name, whats[len(whats)-1], last)
		}
	}
}

// BenchmarkFiles measures what each member's files cost.
func BenchmarkFiles(b *testing.B) {
	for name, o := range map[string]FileOptions{"pem": {}, "stores": {KeyStores: true}, "temporary": {Temporary: true}} {
		b.Run(name, func(b *testing.B) {
			m := xlregtest.Cluster(b, 64, xlregtest.WithKeys(keys.P256))[0]
			d, err := NewData(m.Roster(), m.Self().Token.ID, b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			if o.Authority, err = NewAuthority("web", day); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := o.Write(d, m.Node()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
