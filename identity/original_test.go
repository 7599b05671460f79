package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/original"
)

var originalKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	all := make([]*rsa.PrivateKey, 3)
	for i := range all {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		all[i] = key
	}
	return all
})

func originalConfig() *original.Config {
	k := originalKeys()
	return &original.Config{
		Name: "xlReg", ID: []byte(strings.Repeat("\x9a", xlreg.ShortIDLen)), Comms: k[0], Sig: k[1],
		Endpoints: []string{"127.0.0.1:56789", "192.0.2.7:1"},
		Peers:     []original.Config{{Name: "peer", ID: []byte(strings.Repeat("\x01", xlreg.LongIDLen)), Comms: k[2], Sig: k[2], Endpoints: []string{"192.0.2.9:9"}}},
	}
}

func writeOriginal(t *testing.T, file, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), ".xlattice")
	if err := os.Mkdir(dir, 0o740); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReadOriginal(t *testing.T) {
	c := originalConfig()
	for text, file := range map[string]string{
		c.Registry(): "reg.config", c.Node(): "node.config", c.Member("web", c.ID): "cluster.member.config",
		strings.ReplaceAll(c.Node(), "\n", "\r\n"): "node.config",
	} {
		dir := writeOriginal(t, file, text)
		for _, at := range []string{dir, filepath.Dir(dir)} {
			o, err := ReadOriginal(at)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			sig, err := x509.MarshalPKIXPublicKey(&c.Sig.PublicKey)
			if err != nil || o.Name != "xlReg" || string(o.ID) != string(c.ID) || string(o.Keys.SigKey) != string(sig) ||
				!slices.Equal(o.Endpoints, []xlreg.Endpoint{"127.0.0.1:56789", "192.0.2.7:1"}) {
				t.Errorf("%s: %v, %+v", file, err, o)
			}
		}
	}
}

// What is not whole, or not what it seems, is refused, and the file is named.
func TestReadOriginalRefuses(t *testing.T) {
	c := originalConfig()
	whole := c.Registry()
	private := strings.Split(whole, "ckPriv: ")
	cases := map[string]string{
		"empty": "", "cut in a key": whole[:len(whole)/3], "cut behind the node": whole[:len(whole)-10],
		"other text":       "hello\n",
		"no name":          strings.Replace(whole, "name: ", "nom: ", 1),
		"bad name":         strings.Replace(whole, "name: xlReg", "name: 7 up", 1),
		"bad id":           strings.Replace(whole, "nodeID: 9a", "nodeID: ", 1),
		"bad endpoint":     strings.Replace(whole, "TcpEndPoint: 127.0.0.1:56789", "TcpEndPoint: 127.0.0.1", 1),
		"other endpoint":   strings.Replace(whole, "TcpEndPoint: 127", "UdpEndPoint: 127", 1),
		"no private key":   strings.ReplaceAll(whole, "ckPriv: ", "ckOther: "),
		"keys mixed up":    strings.Replace(whole, "sigPubKey: ", "sigPubKey: -----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\nx: ", 1),
		"damaged key":      private[0] + "ckPriv: " + strings.Replace(private[1], "MII", "MIX", 1) + "ckPriv: " + private[2],
		"block not opened": "}\n" + whole,
	}
	for name, text := range cases {
		dir := writeOriginal(t, "reg.config", text)
		if o, err := ReadOriginal(dir); err == nil || !strings.Contains(err.Error(), "reg.config") {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if _, err := ReadOriginal(t.TempDir()); !errors.Is(err, ErrNoOriginal) {
		t.Errorf("no file: %v", err)
	}
	dir := writeOriginal(t, "node.config", c.Node())
	if err := os.Chmod(filepath.Join(dir, "node.config"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOriginal(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by others: %v", err)
	}
}

func FuzzParseOriginal(f *testing.F) {
	f.Add("node {\n name: a\n nodeID: 00\n}\n")
	f.Add("regNode {\n node {\n ckPriv: -----BEGIN -----\nAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := parseOriginal(text); err == nil && (o.Keys == nil || o.Name.Validate() != nil) {
			t.Errorf("%+v", o)
		}
	})
}
