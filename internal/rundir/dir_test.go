package rundir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "run")
	d := open(t, dir)
	d.Serve(&fake{})
	for name, perm := range map[string]os.FileMode{"": 0o700, lockName: 0o600, holderName: 0o600, socketName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != perm {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
	_, err := Open(dir, Owner{})
	wantError(t, "a second time", err, ErrInUse, fmt.Sprintf("pid %d", os.Getpid()), "xlreg stop --dir "+dir)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(d.in(socketName)); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenWhereOthersCanWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Owner{})
	wantError(t, "open to others", err, nil, "others may write")
	_, err = Dial(t.Context(), dir)
	wantError(t, "dial where others can write", err, nil, "others may write")
	_, err = Env(dir, "m0")
	wantError(t, "environment where others can write", err, nil, "others may write")
}

func TestSomethingIsInTheWayOfTheSocket(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, socketName), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Owner{})
	wantError(t, "a file", err, nil, "is in the way")
	if got, err := os.ReadFile(filepath.Join(dir, socketName)); err != nil || string(got) != "precious" {
		t.Errorf("%q, %v", got, err)
	}
}

// Another process has the directory. Once it was killed with SIGKILL the directory can be
// had again, with its socket.
func TestAnotherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	other := startOther(t, dir)
	_, err := Open(dir, Owner{})
	wantError(t, "in use", err, ErrInUse, fmt.Sprintf("pid %d (", other.Process.Pid), " 'a run')", "since 20")
	if s, err := dial(t, dir).Status(t.Context()); err != nil || s.PID != other.Process.Pid {
		t.Errorf("%+v, %v", s, err)
	}

	waiting := dial(t, dir)
	ended := make(chan error, 1)
	go func() { ended <- waiting.End(t.Context()) }()
	other.kill(t)
	wantError(t, "the end of a run that was killed", <-ended, ErrCut)
	if _, err := os.Lstat(filepath.Join(dir, socketName)); err != nil {
		t.Errorf("no socket was left behind, so nothing is tested: %v", err)
	}
	_, err = Dial(t.Context(), dir)
	wantError(t, "killed", err, ErrNoRun, fmt.Sprintf("pid %d", other.Process.Pid), "was killed or lost its directory", "start it again with: ")

	d := open(t, dir)
	d.Serve(&fake{})
	if s, err := dial(t, dir).Status(t.Context()); err != nil || s.PID != os.Getpid() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	_, err = Dial(t.Context(), dir)
	wantError(t, "ended", err, ErrNoRun, fmt.Sprintf("pid %d, ended at 20", os.Getpid()), "start it again with: ")
}

func TestNoRun(t *testing.T) {
	_, err := Dial(t.Context(), t.TempDir())
	wantError(t, "an empty directory", err, ErrNoRun, "start one with 'xlreg run --dir")
	_, err = Dial(t.Context(), filepath.Join(t.TempDir(), "x"))
	wantError(t, "no directory", err, ErrNoRun, "there is no such directory")
}

// While the next run ends what a killed one has left, nobody is told that the killed one has
// the directory.
func TestInUseAfterKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	other := startOther(t, dir)
	other.kill(t)
	cleared := false
	d, err := Open(dir, Owner{Mark: "next", Clear: func(string) error {
		cleared = true
		_, err := Open(dir, Owner{})
		wantError(t, "meanwhile", err, ErrInUse, "try again")
		if text := err.Error(); strings.Contains(text, fmt.Sprintf("pid %d ", other.Process.Pid)) {
			t.Errorf("told of a process that is dead: %s", text)
		}
		return nil
	}})
	if err != nil || !cleared {
		t.Fatalf("cleared %v, %v", cleared, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// However many ask for the secret when there is none yet, all get the same.
func TestSecretAtOnce(t *testing.T) {
	d := open(t, t.TempDir())
	secrets := make([]string, 20)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			secret, err := d.Secret()
			if err != nil {
				t.Error(err)
			}
			secrets[i] = secret
		})
	}
	all.Wait()
	if different := slices.Compact(secrets); len(different) != 1 {
		t.Errorf("%d secrets", len(different))
	}
}

// A copy of a directory is a directory of its own, whatever the run in the other one does.
func TestCopy(t *testing.T) {
	dir, copied := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "copy")
	first := open(t, dir)
	first.Serve(&fake{})
	kept := Kept{Cluster: "web", Members: map[string][]string{"m0": {"127.0.0.1:4000"}}}
	if err := first.Save(kept); err != nil {
		t.Fatal(err)
	}
	secret, err := first.Secret()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = Dial(t.Context(), copied)
	wantError(t, "dial the copy", err, ErrNoRun, "it is a copy of the directory of another run")

	second := open(t, copied)
	second.Serve(&fake{})
	if got, err := second.Kept(); err != nil || !reflect.DeepEqual(*got, kept) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := second.Secret(); err != nil || got != secret {
		t.Errorf("another secret, %v", err)
	}
	ask := dial(t, copied)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := ask.Order(t.Context(), Order{Do: "restart", Name: "m0"}); err != nil {
		t.Errorf("the copy, once the other has ended: %v", err)
	}
}

// What another machine says of its processes means nothing here.
func TestOtherMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	startOther(t, dir).kill(t)
	var h holder
	if _, err := h.read(pathIn(dir, holderName), pathIn(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	h.Machine = machine{Host: "elsewhere", Boot: "other"}
	if err := new(Dir).write(pathIn(dir, holderName), h); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(t.Context(), dir)
	wantError(t, "elsewhere", err, ErrElsewhere, " on elsewhere (")
	if h.isHere() {
		t.Error("a process of elsewhere is here")
	}
	h.Machine = thisMachine()
	h.Machine.Space += "x"
	if text := h.String(); !strings.Contains(text, "in another container") || h.isHere() {
		t.Errorf("in another space: %s", text)
	}
}

func TestCommandLineForPeople(t *testing.T) {
	h := holder{Command: []string{"xlreg", "run\x1b[2J", strings.Repeat("x", 500)}}
	line := []rune(h.shortCommand())
	if len(line) != longestCommand || !strings.HasPrefix(string(line), "xlreg 'run?[2J' ") {
		t.Errorf("%d: %s", len(line), string(line))
	}
	h.Command = []string{"xlreg", "run", "--", "it's $HOME", ""}
	if got := h.commandLine(); got != `xlreg run -- 'it'\''s $HOME' ''` {
		t.Errorf("got %s", got)
	}
	h.Place = workingDir()
	if got := h.commandLine(); strings.HasPrefix(got, "cd ") {
		t.Errorf("there already: %s", got)
	}
	h.Place = "/another place"
	if got := h.commandLine(); !strings.HasPrefix(got, "cd '/another place' && xlreg run") {
		t.Errorf("from elsewhere: %s", got)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 60), "run")
	if len(dir) < 3*maxSocketPath {
		t.Fatalf("%s is not long", dir)
	}
	d := open(t, dir)
	d.Serve(&fake{})
	if s, err := dial(t, dir).Status(t.Context()); err != nil || s.Cluster != "web" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Where there is no /proc, a long path is reached through a link.
func TestLinkedPath(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp")
	long := filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPath))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	path, done, err := linkedPath(long)
	if err != nil || len(path) > maxSocketPath {
		t.Fatalf("%s, %v", path, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(long, socketName)); err != nil {
		t.Error(err)
	}
	done()
	if _, err := os.Lstat(filepath.Dir(filepath.Dir(path))); !os.IsNotExist(err) {
		t.Errorf("the link stays: %v", err)
	}
	t.Setenv("TMPDIR", long)
	_, _, err = linkedPath(long)
	wantError(t, "no short way", err, errPathTooLong, "choose a shorter one")
}

func TestGone(t *testing.T) {
	for what, do := range map[string]func(dir string) error{
		"removed":  os.RemoveAll,
		"renamed":  func(dir string) error { return os.Rename(dir, dir+".old") },
		"emptied":  func(dir string) error { return os.Remove(filepath.Join(dir, lockName)) },
		"replaced": replace,
		"the lock of another run": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, lockName), nil, 0o600)
		},
		"a file in place of the directory above": func(dir string) error {
			above := filepath.Dir(dir)
			if err := os.RemoveAll(above); err != nil {
				return err
			}
			return os.WriteFile(above, nil, 0o600)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "above", "run")
			d := open(t, dir)
			d.Serve(&fake{})
			still, cancel := context.WithCancel(t.Context())
			unheard := d.Gone(still)
			gone := d.Gone(t.Context())
			select {
			case <-gone:
				t.Fatal("gone at once")
			default:
			}
			cancel()
			if err := do(dir); err != nil {
				t.Fatal(err)
			}
			within(t, "to see it", func() { <-gone })
			_ = unheard
		})
	}
}

// replace puts another run's directory in the place of a directory.
func replace(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// emptied removes all that is in a directory.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// A run whose directory is another run's now leaves the other's files alone.
func TestCloseLeavesTheNextRunAlone(t *testing.T) {
	for what, do := range map[string]func(dir string) error{"replaced": replace, "emptied": emptied} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			first := open(t, dir)
			first.Serve(&fake{})
			if err := do(dir); err != nil {
				t.Fatal(err)
			}
			second := open(t, dir)
			second.Serve(&fake{})
			if err := first.Close(); err != nil {
				t.Error(err)
			}
			if _, err := dial(t, dir).Status(t.Context()); err != nil {
				t.Error(err)
			}
			_, err := Open(dir, Owner{})
			wantError(t, "in use", err, ErrInUse, "pid")
		})
	}
}
