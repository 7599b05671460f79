package postgres_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
)

// authority makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // with cert
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a certificate and its key into dir, for a server at ip, or for a user.
func (a *authority) issue(t *testing.T, dir, name, ip string) (cert, key string) {
	t.Helper()
	private := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip != "" {
		template.IPAddresses = []net.IP{net.ParseIP(ip)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", secret)
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The server has to be the one that is meant, and the client shows who it is.
func TestTLS(t *testing.T) {
	a, dir := newAuthority(t), postgrestest.Folder(t, "")
	cert, key := a.issue(t, dir, "server", "127.0.0.1")
	ca := filepath.Join(dir, "ca.pem")
	writePEM(t, ca, "CERTIFICATE", a.cert.Raw)
	for _, path := range []string{cert, key, ca} {
		postgrestest.Give(t, path)
	}
	server := postgrestest.Start(t, postgrestest.Options{Settings: []string{
		"ssl=on", "ssl_cert_file=" + cert, "ssl_key_file=" + key, "ssl_ca_file=" + ca,
	}})
	userCert, userKey := a.issue(t, t.TempDir(), "xlreg", "")
	server.Exec(t, "CREATE ROLE xlreg LOGIN", "GRANT CREATE ON DATABASE postgres TO xlreg")
	server.Hosts(t, "hostssl all xlreg 127.0.0.1/32 cert", "host all postgres 127.0.0.1/32 trust")
	url := server.URL("s")
	good := postgres.Options{User: "xlreg", CA: a.file, Cert: userCert, Key: userKey}
	db := connect(t, url, good)
	commit(t, db, change("a", "1"))
	if got := server.Ask(t, "SELECT min(version) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'xlreg'"); !strings.HasPrefix(got, "TLSv1.") {
		t.Errorf("TLS: %q", got)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		url    string
		change func(*postgres.Options)
	}{
		"another authority":     {url, func(o *postgres.Options) { o.CA = newAuthority(t).file }},
		"only the system's":     {url + "&sslmode=verify-full", func(o *postgres.Options) { o.CA = "" }},
		"another name":          {strings.Replace(url, "127.0.0.1", "localhost", 1), func(*postgres.Options) {}},
		"no certificate":        {url, func(o *postgres.Options) { o.Cert, o.Key = "", "" }},
		"a key that is missing": {url, func(o *postgres.Options) { o.Key = filepath.Join(t.TempDir(), "none") }},
		"another's certificate": {url, func(o *postgres.Options) { o.Cert, o.Key = newAuthority(t).issue(t, t.TempDir(), "xlreg", "") }},
	} {
		o := good
		c.change(&o)
		if db, err := postgres.Connect(t.Context(), c.url, o); err == nil {
			t.Errorf("%s: connected", name)
			_ = db.Close()
		} else {
			oneLine(t, err)
		}
	}
}

// A password comes from a file, is read at each connect, and is in no error and no log.
func TestPassword(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	server.Exec(t, "CREATE ROLE xlreg LOGIN PASSWORD 'hunter2'", "GRANT CREATE ON DATABASE postgres TO xlreg")
	server.Hosts(t, "host all xlreg 127.0.0.1/32 scram-sha-256", "host all postgres 127.0.0.1/32 trust")
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "password")
	o := postgres.Options{User: "xlreg", PasswordFile: file, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	refused := func(parts ...string) {
		t.Helper()
		db, err := postgres.Connect(t.Context(), server.URL("s"), o)
		if err == nil {
			_ = db.Close()
		}
		oneLine(t, err, parts...)
		if strings.Contains(err.Error()+log.String(), "hunter") {
			t.Errorf("it tells: %v\n%s", err, &log)
		}
	}
	refused("read the password", file)
	writeFile(t, file, "hunter3\n")
	refused("password authentication failed")
	writeFile(t, file, "hunter2\n")
	db := connect(t, server.URL("s"), o)
	commit(t, db, change("a", "1"))

	// The password changes, and so does the file; what is open is closed.
	server.Exec(t, "ALTER ROLE xlreg PASSWORD 'hunter4'",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'xlreg'")
	writeFile(t, file, "hunter4")
	eventually(t, try(t, db, change("a", "2")))

	passfile := filepath.Join(t.TempDir(), "pgpass")
	writeFile(t, passfile, "127.0.0.1:*:*:xlreg:hunter4\n")
	t.Setenv("PGPASSFILE", passfile)
	o.PasswordFile = ""
	other := connect(t, server.URL("s"), o)
	if got := value(t, other, "a"); got != "2" {
		t.Errorf("a is %q", got)
	}
	if strings.Contains(log.String(), "hunter") {
		t.Errorf("the log tells: %s", &log)
	}
}
