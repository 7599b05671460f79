package identity

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

// initRegistry makes the directory of a registry as its first start does.
func initRegistry(t *testing.T) (dir string, id xlreg.NodeID) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "registry")
	n, err := Init(dir, Options{Name: "reg", Keys: testKeys(), Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.Fingerprint(n.Keys().SigKey)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(n.SetRegistry(KnownRegistry{Sig: sig, Name: "reg", ID: testID}), n.SetDataFile("data.db"), n.Close())
	if err != nil {
		t.Fatal(err)
	}
	return dir, testID
}

func writeCred(t *testing.T, dir string, set *keys.Set) {
	t.Helper()
	err := regcred.Write(filepath.Join(dir, credFile), &xlreg.Credentials{
		Name: "reg", ID: testID, CommsKey: set.CommsKey, SigKey: set.SigKey,
		Endpoints: []xlreg.Endpoint{"127.0.0.1:1"}, Version: xlreg.Version20,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A power cut can leave a file that has its name and nothing in it.
func TestNameComesBackFromTheCertificate(t *testing.T) {
	for what, left := range map[string]string{"nothing": "", "zeros": strings.Repeat("\x00", 300)} {
		dir := initDir(t)
		writeAll(t, filepath.Join(dir, "node.json"), left)
		loaded, err := Load(dir)
		if err != nil || loaded.Name() != "m0" || !loaded.Recovered() {
			t.Fatalf("%s: loaded %v, %v", what, loaded, err)
		}
		if readAll(t, filepath.Join(dir, "node.json")) != left {
			t.Errorf("%s: Load has written", what)
		}
		writeCred(t, dir, otherKeys()) // of the registry that it goes to
		n := mustOpen(t, dir)
		if n.Name() != "m0" || !n.Recovered() || len(n.Registries()) != 0 {
			t.Errorf("%s: %s, recovered %v, registries %v", what, n.Name(), n.Recovered(), n.Registries())
		}
		n.Close()
		if again := mustOpen(t, dir); again.Name() != "m0" || again.Recovered() {
			t.Errorf("%s: the next time %s, recovered %v", what, again.Name(), again.Recovered())
		}
	}
}

// Nothing is made up where the certificate does not prove the name.
func TestNameDoesNotComeBack(t *testing.T) {
	other := string(pemOf("CERTIFICATE", newCertificate(t, otherKeys(), testToken(otherKeys()))))
	for name, change := range map[string]func(*testing.T, string){
		"no certificate":         remove("cert.pem"),
		"empty certificate":      replace("cert.pem", ""),
		"certificate of another": replace("cert.pem", other),
		"certificate of no form": replace("cert.pem", string(pemOf("CERTIFICATE", otherForm(t, testKeys())))),
		"empty credentials":      replace("regCred.dat", ""),
	} {
		t.Run(name, func(t *testing.T) {
			dir := initDir(t)
			writeAll(t, filepath.Join(dir, "node.json"), "")
			change(t, dir)
			_, err := Open(dir)
			wantError(t, err, filepath.Join(dir, "node.json")+" is empty", "from a backup", "xlreg node init")
			if readAll(t, filepath.Join(dir, "node.json")) != "" {
				t.Error("it was written nevertheless")
			}
		})
	}
}

func TestRegistryComesBackFromItsCredentials(t *testing.T) {
	dir, id := initRegistry(t)
	writeCred(t, dir, testKeys())
	writeAll(t, filepath.Join(dir, "node.json"), "")
	if _, err := Open(dir); !errors.Is(err, ErrRegistry) {
		t.Errorf("as a node: %v", err)
	}
	n, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	own := n.Registries()
	if n.Name() != "reg" || len(own) != 1 || own[0].ID != id || !n.Recovered() {
		t.Errorf("%s, %v, recovered %v", n.Name(), own, n.Recovered())
	}
	if name, known := n.DataFile(); known {
		t.Errorf("it claims to know of the data file %q", name)
	}
}

func TestRegistryAndNodeDirectories(t *testing.T) {
	registry, _ := initRegistry(t)
	if _, err := Open(registry); !errors.Is(err, ErrRegistry) || !strings.Contains(err.Error(), registry) {
		t.Errorf("a registry's as a node's: %v", err)
	}
	node := initDir(t)
	if _, err := OpenRegistry(node); !errors.Is(err, ErrNotRegistry) || !strings.Contains(err.Error(), node) {
		t.Errorf("a node's as a registry's: %v", err)
	}
	mustOpen(t, node).Close() // the lock was given up
	// A registry that has lost its node.json does not lend its keys to a new node.
	lost, _ := initRegistry(t)
	writeCred(t, lost, testKeys())
	remove("node.json")(t, lost)
	if _, err := Init(lost, Options{Name: "m0"}); !errors.Is(err, ErrRegistry) {
		t.Errorf("a node made in a registry's: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	writeCred(t, elsewhere, otherKeys())
	made, err := Init(elsewhere, Options{Name: "m0", Keys: testKeys()})
	if err != nil {
		t.Fatalf("beside the credentials of its registry: %v", err)
	}
	made.Close()
	// One that was made before node.json said what it is: it gave itself an ID.
	old, _ := initRegistry(t)
	path := filepath.Join(old, "node.json")
	text := readAll(t, path)
	at := strings.Index(text, `,`+"\n"+`  "serve"`)
	writeAll(t, path, text[:at]+"\n}\n")
	if _, err := Open(old); !errors.Is(err, ErrRegistry) {
		t.Errorf("an old registry's as a node's: %v", err)
	}
	n, err := OpenRegistry(old)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if name, known := n.DataFile(); known {
		t.Errorf("the data file of an old one is said to be %q", name)
	}
}

func TestDataFileIsRemembered(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	n, err := Init(dir, Options{Name: "reg", Keys: testKeys(), Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	if name, known := n.DataFile(); name != "" || !known {
		t.Errorf("a new one has %q, known %v", name, known)
	}
	for _, bad := range []string{"a/b", "..", "/x"} {
		if err := n.SetDataFile(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if err := errors.Join(n.SetDataFile("data.db"), n.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "node.json")
	// What a later program adds stays.
	writeAll(t, path, strings.Replace(readAll(t, path), `"data": "data.db"`, `"data": "data.db", "more": [1]`, 1))
	n, err = OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if name, known := n.DataFile(); name != "data.db" || !known {
		t.Errorf("the data file is %q, known %v", name, known)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.SetDataFile("data.db"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("what has not changed was written again")
	}
	if err := n.SetDataFile("other.db"); err != nil {
		t.Fatal(err)
	}
	if text := readAll(t, path); !strings.Contains(text, `"other.db"`) || !strings.Contains(text, `"more"`) {
		t.Errorf("node.json is %s", text)
	}
}

// A directory and files of others are refused, whoever the user is. Only root can
// give files away, so for other users the rule is tested in internal/private.
func TestFilesOfOthersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	for _, name := range []string{".", "sig.pem", "comms.pem", "node.json", "cert.pem"} {
		dir := initDir(t)
		path := filepath.Join(dir, name)
		if err := os.Chown(path, 4711, -1); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantError(t, err, path+" belongs to another user")
		_, err = Load(dir)
		wantError(t, err, path+" belongs to another user")
		if !slices.Contains([]string{"sig.pem", "comms.pem"}, name) {
			continue
		}
		_, err = ReadPrivateKey(path)
		wantError(t, err, path+" belongs to another user")
	}
}
