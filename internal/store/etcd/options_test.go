package etcd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/mirror"
)

func TestParse(t *testing.T) {
	for url, want := range map[string][]string{
		"etcd://h1:2379,h2:2380,h3/prod":  {"h1:2379", "h2:2380", "h3:2379", "prod"},
		"etcd://10.0.0.1/a/b/":            {"10.0.0.1:2379", "a/b"},
		"etcd://[::1]:99,[fe80::1],::2/p": {"[::1]:99", "[fe80::1]:2379", "[::2]:2379", "p"},
		"etcd://h":                        {"h:2379", ""},
	} {
		ends, prefix, err := etcd.Parse(url)
		if got := slices.Concat(ends, []string{prefix}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
}

// What is wrong with a URL is said without repeating it: there may be a password in it.
func TestParseFails(t *testing.T) {
	for url, want := range map[string]string{
		"etcd://root:secret@h1/prod":     "password does not belong",
		"etcd://root@h1/prod":            "password does not belong",
		"postgres://secret/prod":         "does not begin with etcd://",
		"secret":                         "does not begin with etcd://",
		"etcd:///secret":                 "empty host",
		"etcd://h1,/secret":              "empty host",
		"etcd://h1/prod?password=secret": "more than hosts and a prefix",
		"etcd://h1:secret:7/prod":        "is not a host with a port",
		"etcd://h1:secret/prod":          "is not a host with a port",
	} {
		_, _, err := etcd.Parse(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want one that says %q", url, err, want)
		}
	}
}

// Users log in with a password from a file, and their tokens are renewed when they
// have run out.
func TestUsers(t *testing.T) {
	t.Parallel() // most of it is waiting
	const ttl = 1
	c := etcdtest.Start(t, etcdtest.Options{Members: 3, Args: []string{"--auth-token-ttl", "1"}})
	enableUsers(t, c)
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	write(t, password, "opensesame\n")
	s, err := etcd.Open(t.Context(), c.URL("prod"), etcd.Options{User: "xlreg", PasswordFile: password})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	ctx, stop := context.WithCancel(t.Context())
	announced := make(chan error, 1)
	go func() { announced <- s.Announce(ctx, "servers/1", []byte("v")) }()
	for range 3 {
		update(t, s, put("k", "v"))
		<-time.After(2 * ttl * time.Second) // so that the token runs out, which is what this is about
	}
	update(t, s, put("k", "v"))
	if now, _ := s.Connected(); !now {
		t.Error("not connected")
	}
	stop()
	if err := <-announced; err != nil {
		t.Error(err)
	}

	write(t, password, "wrong-secret\n")
	for name, o := range map[string]etcd.Options{
		"wrong password": {User: "xlreg", PasswordFile: password},
		"no file":        {User: "xlreg", PasswordFile: filepath.Join(dir, "nothing")},
		"no user":        {},
	} {
		began := time.Now()
		s, err := etcd.Open(t.Context(), c.URL("prod"), o)
		if err == nil {
			mustClose(t, s)
			t.Errorf("%s: opened", name)
			continue
		}
		if strings.Contains(err.Error(), "secret") || time.Since(began) > 30*time.Second {
			t.Errorf("%s: %v, after %v", name, err, time.Since(began))
		}
	}
}

// enableUsers makes a root and a user who may do everything below one prefix.
func enableUsers(t *testing.T, c *etcdtest.Cluster) {
	t.Helper()
	ctx, client := t.Context(), c.Client()
	for _, do := range []func() error{
		func() error { _, err := client.UserAdd(ctx, "root", "root-password"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := client.RoleAdd(ctx, "registry"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "registry", "prod/", "prod0", 2) // read and write
			return err
		},
		func() error { _, err := client.UserAdd(ctx, "xlreg", "opensesame"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "xlreg", "registry"); return err },
		func() error { _, err := client.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Over TLS etcd and the registry each know the other by its certificate.
func TestTLS(t *testing.T) {
	t.Parallel() // most of it is waiting
	ca := newCA(t)
	server, client := ca.issue(t, "server"), ca.issue(t, "client")
	c := etcdtest.Start(t, etcdtest.Options{CA: ca.file, Cert: server.cert, Key: server.key})
	s, err := etcd.Open(t.Context(), c.URL("p"), etcd.Options{CA: ca.file, Cert: client.cert, Key: client.key})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, put("k", "v"))
	mustClose(t, s)

	other := newCA(t)
	stranger := other.issue(t, "stranger")
	for name, tc := range map[string]struct {
		options etcd.Options
		want    string
	}{
		"no TLS":              {etcd.Options{}, "not reachable"},
		"no certificate":      {etcd.Options{CA: ca.file}, "certificate"},
		"another CA":          {etcd.Options{CA: other.file, Cert: client.cert, Key: client.key}, "unknown authority"},
		"another certificate": {etcd.Options{CA: ca.file, Cert: stranger.cert, Key: stranger.key}, "bad certificate"},
		"another key":         {etcd.Options{CA: ca.file, Cert: client.cert, Key: stranger.key}, "does not match"},
		"no CA in the file":   {etcd.Options{CA: client.key, Cert: client.cert, Key: client.key}, "no certificate in"},
		"no file":             {etcd.Options{CA: filepath.Join(t.TempDir(), "nothing")}, "no such file"},
	} {
		tc.options.Timeout = time.Second / 4
		s, err := etcd.Open(t.Context(), c.URL("p"), tc.options)
		if err == nil {
			mustClose(t, s)
			t.Errorf("%s: opened", name)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// A registry that cannot reach etcd is told why.
func TestNobodyThere(t *testing.T) {
	t.Parallel() // most of it is waiting
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := etcd.Open(t.Context(), "etcd://"+address+"/p", etcd.Options{Timeout: time.Second / 4})
	if err == nil {
		mustClose(t, s)
		t.Fatal("opened")
	}
	if !errors.Is(err, mirror.ErrUnreachable) || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), address) {
		t.Errorf("Open: %v", err)
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

type pair struct{ cert, key string }

func newCA(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, encode("CERTIFICATE", der))
	return a
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (a *authority) issue(t *testing.T, name string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")}
	write(t, p.cert, encode("CERTIFICATE", der))
	write(t, p.key, encode("PRIVATE KEY", private))
	return p
}
