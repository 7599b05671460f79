package identity

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

func initDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	n, err := Init(dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustOpen(t *testing.T, dir string) *Node {
	t.Helper()
	n, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeAll(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func decodePEM(t *testing.T, data []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: does not say %q", err, part)
		}
	}
}

func TestOpenGivesBackWhatWasSaved(t *testing.T) {
	dir := initDir(t)
	n := mustOpen(t, dir)
	certificate := mustCertificate(t, n, testTimeNow(t, n))
	if err := n.SetRegistry(testRegistry(1)); err != nil {
		t.Fatal(err)
	}
	// From disk, while the writer still holds its lock.
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := loaded.Registry(testRegistry(1).Sig)
	if !ok || !reflect.DeepEqual(got, testRegistry(1)) {
		t.Errorf("got %+v", got)
	}
	if loaded.Name() != "m0" || loaded.Attrs() != xlreg.AttrSolo || loaded.Dir() != dir ||
		!keys.Equal(loaded.Keys().Sig, testKeys().Sig) || !keys.Equal(loaded.Keys().Comms, testKeys().Comms) {
		t.Errorf("got %v, %v, %q", loaded.Name(), loaded.Attrs(), loaded.Dir())
	}
	if !bytes.Equal(mustCertificate(t, loaded, testTimeNow(t, n)), certificate) {
		t.Error("another certificate")
	}
	if err := n.SetEndpoints([]xlreg.Endpoint{"b.example:7"}); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n = mustOpen(t, dir)
	if got := n.Endpoints(); !slices.Equal(got, []xlreg.Endpoint{"b.example:7"}) {
		t.Errorf("endpoints %v", got)
	}
	if bytes.Equal(mustCertificate(t, n, testTimeNow(t, n)), certificate) {
		t.Error("the certificate is still that of the old host")
	}
}

// testTimeNow is an hour after n's certificate on disk begins, which is when it was
// made.
func testTimeNow(t *testing.T, n *Node) time.Time {
	t.Helper()
	block, err := os.ReadFile(filepath.Join(n.Dir(), "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(decodePEM(t, block))
	if err != nil {
		t.Fatal(err)
	}
	return cert.NotBefore.Add(time.Hour)
}

func TestCertificateIsSaved(t *testing.T) {
	dir := initDir(t)
	n := mustOpen(t, dir)
	later := testTimeNow(t, n).Add(keys.DefaultCertificateLife)
	renewed := mustCertificate(t, n, later)
	n.Close()
	n = mustOpen(t, dir)
	if !bytes.Equal(mustCertificate(t, n, later), renewed) {
		t.Error("the renewed certificate was not saved")
	}
	if cert, err := x509.ParseCertificate(renewed); err != nil || cert.NotAfter.Sub(cert.NotBefore) != keys.DefaultCertificateLife {
		t.Errorf("life of the renewed certificate: %v", err)
	}
}

func TestLoadedNodeSavesNothing(t *testing.T) {
	dir := initDir(t)
	before := readAll(t, filepath.Join(dir, "node.json")) + readAll(t, filepath.Join(dir, "cert.pem"))
	n, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.SetRegistry(testRegistry(1)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v", err)
	}
	if err := n.SetEndpoints(nil); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v", err)
	}
	if len(n.Registries()) != 0 || len(n.Endpoints()) != 1 {
		t.Error("what could not be saved is kept")
	}
	mustCertificate(t, n, testTime)
	if readAll(t, filepath.Join(dir, "node.json"))+readAll(t, filepath.Join(dir, "cert.pem")) != before {
		t.Error("files changed")
	}
	opened := mustOpen(t, dir)
	opened.Close()
	if err := opened.SetRegistry(testRegistry(1)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("after Close: got %v", err)
	}
}

func TestOneWriter(t *testing.T) {
	dir := initDir(t)
	n := mustOpen(t, dir)
	_, err := Open(dir)
	if !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	wantError(t, err, dir, "another process")
	if _, err := Init(dir, testOptions()); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("a reader is kept out: %v", err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	mustOpen(t, dir)
}

func TestOpenWithoutANode(t *testing.T) {
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(empty, "missing")} {
		for name, open := range map[string]func(string) (*Node, error){"open": Open, "load": Load} {
			if _, err := open(dir); !errors.Is(err, ErrNoNode) {
				t.Errorf("%s %s: got %v", name, dir, err)
			}
		}
	}
	if got := files(t, empty); len(got) != 0 {
		t.Errorf("looking made %v", got)
	}
}

// TestCrashWhileSaving leaves files that were being written when the power went.
func TestCrashWhileSaving(t *testing.T) {
	dir := initDir(t)
	for _, file := range []string{".node.json.1.tmp", ".cert.pem.22.tmp", ".comms.pem.3.tmp", ".sig.pem.4.tmp"} {
		writeAll(t, filepath.Join(dir, file), `{"version":1,"na`)
	}
	writeAll(t, filepath.Join(dir, ".mine.tmp"), "of someone else")
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
	n := mustOpen(t, dir)
	if err := n.SetRegistry(testRegistry(1)); err != nil {
		t.Error(err)
	}
	if got := files(t, dir); len(got) != 6 || !slices.Contains(got, ".mine.tmp") {
		t.Errorf("files %v", got)
	}
}

// TestFailedSaveChangesNothing takes away the right to write in the middle of a
// node's life. Root may write all the same, so the directory goes away instead.
func TestFailedSaveChangesNothing(t *testing.T) {
	dir := initDir(t)
	n := mustOpen(t, dir)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := n.SetRegistry(testRegistry(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := n.SetEndpoints(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if len(n.Registries()) != 0 || len(n.Endpoints()) != 1 {
		t.Error("what could not be saved is kept")
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := n.SetRegistry(testRegistry(1)); err != nil {
		t.Error(err)
	}
}

func TestUnknownMembersAreKept(t *testing.T) {
	dir := initDir(t)
	sig := testRegistry(1).Sig
	writeAll(t, filepath.Join(dir, "node.json"), `{
		"later": {"a": [1, 2.50, "x<y", 12345678901234567890123]},
		"version": 1, "name": "m0", "attrs": 4, "endpoints": ["127.0.0.1:4001"],
		"registries": [{"id": "`+testID.String()+`", "sig": "`+sig+`", "seen": 1.0, "name": "", "endpoints": null}],
		"Name": "not the name"
	}`)
	n := mustOpen(t, dir)
	if n.Name() != "m0" {
		t.Errorf("name %q", n.Name())
	}
	for _, i := range []byte{1, 2} {
		if err := n.SetRegistry(testRegistry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.SetEndpoints([]xlreg.Endpoint{"127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(readAll(t, filepath.Join(dir, "node.json"))), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"later":     `{"a":[1,2.50,"x<y",12345678901234567890123]}`,
		"Name":      `"not the name"`,
		"endpoints": `["127.0.0.1:1"]`,
		"registries": `[{"sig":"` + sig + `","name":"xlReg","endpoints":["203.0.113.7:56789"],"id":"` + testID.String() + `","seen":1.0},` +
			`{"sig":"` + testRegistry(2).Sig + `","name":"xlReg","endpoints":["203.0.113.7:56789"],"id":"` + testID.String() + `"}]`,
	} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, got[key]); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(compact.String(), `\u003c`, "<")
		if text != want {
			t.Errorf("%s: got %s, want %s", key, text, want)
		}
	}
}

func TestKeysInOtherFormsAreRead(t *testing.T) {
	dir := initDir(t)
	writeAll(t, filepath.Join(dir, "sig.pem"), string(opensshOf(t, testKeys().Sig)))
	writeAll(t, filepath.Join(dir, "comms.pem"), string(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKeys().Comms.Signer().(*rsa.PrivateKey)))))
	n := mustOpen(t, dir)
	if !keys.Equal(n.Keys().Sig, testKeys().Sig) || !keys.Equal(n.Keys().Comms, testKeys().Comms) {
		t.Error("other keys")
	}
}
