package regcred

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

var testKeys = sync.OnceValue(func() *keys.Set {
	set, err := keys.Generate(keys.RSA, 2048)
	if err != nil {
		panic(err)
	}
	return set
})

func testCred() *xlreg.Credentials {
	return &xlreg.Credentials{
		Name:      "xlReg",
		ID:        xlreg.NodeID(strings.Repeat("\xab\x01", 16)),
		CommsKey:  testKeys().CommsKey,
		SigKey:    testKeys().SigKey,
		Endpoints: []xlreg.Endpoint{"203.0.113.7:56789", "[2001:db8::7]:56789", "registry.example.org:1"},
		Version:   xlreg.Version20,
	}
}

func testFile(t testing.TB) string {
	t.Helper()
	data, err := Marshal(testCred())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRecordedFiles(t *testing.T) {
	files := map[string]struct {
		id, endpoint, version string
		protocol              xlreg.Protocol
	}{
		"1.8.4-regCred.dat":  {"b60585703cb2cf2232d3a10126f2e34679aeafb6", "127.0.0.1:45618", "1.8.4", xlreg.Protocol18},
		"1.9.24-regCred.dat": {"9aafd4f709f813e1286dee9fbfd59e9d07e40c23", "127.0.0.1:45719", "1.9.24", xlreg.Protocol19},
	}
	for file, want := range files {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join("testdata", file)
			c, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.Name != "xlReg" || c.ID.String() != want.id || c.Version.String() != want.version ||
				len(c.Endpoints) != 1 || string(c.Endpoints[0]) != want.endpoint {
				t.Errorf("got %+v", c)
			}
			if p, ok := c.Protocol(); p != want.protocol || ok {
				t.Errorf("protocol %v, %v", p, ok)
			}
			// Deployed writers end a key's line with LF alone; all else must be
			// the same, down to the spaces.
			recorded, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ReplaceAll(string(got), "\r", "") != strings.ReplaceAll(string(recorded), "\r", "") {
				t.Errorf("written as\n%s\nrecorded\n%s", got, recorded)
			}
		})
	}
}

func TestWritersEmitCRLF(t *testing.T) {
	file := testFile(t)
	if n := strings.Count(file, "\n"); n != 14 || strings.Count(file, "\r\n") != n {
		t.Errorf("%d lines in %q", n, file)
	}
	if !strings.HasPrefix(file, "regCred {\r\n    Name: xlReg\r\n    ID: ab01") || !strings.HasSuffix(file, "\r\n    Version: 2.0\r\n}\r\n") {
		t.Errorf("got %q", file)
	}
}

func TestParseAccepts(t *testing.T) {
	file := testFile(t)
	cases := map[string]string{
		"as written":      file,
		"LF":              strings.ReplaceAll(file, "\r\n", "\n"),
		"no end of line":  strings.TrimSuffix(file, "\r\n"),
		"more blanks":     strings.ReplaceAll(file, "\r\n", "\r\n\r\n  \t\r\n"),
		"no blanks":       strings.ReplaceAll(file, "\r\n\r\n", "\r\n"),
		"no indentation":  strings.ReplaceAll(strings.ReplaceAll(file, "\n    ", "\n"), "\n     ", "\n"),
		"upper-case hex":  strings.ReplaceAll(file, "ab01", "AB01"),
		"a comment":       strings.ReplaceAll(file, "\r\n\r\n", " admin@host, of old\r\n\r\n"),
		"a long version":  strings.ReplaceAll(file, "Version: 2.0", "Version: 2.0.0.0"),
		"blanks at first": "\n\r\n" + file,
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			c, err := Parse([]byte(data))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c, testCred()) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestParseNamesTheLine(t *testing.T) {
	file := strings.ReplaceAll(testFile(t), "\r\n", "\n")
	lines := strings.Split(file, "\n")
	comms := strings.TrimPrefix(lines[3], "    CommsPubKey: ")
	id := strings.TrimPrefix(lines[2], "    ID: ")
	cases := map[string]struct {
		old, new string
		line     string
	}{
		"empty":              {file, "", "line 1: end of file"},
		"opening":            {"regCred {", "regCred", "line 1:"},
		"name missing":       {lines[1] + "\n", "", "line 2:"},
		"name empty":         {"Name: xlReg", "Name: ", "line 2:"},
		"name ill-formed":    {"xlReg", "7up", "line 2:"},
		"two spaces":         {"Name: x", "Name:  x", "line 2:"},
		"no space":           {"Name: x", "Name:x", "line 2:"},
		"id missing":         {lines[2] + "\n", "", "line 3:"},
		"id short":           {id, id[:62], "line 3:"},
		"id of 42 digits":    {id, id[:42], "line 3:"},
		"id not hex":         {id, "g" + id[1:], "line 3:"},
		"comms missing":      {lines[3] + "\n", "", "line 5:"},
		"sig missing":        {lines[5] + "\n", "", "line 7:"},
		"key algorithm":      {"CommsPubKey: ssh-rsa", "CommsPubKey: ssh-ed25519", "line 4:"},
		"key without base64": {comms, "ssh-rsa", "line 4:"},
		"key not base64":     {comms, "ssh-rsa ####", "line 4:"},
		"key cut short":      {comms, comms[:len(comms)-40], "line 4:"},
		"key of another kind": {comms, "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIDqHkS1cW1PoQjB1pSRmDOuC0xOt1j1mZz8n5bG5cQ5Q",
			"line 4:"},
		"order":             {lines[1] + "\n" + lines[2], lines[2] + "\n" + lines[1], "line 2:"},
		"another field":     {lines[1], lines[1] + "\n    Colour: red", "line 3:"},
		"no endpoints":      {strings.Join(lines[7:12], "\n") + "\n", "", "line 8:"},
		"no endpoint":       {strings.Join(lines[8:11], "\n") + "\n", "", "line 9: no endpoint"},
		"endpoint port":     {"203.0.113.7:56789", "203.0.113.7:0", "line 9:"},
		"endpoint host":     {"203.0.113.7:56789", "203.0.113.999:1", "line 9:"},
		"endpoint zone":     {"2001:db8::7", "fe80::7%eth0", "line 10:"},
		"17 endpoints":      {lines[10], strings.Repeat(lines[10]+"\n", 15) + lines[10], "line 25: more than 16"},
		"endpoints open":    {"    }\n", "", "line 12:"},
		"version missing":   {lines[12] + "\n", "", "line 13:"},
		"version of 1 part": {"Version: 2.0", "Version: 2", "line 13:"},
		"version of 5":      {"Version: 2.0", "Version: 2.0.0.0.0", "line 13:"},
		"version of 256":    {"Version: 2.0", "Version: 2.256", "line 13:"},
		"version of -1":     {"Version: 2.0", "Version: 2.-1", "line 13:"},
		"brace unclosed":    {"\n}\n", "\n", "line 13: end of file"},
		"a new field":       {lines[12], lines[12] + "\n    More: yes", "line 14:"},
		"after the end":     {"\n}\n", "\n}\n\nregCred {", "line 16:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(file, c.old) {
				t.Fatalf("the file does not hold %q", c.old)
			}
			_, err := Parse([]byte(strings.Replace(file, c.old, c.new, 1)))
			if err == nil || !strings.HasPrefix(err.Error(), c.line) {
				t.Errorf("got %v, want %s", err, c.line)
			}
		})
	}
	if _, err := Parse(make([]byte, maxLen+1)); err == nil {
		t.Error("a file without end is read")
	}
}

func TestMarshalRefuses(t *testing.T) {
	cases := map[string]func(*xlreg.Credentials){
		"name":          func(c *xlreg.Credentials) { c.Name = "a b" },
		"id":            func(c *xlreg.Credentials) { c.ID = "short" },
		"comms key":     func(c *xlreg.Credentials) { c.CommsKey = "no key" },
		"sig key":       func(c *xlreg.Credentials) { c.SigKey = "no key" },
		"no endpoint":   func(c *xlreg.Credentials) { c.Endpoints = nil },
		"endpoint":      func(c *xlreg.Credentials) { c.Endpoints = []xlreg.Endpoint{"a:1\r\n}"} },
		"17 endpoints":  func(c *xlreg.Credentials) { c.Endpoints = make([]xlreg.Endpoint, 17) },
		"name injected": func(c *xlreg.Credentials) { c.Name = "a\r\nID: 00" },
	}
	for name, change := range cases {
		c := testCred()
		change(c)
		if data, err := Marshal(c); err == nil {
			t.Errorf("%s: written as %q", name, data)
		}
		path := filepath.Join(t.TempDir(), "regCred.dat")
		if err := Write(path, c); err == nil {
			t.Errorf("%s: written", name)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file is there: %v", name, err)
		}
	}
}

func TestKeysOfAllExponents(t *testing.T) {
	for _, e := range []int{3, 65537, 1<<31 - 1} {
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: testKeys().Comms.Signer().Public().(*rsa.PublicKey).N, E: e})
		if err != nil {
			t.Fatal(err)
		}
		c := testCred()
		c.CommsKey = xlreg.CommsKey(der)
		data, err := Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if again.CommsKey != c.CommsKey {
			t.Errorf("exponent %d: the key changed", e)
		}
	}
}

func TestReadAndWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regCred.dat")
	if err := Write(path, testCred()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("permissions %v", info.Mode())
	}
	c, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, testCred()) {
		t.Errorf("got %+v", c)
	}
	if _, err := Read(path + ".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("regCred {\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path+": line 1") {
		t.Errorf("got %v, want the file and the line", err)
	}
}

// TestFingerprintIsThatOfSSHKeygen holds the fingerprint against the program whose
// users are to compare it.
func TestFingerprintIsThatOfSSHKeygen(t *testing.T) {
	c := testCred()
	key, err := marshalKey(c.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-lf", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen (Debian package openssh-client): %v\n%s", err, out)
	}
	fingerprint, err := keys.Fingerprint(c.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(string(out)); len(fields) < 2 || fields[1] != fingerprint {
		t.Errorf("got %s, ssh-keygen says %s", fingerprint, out)
	}
}

// TestFingerprintOfARecordedKey needs no other program: the value is what
// ssh-keygen printed for that file.
func TestFingerprintOfARecordedKey(t *testing.T) {
	c, err := Read(filepath.Join("testdata", "1.9.24-regCred.dat"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := keys.Fingerprint(c.SigKey)
	if err != nil {
		t.Fatal(err)
	}
	if got != recordedFingerprint {
		t.Errorf("got %s, want %s", got, recordedFingerprint)
	}
}

// No deployed client reads another kind of key here.
func TestOnlyRSA(t *testing.T) {
	set, err := keys.Generate(keys.P256, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := testCred()
	c.SigKey = set.SigKey
	if _, err := Marshal(c); err == nil || !strings.Contains(err.Error(), "sig key: key of kind P-256") {
		t.Errorf("written: %v", err)
	}
	c = testCred()
	c.CommsKey = set.CommsKey
	if _, err := Marshal(c); err == nil || !strings.Contains(err.Error(), "comms key: key of kind P-256") {
		t.Errorf("written: %v", err)
	}
	file, err := Marshal(testCred())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"CommsPubKey", "SigPubKey"} {
		rsa := strings.SplitAfter(string(file), word+": ")[1]
		rsa, _, _ = strings.Cut(rsa, "\r\n")
		text := strings.Replace(string(file), word+": "+rsa, word+": "+keys.FormatSSH(set.Sig.Public()), 1)
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), word+": key of kind P-256") {
			t.Errorf("read: %v", err)
		}
	}
}
