package admin_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/admin"
	"github.com/xlattice/xlreg/keys"
)

// certify makes the certificate of a key, signed with another.
func certify(t *testing.T, key, signer *ecdsa.PrivateKey, until time.Time) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an admin"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T) (key *ecdsa.PrivateKey, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint, err = keys.Fingerprint(xlreg.SigKey(der)); err != nil {
		t.Fatal(err)
	}
	return key, fingerprint
}

// serveTLS serves on all addresses, and returns where.
func (w *world) serveTLS(cert *admin.Certificate) string {
	w.t.Helper()
	l, err := admin.ListenTCP(w.t.Context(), "0.0.0.0:0", cert)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx, l) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
	return strings.Replace(l.URL(), "localhost", "127.0.0.1", 1) // which need not be IPv4
}

// askTLS asks as somebody elsewhere who shows a certificate.
func askTLS(t *testing.T, url string, shown *tls.Certificate, version uint16) (int, error) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, MaxVersion: version}
	if shown != nil {
		cfg.Certificates = []tls.Certificate{*shown}
	}
	transport := &http.Transport{TLSClientConfig: cfg}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/api/v1/drain", strings.NewReader(`{"on":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestAdminKeys(t *testing.T) {
	key, fingerprint := newKey(t)
	other, _ := newKey(t)
	w := newWorld(t, admin.Config{Admins: []string{strings.TrimPrefix(fingerprint, "SHA256:")}})
	own, err := admin.OwnCertificate(t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := w.serveTLS(own)
	soon := time.Now().Add(time.Hour)
	good, foreign := certify(t, key, key, soon), certify(t, other, other, soon)
	expired, forged := certify(t, key, key, time.Now().Add(-time.Hour)), certify(t, key, other, soon)
	for name, c := range map[string]struct {
		shown *tls.Certificate
		want  int
	}{
		"none": {nil, 401}, "good": {&good, 200}, "of another key": {&foreign, 401},
		"expired": {&expired, 401}, "signed by another key": {&forged, 401},
	} {
		if got, err := askTLS(t, url, c.shown, 0); got != c.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
	if _, err := askTLS(t, url, &good, tls.VersionTLS12); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if got := w.registry.Deeds(); len(got) != 1 || got[0].Admin != fingerprint {
		t.Errorf("%+v", got)
	}
	if _, err := admin.New(admin.Config{Admins: []string{"SHA256:short"}}); err == nil {
		t.Error("no fingerprint was taken for one")
	}
}

// A client that pins the key of the registry's own certificate believes it, and goes on
// to after the certificate is made anew.
func TestOwnCertificate(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, err := admin.OwnCertificate(dir, []string{"registry.example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "admin-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	w := newWorld(t, admin.Config{})
	ask := func(cert *admin.Certificate, pin string) ([]byte, error) {
		url := w.serveTLS(cert)
		return exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--insecure", "--pinnedpubkey", pin, url+"/livez").CombinedOutput()
	}
	if out, err := ask(own, own.Pin()); err != nil || string(out) != "ok\n" {
		t.Errorf("%s, %v", out, err)
	}
	if err := os.Remove(filepath.Join(dir, "admin-cert.pem")); err != nil {
		t.Fatal(err)
	}
	again, err := admin.OwnCertificate(dir, nil, nil)
	if err != nil || again.Pin() != own.Pin() || time.Until(again.Until()) < 300*24*time.Hour {
		t.Errorf("%s, %v", again.Pin(), err)
	}
	other, err := admin.OwnCertificate(t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := ask(other, own.Pin()); err == nil {
		t.Errorf("another key was believed: %s", out)
	}
}

func TestOperatorsCertificate(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if _, err := admin.OwnCertificate(d, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	certFile, keyFile := filepath.Join(dir, "admin-cert.pem"), filepath.Join(dir, "admin-key.pem")
	c, err := admin.LoadCertificate(certFile, keyFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := c.Pin()
	replace(t, filepath.Join(other, "admin-cert.pem"), certFile)
	if err := c.Reload(); err == nil || c.Pin() != before {
		t.Errorf("half of a new pair was taken: %v", err)
	}
	replace(t, filepath.Join(other, "admin-key.pem"), keyFile)
	if err := c.Reload(); err != nil || c.Pin() == before {
		t.Errorf("a new pair was not taken: %v", err)
	}
	if _, err := admin.LoadCertificate(filepath.Join(dir, "none"), keyFile, nil); err == nil {
		t.Error("no file was taken for one")
	}
}

func replace(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, bytes.TrimSpace(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPlainOnLoopbackOnly(t *testing.T) {
	for addr, plain := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "0.0.0.0:0": false, ":0": false} {
		l, err := admin.ListenTCP(t.Context(), addr, nil)
		if plain != (err == nil) || !plain && !errors.Is(err, admin.ErrPlain) {
			t.Errorf("%s: %v", addr, err)
		}
		if err == nil {
			l.Close()
		}
	}
}
