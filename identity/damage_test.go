package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

func TestBadFilesAreNamedWithTheRemedy(t *testing.T) {
	other := string(pemOf("CERTIFICATE", newCertificate(t, otherKeys(), testToken(otherKeys()))))
	cases := map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"key readable by the group": {chmod("sig.pem", 0o640), []string{"sig.pem", "chmod 600"}},
		"key readable by all":       {chmod("comms.pem", 0o644), []string{"comms.pem", "chmod 600"}},
		"key writable by others":    {chmod("comms.pem", 0o602), []string{"comms.pem", "chmod 600"}},
		"directory writable by all": {chmod(".", 0o777), []string{"chmod 700"}},
		"directory, by the group":   {chmod(".", 0o770), []string{"chmod 700"}},
		"key damaged":               {replace("sig.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), []string{"sig.pem", "backup"}},
		"key empty":                 {replace("comms.pem", ""), []string{"comms.pem", "backup"}},
		"key missing":               {remove("comms.pem"), []string{"comms.pem", "put the key there"}},
		"key a directory":           {directory("sig.pem"), []string{"sig.pem", "not a regular file"}},
		"key endless":               {replace("sig.pem", strings.Repeat("a", maxFile+1)), []string{"sig.pem", "bytes"}},
		"certificate damaged":       {replace("cert.pem", "nonsense"), []string{"cert.pem", "remove it"}},
		"certificate half":          {replace("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []string{"cert.pem", "remove it"}},
		"certificate of another":    {replace("cert.pem", other), []string{"cert.pem", "sig.pem", "different keys", "remove"}},
		"record of another program": {replace("node.json", "x"), []string{"node.json", "from a backup", "xlreg node init"}},
		"record of version 2":       {replace("node.json", `{"version":2,"name":"m0"}`), []string{"node.json", "version 2", "newer program"}},
		"record without version":    {replace("node.json", `{"name":"m0"}`), []string{"node.json", `no "version"`}},
		"record of version 0":       {replace("node.json", `{"version":0,"name":"m0"}`), []string{"node.json", "version 0"}},
		"record a list":             {replace("node.json", `[]`), []string{"node.json"}},
		"record null":               {replace("node.json", `null`), []string{"node.json", `no "version"`}},
		"record twice":              {replace("node.json", `{"version":1,"name":"m0"}{}`), []string{"node.json"}},
		"no name":                   {replace("node.json", `{"version":1}`), []string{"node.json", "ill-formed name"}},
		"name a number":             {replace("node.json", `{"version":1,"name":7}`), []string{"node.json", "name"}},
		"unknown attrs":             {replace("node.json", `{"version":1,"name":"m0","attrs":8}`), []string{"node.json", "attrs"}},
		"bad endpoint":              {replace("node.json", `{"version":1,"name":"m0","endpoints":["a:0"]}`), []string{"node.json", "a:0"}},
		"registry without id":       {replace("node.json", `{"version":1,"name":"m0","registries":[{"sig":"`+testRegistry(1).Sig+`"}]}`), []string{"node.json", "registries[0]", "ill-formed ID"}},
		"registry without sig":      {replace("node.json", `{"version":1,"name":"m0","registries":[{"id":"`+testID.String()+`"}]}`), []string{"node.json", "registries[0]", "fingerprint"}},
		"registry null":             {replace("node.json", `{"version":1,"name":"m0","registries":[null]}`), []string{"node.json", "registries[0]"}},
		"registry twice": {
			replace("node.json", `{"version":1,"name":"m0","registries":[`+registryJSON+`,`+registryJSON+`]}`),
			[]string{"node.json", "registries[1]", "twice"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := initDir(t)
			c.change(t, dir)
			_, err := Open(dir)
			wantError(t, err, append(c.want, dir)...)
			_, err = Load(dir)
			wantError(t, err, append(c.want, dir)...)
		})
	}
}

var registryJSON = `{"sig":"` + testRegistry(1).Sig + `","id":"` + testID.String() + `"}`

func chmod(file string, perm os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chmod(filepath.Join(dir, file), perm); err != nil {
			t.Fatal(err)
		}
	}
}

func replace(file, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { writeAll(t, filepath.Join(dir, file), content) }
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func directory(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		remove(file)(t, dir)
		if err := os.Mkdir(filepath.Join(dir, file), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStaleCertificateIsMadeAnew covers what is no fault: a certificate that has
// gone, or that is of an older name or host.
func TestStaleCertificateIsMadeAnew(t *testing.T) {
	renamed := testToken(testKeys())
	renamed.Name = "before"
	stale := string(pemOf("CERTIFICATE", newCertificate(t, testKeys(), renamed)))
	own := testToken(testKeys())
	own.Endpoints = testOptions().Endpoints
	unsigned := newCertificate(t, testKeys(), own)
	unsigned[len(unsigned)-1] ^= 1
	for name, change := range map[string]func(*testing.T, string){
		"missing":    remove("cert.pem"),
		"other name": replace("cert.pem", stale),
		"unsigned":   replace("cert.pem", string(pemOf("CERTIFICATE", unsigned))),
		"other form": replace("cert.pem", string(pemOf("CERTIFICATE", otherForm(t, testKeys())))),
	} {
		t.Run(name, func(t *testing.T) {
			dir := initDir(t)
			change(t, dir)
			n := mustOpen(t, dir)
			token, certificate := mustToken(t, n, xlreg.Protocol20, testTime)
			if err := keys.VerifyCertificate(token, certificate); err != nil {
				t.Error(err)
			}
			if got := decodePEM(t, []byte(readAll(t, filepath.Join(dir, "cert.pem")))); !bytes.Equal(got, certificate) {
				t.Error("not saved")
			}
		})
	}
}

// otherForm is a certificate of the right key that no member has, as earlier programs made
// them.
func otherForm(t *testing.T, set *keys.Set) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "m0"}, DNSNames: []string{"m0"},
		NotBefore: testTime, NotAfter: testTime.Add(keys.DefaultCertificateLife),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, set.Sig.Signer().Public(), set.Sig.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"name":"m0","attrs":4,"endpoints":["a:1"],"registries":[` + registryJSON + `],"more":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if err != nil {
			return
		}
		written, err := r.marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseRecord(written)
		if err != nil {
			t.Fatalf("%v in %s", err, written)
		}
		rewritten, err := again.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, rewritten) {
			t.Errorf("%s became %s", written, rewritten)
		}
	})
}
