package launch

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/private"
)

// madeAuthority returns the file of an authority as the documentation has it made, with
// more arguments of openssl.
func madeAuthority(t *testing.T, more ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.pem")
	args := append([]string{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-addext", "keyUsage=critical,keyCertSign", "-subj", "/CN=authority", "-keyout", path, "-out", path}, more...)
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := private.Read(path, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// given returns the authority in a file as the member i of c makes use of it.
func (c *certified) given(t *testing.T, i int, file []byte, life time.Duration) *Authority {
	t.Helper()
	a, err := ParseAuthority(file)
	if err != nil {
		t.Fatal(err)
	}
	a.Prepare(c.data[i:i+1], nil, life)
	return a
}

// Members that have never met accept each other, if the same authority was given to them.
// Another one of the same name is refused.
func TestGivenAuthority(t *testing.T) {
	c, stranger := certifyTwo(t, FileOptions{}), certifyTwo(t, FileOptions{})
	file, other := madeAuthority(t, "-days", "30"), madeAuthority(t)
	for i := range c.nodes {
		c.writeOne(t, i, FileOptions{Authority: c.given(t, i, file, 2*time.Hour)})
	}
	if err := shakeHands(t, c.files(t, 0), c.files(t, 1)); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		out, err := exec.Command("openssl", "verify", "-x509_strict", "-CAfile", c.files(t, 1-i).Peers, c.files(t, i).Cert).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if lasts := time.Until(readOne(t, c.files(t, 0).Cert).NotAfter); lasts > 2*time.Hour {
		t.Errorf("the certificate is valid for %v", lasts)
	}

	stranger.writeOne(t, 1, FileOptions{Authority: stranger.given(t, 1, other, time.Hour)})
	files := stranger.files(t, 1)
	files.Peers = c.files(t, 1).Peers
	if err := shakeHands(t, c.files(t, 0), files); err == nil {
		t.Error("a member that another authority has certified is let in")
	}
}

// No certificate outlives its authority.
func TestGivenAuthorityEnds(t *testing.T) {
	c := certifyTwo(t, FileOptions{})
	a := c.given(t, 0, madeAuthority(t, "-days", "1"), 90*24*time.Hour)
	c.writeOne(t, 0, FileOptions{Authority: a})
	if leaf := readOne(t, c.files(t, 0).Cert); leaf.NotAfter.After(a.cert.NotAfter) || leaf.NotBefore.Before(a.cert.NotBefore) {
		t.Errorf("from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
}

// A member that starts again has the certificate that it had, as long as the authority is the same.
func TestGivenAuthorityKeeps(t *testing.T) {
	const life = 90 * 24 * time.Hour
	c := certifyTwo(t, FileOptions{})
	file := madeAuthority(t, "-days", "365")
	c.writeOne(t, 0, FileOptions{Authority: c.given(t, 0, file, life)})
	before := readOne(t, c.files(t, 0).Cert)
	c.writeOne(t, 0, FileOptions{Authority: c.given(t, 0, file, life)})
	if after := readOne(t, c.files(t, 0).Cert); !after.Equal(before) {
		t.Error("another certificate")
	}
	other := c.given(t, 0, madeAuthority(t, "-days", "365"), life)
	c.writeOne(t, 0, FileOptions{Authority: other})
	if after := readOne(t, c.files(t, 0).Cert); after.Equal(before) || after.CheckSignatureFrom(other.Certificate()) != nil {
		t.Error("with another authority the certificate has stayed")
	}
}

func TestParseAuthorityRefuses(t *testing.T) {
	file := string(madeAuthority(t))
	i := strings.Index(file, "-----BEGIN CERT")
	for what, c := range map[string]struct{ file, want string }{
		"no certificate":    {file[:i], "failed to find certificate PEM data"},
		"no key":            {file[i:], "want its certificate and its private key in PEM"},
		"the key of others": {string(madeAuthority(t))[:i] + file[i:], "does not match"},
		"no authority":      {string(madeAuthority(t, "-addext", "basicConstraints=critical,CA:FALSE")), "not that of an authority"},
		"nothing":           {"", "failed to find any PEM data"},
	} {
		if _, err := ParseAuthority([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
