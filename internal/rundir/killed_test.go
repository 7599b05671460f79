package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The next run in a directory is told of one that was killed, once nobody else can have the
// directory, and as often as it takes.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	other := startOther(t, dir)
	other.kill(t)
	if mark := Killed(dir); mark != "other" {
		t.Errorf("the mark is %q", mark)
	}
	no := errors.New("no")
	clearing := func(result error) (func(string) error, *[]string) {
		var told []string
		return func(mark string) error {
			if _, err := Open(dir, Owner{}); !errors.Is(err, ErrInUse) {
				t.Errorf("a second one meanwhile: %v", err)
			}
			told = append(told, mark)
			return result
		}, &told
	}
	for _, result := range []error{no, nil} {
		f, told := clearing(result)
		d, err := Open(dir, Owner{Mark: "mine", Clear: f})
		if !errors.Is(err, result) || len(*told) != 1 || (*told)[0] != "other" {
			t.Fatalf("%v, told %q", err, *told)
		}
		if err == nil && d.Close() != nil {
			t.Error("close failed")
		}
	}
	f, told := clearing(nil)
	d, err := Open(dir, Owner{Clear: f})
	if err != nil || len(*told) > 0 || Killed(dir) != "" {
		t.Fatalf("after a good end: %v, told %q", err, *told)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// What is in a directory of another machine, or in a copy, is about processes elsewhere.
func TestKilledElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	startOther(t, dir).kill(t)
	copied := dir + "-copy"
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{lockName, holderName} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if mark := Killed(copied); mark != "" {
		t.Errorf("a copy: %q", mark)
	}
	var h holder
	if _, err := h.read(pathIn(dir, holderName), pathIn(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	h.Machine.Host += "x"
	if err := new(Dir).write(pathIn(dir, holderName), h); err != nil {
		t.Fatal(err)
	}
	if mark := Killed(dir); mark != "" {
		t.Errorf("another machine: %q", mark)
	}
}
