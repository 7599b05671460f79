package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// vouched stands for the certificates, which nothing here looks into.
func vouched(keys.Private, keys.Public) (cross, root []byte, err error) {
	return []byte("cross"), []byte("root"), nil
}

// newRegistry makes a registry's directory, with the ID that it has given itself.
func newRegistry(t *testing.T) (dir string, id xlreg.NodeID) {
	t.Helper()
	dir = t.TempDir()
	n, err := Init(dir, Options{Name: "xlReg", Keys: testKeys(), Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.Fingerprint(n.Keys().SigKey)
	if err != nil {
		t.Fatal(err)
	}
	id = xlreg.NodeID(bytes.Repeat([]byte{7}, 32))
	err = errors.Join(n.SetRegistry(KnownRegistry{Sig: sig, Name: "xlReg", ID: id}), n.SetDataFile("xlreg.db"), n.Close())
	if err != nil {
		t.Fatal(err)
	}
	return dir, id
}

// checkNext makes sure that a directory is that of a registry whose keys have changed.
func checkNext(t *testing.T, dir string, id xlreg.NodeID) {
	t.Helper()
	n, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Keys().SigKey != otherKeys().SigKey || n.Keys().CommsKey != otherKeys().CommsKey {
		t.Error("it has not the next keys")
	}
	sig, err := keys.Fingerprint(otherKeys().SigKey)
	if err != nil {
		t.Fatal(err)
	}
	if known, ok := n.Registry(sig); !ok || known.ID != id || n.Name() != "xlReg" || !n.IsRegistry() {
		t.Errorf("it is %s, with the ID %v", n.Name(), known.ID)
	}
	s, err := n.Succession()
	if err != nil || s == nil || !keys.Equal(s.Comms, testKeys().Comms) || string(s.Cross) != "cross" || string(s.Root) != "root" {
		t.Errorf("of its keys before it has %+v, %v", s, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "next-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNextKeys(t *testing.T) {
	dir, id := newRegistry(t)
	n, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := n.Succession(); s != nil || err != nil {
		t.Errorf("before: %+v, %v", s, err)
	}
	if err := NextKeys(dir, otherKeys(), vouched); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is in use: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := NextKeys(dir, otherKeys(), vouched); err != nil {
		t.Fatal(err)
	}
	checkNext(t, dir, id)
	if info, err := os.Stat(filepath.Join(dir, formerCommsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the comms key before: %v, %v", info, err)
	}
}

// Wherever a crash cuts the change short, the next start has all of the old keys or all of
// the new ones.
func TestNextKeysAfterACrash(t *testing.T) {
	dir, id := newRegistry(t)
	n, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.prepareNext(otherKeys(), vouched), n.Close()); err != nil {
		t.Fatal(err)
	}
	prepared := filesOf(t, dir)
	steps := []func(map[string][]byte){
		func(f map[string][]byte) {},
		func(f map[string][]byte) { f[formerCommsFile] = f[commsFile] },
		func(f map[string][]byte) { f[commsFile] = f[nextCommsFile]; delete(f, nextCommsFile) },
		func(f map[string][]byte) { f[crossFile] = f[nextName(crossFile)]; delete(f, nextName(crossFile)) },
		func(f map[string][]byte) { delete(f, certificateFile) },
		func(f map[string][]byte) { f[sigFile] = f[nextSigFile]; delete(f, nextSigFile) },
	}
	for done, step := range steps {
		step(prepared)
		again := t.TempDir()
		for name, content := range prepared {
			if err := os.WriteFile(filepath.Join(again, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		checkNext(t, again, id)
		if t.Failed() {
			t.Fatalf("cut short after step %d", done)
		}
	}

	// Before the next sig key is there, nothing has changed.
	early, _ := newRegistry(t)
	for _, name := range []string{nextCommsFile, nextName(crossFile)} {
		if err := os.WriteFile(filepath.Join(early, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err = OpenRegistry(early); err != nil || n.Keys().SigKey != testKeys().SigKey {
		t.Fatalf("a change that has not begun: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := NextKeys(early, otherKeys(), vouched); err != nil {
		t.Error(err)
	}
}

func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Keys that classic clients or regCred.dat could not deal with change nothing.
func TestNextKeysThatCannotBe(t *testing.T) {
	dir, _ := newRegistry(t)
	before := filesOf(t, dir)
	refusal := errors.New("no word for it")
	for name, c := range map[string]struct {
		next  *keys.Set
		vouch Voucher
		want  error
	}{
		"on a curve":     {curveKeys(), vouched, errRegistryKind},
		"of other sizes": {smallKeys(), vouched, errCommsSize},
		"the same":       {testKeys(), vouched, errSameKey},
		"not vouched for": {otherKeys(), func(keys.Private, keys.Public) (cross, root []byte, err error) {
			return nil, nil, refusal
		}, refusal},
	} {
		if err := NextKeys(dir, c.next, c.vouch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, content := range filesOf(t, dir) {
		if !bytes.Equal(before[name], content) {
			t.Errorf("%s has changed", name)
		}
	}
	node := t.TempDir()
	n, err := Init(node, Options{Name: "n", Keys: testKeys()})
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	if err := NextKeys(node, otherKeys(), vouched); !errors.Is(err, ErrNotRegistry) {
		t.Errorf("of a node: %v", err)
	}
}
