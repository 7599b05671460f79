package identity

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

func TestInitLayout(t *testing.T) {
	dir := initDir(t)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v", info.Mode())
	}
	want := []string{"cert.pem", "comms.pem", "lock", "node.json", "sig.pem"}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %v", got)
	}
	for _, file := range want {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", file, info.Mode())
		}
	}
	for _, file := range []string{"comms.pem", "sig.pem"} {
		if data := readAll(t, filepath.Join(dir, file)); !strings.HasPrefix(data, "-----BEGIN PRIVATE KEY-----\n") {
			t.Errorf("%s is not PKCS #8", file)
		}
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(readAll(t, filepath.Join(dir, "node.json"))), &got); err != nil {
		t.Fatal(err)
	}
	wantJSON := map[string]any{
		"version": 1.0, "name": "m0", "attrs": 4.0, "endpoints": []any{"127.0.0.1:4001"}, "registries": []any{},
	}
	if !reflect.DeepEqual(got, wantJSON) {
		t.Errorf("got %v", got)
	}
}

func TestInitLeavesANodeAlone(t *testing.T) {
	dir := initDir(t)
	before := readAll(t, filepath.Join(dir, "node.json"))
	o := testOptions()
	o.Name, o.Keys = "m1", otherKeys()
	_, err := Init(dir, o)
	if !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if readAll(t, filepath.Join(dir, "node.json")) != before {
		t.Error("node.json changed")
	}
	if n := mustOpen(t, dir); !keys.Equal(n.Keys().Sig, testKeys().Sig) {
		t.Error("the key changed")
	}
}

// TestInitCompletesWhatACrashCutShort leaves each of the states that a crash in the
// middle of Init can leave, and makes the node again.
func TestInitCompletesWhatACrashCutShort(t *testing.T) {
	for _, left := range [][]string{
		{"lock"},
		{"lock", "comms.pem"},
		{"lock", "comms.pem", "sig.pem"},
		{"lock", "comms.pem", "sig.pem", "cert.pem"},
	} {
		t.Run(strings.Join(left, " "), func(t *testing.T) {
			dir := initDir(t)
			for _, file := range files(t, dir) {
				if !slices.Contains(left, file) {
					os.Remove(filepath.Join(dir, file))
				}
			}
			writeAll(t, filepath.Join(dir, ".sig.pem.123.tmp"), "half a k")
			o := testOptions()
			if slices.Contains(left, "sig.pem") {
				o.Keys = nil // those that are there are used
			}
			o.Name = "m1"
			n, err := Init(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			n.Close()
			n = mustOpen(t, dir)
			if n.Name() != "m1" || !keys.Equal(n.Keys().Sig, testKeys().Sig) || !keys.Equal(n.Keys().Comms, testKeys().Comms) {
				t.Errorf("got %q with other keys than were there", n.Name())
			}
			token, certificate := mustToken(t, n, xlreg.Protocol20, testTimeNow(t, n))
			if err := keys.VerifyCertificate(token, certificate); err != nil {
				t.Error(err)
			}
			if got := files(t, dir); len(got) != 5 {
				t.Errorf("files %v", got)
			}
		})
	}
}

func TestInitOfEitherKind(t *testing.T) {
	dir := t.TempDir()
	o := Options{Name: "m0", Kind: keys.P256}
	n, err := Init(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	want := n.Keys().SigKey
	n.Close()
	n = mustOpen(t, dir)
	if n.Keys().SigKey != want || n.Keys().Sig.Public().Kind() != keys.P256 {
		t.Errorf("came back with a key of kind %s", n.Keys().Sig.Public().Kind())
	}
	token, certificate := mustToken(t, n, xlreg.Protocol20, testTimeNow(t, n))
	wantProven(t, token, certificate)
	n.Close()

	os.Remove(filepath.Join(dir, "node.json"))
	o.Kind = keys.RSA
	_, err = Init(dir, o)
	wantError(t, err, "comms.pem", "kind P-256", "RSA", "move it away")
	o.Kind = ""
	again, err := Init(dir, o)
	if err != nil || again.Keys().SigKey != want {
		t.Fatalf("the keys that are there are not taken: %v", err)
	}
	again.Close()
}

func TestInitDoesNotReplaceOtherKeys(t *testing.T) {
	dir := initDir(t)
	os.Remove(filepath.Join(dir, "node.json"))
	o := testOptions()
	o.Keys = otherKeys()
	_, err := Init(dir, o)
	wantError(t, err, "comms.pem", "another key", "move it away")

	o.Keys, o.Bits = nil, 4096
	_, err = Init(dir, o)
	wantError(t, err, "comms.pem", "2048 bits", "4096", "move it away")

	writeAll(t, filepath.Join(dir, "sig.pem"), "nonsense")
	o.Bits = 0
	_, err = Init(dir, o)
	wantError(t, err, "sig.pem", "not a PEM file")
	if readAll(t, filepath.Join(dir, "sig.pem")) != "nonsense" {
		t.Error("a damaged key was replaced")
	}
}

func TestInitDirectories(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := Init(open, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	if info, err := os.Stat(open); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("an empty directory becomes %v, %v", info.Mode(), err)
	}

	used := filepath.Join(t.TempDir(), "used")
	if err := os.Mkdir(used, 0o700); err != nil {
		t.Fatal(err)
	}
	writeAll(t, filepath.Join(used, "file"), "")
	chmod(".", 0o777)(t, used)
	_, err = Init(used, testOptions())
	wantError(t, err, used, "chmod 700")

	file := filepath.Join(t.TempDir(), "file")
	writeAll(t, file, "")
	if _, err = Init(file, testOptions()); err == nil {
		t.Error("a file is taken for a directory")
	}
}

func TestInitWithSmallKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	o := testOptions()
	o.Keys = smallKeys()
	n, err := Init(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	n = mustOpen(t, dir)
	token, _ := mustToken(t, n, xlreg.Protocol19, testTime)
	if err := keys.VerifyClassic(token); err != nil {
		t.Error(err)
	}
}
