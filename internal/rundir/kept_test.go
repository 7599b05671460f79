package rundir

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestKept(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	if k, err := d.Kept(); k != nil || err != nil {
		t.Errorf("at first: %v, %v", k, err)
	}
	want := Kept{Cluster: "web", PortNames: []string{"peer", "client"}, Members: map[string][]string{"m0": {"127.0.0.1:4000", "[::1]:4001"}}, Logs: "/logs"}
	if err := d.Save(want); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() (*Kept, error){d.Kept, func() (*Kept, error) { return KeptIn(d.Path()) }} {
		if got, err := read(); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if info, err := os.Stat(d.KeptPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestDamagedKept(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	for text, word := range map[string]string{
		"": "JSON", "{": "JSON", "[]": "array", `{"version": 1, "members": []}`: "members",
		`{"cluster": "web"}`:            "no version",
		`{"version": 1, "members": {}}`: "no cluster",
		`{"version": 1, "cluster": "web", "members": {"m0": ["127.0.0.1"]}}`: `"127.0.0.1" of m0 is no address`,
		`{"version": 1, "cluster": "web", "members": {"": []}}`:              "no name",
		"\x00\xff": "invalid",
	} {
		if err := os.WriteFile(d.KeptPath(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Kept()
		wantError(t, text, err, ErrDamaged, d.KeptPath(), word, "put it back from a copy, or remove it")
	}
	if err := os.WriteFile(d.KeptPath(), []byte(`{"version": 2, "cluster": 7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.Kept()
	wantError(t, "a newer one", err, nil, "newer xlreg")
}

func TestPortTaken(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	want := "port 41234 of m1 is taken by etcd (pid 4242): stop it, or remove " + d.KeptPath() + " to take new ports"
	if got := d.PortTaken("m1", "127.0.0.1:41234", "etcd (pid 4242)").Error(); got != want {
		t.Errorf("got %s", got)
	}
}

func TestSecret(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	secret, err := d.Secret()
	if err != nil || len(secret) != 2*secretBytes {
		t.Fatalf("%d digits, %v", len(secret), err)
	}
	if again, err := d.Secret(); err != nil || again != secret {
		t.Errorf("another one: %v", err)
	}
	path := filepath.Join(d.Path(), secretName)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	other, err := NewSecret()
	if err != nil || other == secret {
		t.Errorf("the same again: %v", err)
	}
	for _, text := range []string{secret[1:], secret + "00", "x" + secret[1:], "", strings.Repeat(" ", 100) + secret} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := d.Secret()
		wantError(t, "damaged", err, ErrDamaged, path)
		if got != "" || err != nil && len(text) > 4 && strings.Contains(err.Error(), secret[1:20]) {
			t.Errorf("it is told")
		}
	}
	if err := os.WriteFile(path, []byte(strings.ToUpper(secret)+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Secret(); err != nil || got != secret {
		t.Errorf("in capitals: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = d.Secret()
	wantError(t, "for all to read", err, nil, "chmod 600")
}

func TestEnv(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"))
	if names, err := Known(d.Path()); err != nil || len(names) > 0 {
		t.Errorf("before: %q, %v", names, err)
	}
	want := map[string][]string{"m0": {"A=1", "B=two\nlines = \xff", "C="}, "m1": nil, "m2": {"A=2"}}
	for range 2 { // the second time in place of the first
		if err := d.SetEnv(want); err != nil {
			t.Fatal(err)
		}
	}
	for name, env := range want {
		if got, err := Env(d.Path(), name); err != nil || !reflect.DeepEqual(got, env) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(pathIn(d.Path(), envName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if names, err := Known(d.Path()); err != nil || !reflect.DeepEqual(names, []string{"m0", "m1", "m2"}) {
		t.Errorf("%q, %v", names, err)
	}
	if err := d.SetEnv(map[string][]string{"m1": {"A=3"}}); err != nil {
		t.Fatal(err)
	}
	_, err := Env(d.Path(), "m0")
	wantError(t, "of one that is not there any more", err, ErrNoEnvironment)
	for _, name := range []string{"", ".", "..", "../run.json", "/etc/passwd"} {
		wantError(t, name, d.SetEnv(map[string][]string{name: nil}), nil, "no name")
	}
	for _, v := range []string{"A", "=1", "A=\x00B=2"} {
		wantError(t, v, d.SetEnv(map[string][]string{"m0": {v}}), nil, "m0")
	}
}
