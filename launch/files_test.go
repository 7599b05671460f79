package launch

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/view"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/xlregtest"
)

func TestWriteFiles(t *testing.T) {
	members := xlregtest.Cluster(t, 3, xlregtest.WithName("web"))
	m := members[1]
	dir := filepath.Join(t.TempDir(), "clusters", "web")
	d := dataOf(t, m, dir)
	if err := WriteFiles(d, m.Node()); err != nil {
		t.Fatal(err)
	}
	checkModes(t, dir)
	files, err := d.TLS()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pair.Certificate[0], built(t, &m.Self().Token)) {
		t.Error("cert.pem is not the certificate that the others have")
	}
	checkPeers(t, files.Peers, members)
	data, err := os.ReadFile(filepath.Join(dir, "roster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var roster view.Roster
	if err := json.Unmarshal(data, &roster); err != nil || roster.Cluster.Name != "web" || len(roster.Members) != 3 || roster.Members[2].Unverified {
		t.Errorf("roster.json: %v, %s", err, data)
	}
	// A process that died half way may have left a part of a key.
	if err := os.WriteFile(filepath.Join(dir, ".key.pem.1.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(d, m.Node()); err != nil {
		t.Errorf("again: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 5 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

// Files that would contradict each other are not written, nor are a member's files for a reader.
func TestWriteFilesForSomebodyElse(t *testing.T) {
	members := xlregtest.Cluster(t, 2)
	dir := filepath.Join(t.TempDir(), "files")
	reader, err := NewData(members[0].Roster(), "", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(reader, members[0].Node()); !errors.Is(err, ErrNoSelf) {
		t.Errorf("a reader: %v", err)
	}
	if err := WriteFiles(dataOf(t, members[0], dir), members[1].Node()); err == nil || !strings.Contains(err.Error(), "has another key") {
		t.Errorf("another member's node: %v", err)
	}
	if err := WriteFiles(Sample(Shape{Size: 1}), members[0].Node()); err == nil {
		t.Error("a cluster that is made up has files")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a directory: %v", err)
	}
}

// Where others could put a directory of their own in its place there are no keys.
func TestWriteFilesWhereOthersCanWrite(t *testing.T) {
	m := xlregtest.Cluster(t, 2)[0]
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, filepath.Join(open, "web")} {
		if err := WriteFiles(dataOf(t, m, dir), m.Node()); err == nil || !strings.Contains(err.Error(), "others may write to "+open) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if entries, err := os.ReadDir(open); err != nil || len(entries) > 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]fs.FileMode{
		"": 0o700 | fs.ModeDir, "..": 0o700 | fs.ModeDir,
		"cert.pem": 0o600, "key.pem": 0o600, "peers.pem": 0o600, "roster.json": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want && runtime.GOOS != "windows" {
			t.Errorf("%q: %v, %v, want %v", name, info, err, want)
		}
	}
}

// checkPeers wants the certificates of all members in their order, and no more.
func checkPeers(t *testing.T, path string, members []*xlregtest.Membership) {
	t.Helper()
	rest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range members {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("only %d certificates", i)
		}
		if !bytes.Equal(block.Bytes, built(t, &members[0].Roster().ByIndex(i).Token)) {
			t.Errorf("certificate %d is another member's", i)
		}
	}
	if len(rest) != 0 {
		t.Errorf("after the certificates of all: %q", rest)
	}
}

// A cluster with a member of the classic time has a roster and no TLS, and the error
// says whose fault that is.
func TestFilesWithoutTLS(t *testing.T) {
	m := xlregtest.Cluster(t, 2, xlregtest.WithProtocols(xlreg.Protocol19))[0]
	dir := t.TempDir()
	for _, name := range []string{"cert.pem", "key.pem", "peers.pem"} { // of another time
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := dataOf(t, m, dir)
	if err := WriteFiles(d, m.Node()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "roster.json" {
		t.Errorf("the directory has %v, %v", entries, err)
	}
	if _, err := d.TLS(); !namesBoth(err) {
		t.Error(err)
	}
	err = func() error {
		c, err := ParseCommand([]string{"x", "{{.TLS.Cert}}"}, nil)
		if err != nil {
			return err
		}
		_, err = c.Expand(d)
		return err
	}()
	if !namesBoth(err) {
		t.Errorf("a template that wants a certificate: %v", err)
	}
}

func namesBoth(err error) bool {
	return errors.Is(err, client.ErrUnverified) && strings.Contains(err.Error(), "m0") && strings.Contains(err.Error(), "m1")
}

// Root may write everywhere but below a file.
func TestFilesNowhere(t *testing.T) {
	m := xlregtest.Cluster(t, 2)[0]
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := WriteFiles(dataOf(t, m, filepath.Join(path, "dir")), m.Node())
	if err == nil || !strings.Contains(err.Error(), "choose a directory that can be written to") {
		t.Error(err)
	}
}

func TestNewDataOfAStranger(t *testing.T) {
	m := xlregtest.Cluster(t, 2)[0]
	if _, err := NewData(m.Roster(), xlreg.NodeID(strings.Repeat("x", 32)), ""); !errors.Is(err, xlreg.ErrNotMember) {
		t.Error(err)
	}
	d, err := NewData(m.Roster(), "", "")
	if err != nil || d.Self != nil || len(d.Others()) != 2 {
		t.Errorf("a reader: %+v, %v", d, err)
	}
	if _, err := d.TLS(); !errors.Is(err, ErrNoSelf) {
		t.Error(err)
	}
	if _, err := d.Roster(); !errors.Is(err, ErrNoSelf) {
		t.Error(err)
	}
}

func TestWriteMade(t *testing.T) {
	dir := t.TempDir()
	x := Expanded{Made: map[string]string{filepath.Join(dir, "a.conf"): "text", filepath.Join(dir, "run"): "#!/bin/sh\n", filepath.Join(dir, "etc", "x", "b"): "deep"}}
	if err := x.WriteMade(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "a.conf"))
	if err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	info, err := os.Stat(filepath.Join(dir, "etc", "x"))
	if err != nil || info.Mode().Perm() != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the directory that was made: %v, %v", info, err)
	}
	for name, want := range map[string]os.FileMode{"a.conf": 0o600, "run": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := (&Expanded{Made: map[string]string{filepath.Join(dir, "a.conf", "a"): ""}}).WriteMade(); err == nil {
		t.Error("written below a file")
	}
}

// Certificates are good anchors for whoever loads the bundle.
func TestPeersAreAPool(t *testing.T) {
	m := xlregtest.Cluster(t, 2)[0]
	d := dataOf(t, m, t.TempDir())
	if err := WriteFiles(d, m.Node()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(tlsFiles(d.Dir).Peers)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatal("no certificates")
	}
	for i := range m.Roster().Members {
		cert, err := m.Roster().Members[i].Certificate()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "127.0.0.1"}); err != nil {
			t.Error(err)
		}
	}
}

// built returns the certificate that follows from a token.
func built(t *testing.T, token *xlreg.Token) []byte {
	t.Helper()
	der, err := keys.BuildCertificate(token)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
