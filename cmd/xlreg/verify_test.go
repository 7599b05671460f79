package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/identity"
	"github.com/xlattice/xlreg/internal/host"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/regcred"
)

// A registry that shows one person another cluster than the next is convicted by what it
// has signed. This one is two, with the same keys and the same past.
func TestVerifyConvicts(t *testing.T) {
	dir := t.TempDir()
	node, err := identity.NewNode(identity.Options{Name: "liar"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	serve := func(file string, do func(line string)) {
		st, err := bolt.Open(filepath.Join(dir, file), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		running, err := host.Start(host.Config{Node: node, Store: st, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		defer running.Close()
		line, err := regcred.URL(running.Cred())
		if err != nil {
			t.Fatal(err)
		}
		do(line)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	serve("one.db", func(line string) {
		runOK(t, "create", "web", "--size", "2", "--registry", line, "--node", in("a"))
		runOK(t, "get", "web", "--signed", in("before"), "--registry", line)
	})
	copyFile(t, in("one.db"), in("other.db"))
	for _, member := range []string{"one", "other"} {
		serve(member+".db", func(line string) {
			runOK(t, "join", "web", "--registry", line, "--node", in("node-"+member), "--name", member, "--endpoint", "127.0.0.1:4001")
			runOK(t, "get", "web", "--signed", in(member), "--registry", line)
		})
	}
	pin := func(args ...string) []string { return append(args, "--registry", writeCredOf(t, dir, node)) }
	runOK(t, pin("verify", in("before"), in("one"))...)
	runOK(t, pin("verify", in("before"), in("other"))...)
	var out, errs bytes.Buffer
	code := execute(t.Context(), append([]string{"xlreg"}, pin("verify", in("before"), in("one"), in("other"))...), nil, &out, &errs)
	want := in("one") + " and " + in("other") + ": the registry has signed two different rosters for revision"
	if code != exitFailed || !strings.Contains(errs.String(), want) || strings.Count(out.String(), "verified") != 3 {
		t.Errorf("exit code %d, %s%s", code, out.String(), errs.String())
	}
}

// runOK runs a command that has to succeed.
func runOK(t *testing.T, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(t.Context(), append([]string{"xlreg"}, args...), nil, &out, &errs); code != exitDone {
		t.Fatalf("%q: exit code %d, %s", args, code, errs.String())
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeCredOf writes credentials by which the registry with the keys of a node is known,
// wherever it is.
func writeCredOf(t *testing.T, dir string, node *identity.Node) string {
	t.Helper()
	path := filepath.Join(dir, "regCred.dat")
	cred := &xlreg.Credentials{
		Name: node.Name(), ID: xlreg.NodeID(strings.Repeat("\x01", xlreg.LongIDLen)), Endpoints: []xlreg.Endpoint{"127.0.0.1:1"},
		CommsKey: node.Keys().CommsKey, SigKey: node.Keys().SigKey, Version: xlreg.Version20,
	}
	if err := regcred.Write(path, cred); err != nil {
		t.Fatal(err)
	}
	return path
}
