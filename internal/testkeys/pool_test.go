package testkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/filelock"
	"github.com/xlattice/xlreg/keys"
)

// otherProcess names the directory of the pool that the test program uses when it
// is started as another process.
const otherProcess = "TESTKEYS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(otherProcess); dir != "" {
		sets, err := New(dir).Take(4)
		for _, k := range sets {
			fmt.Println(fingerprint(k))
		}
		if err != nil {
			fmt.Println(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func fingerprint(k *keys.Set) string {
	comms, _ := keys.Fingerprint(xlreg.SigKey(k.CommsKey))
	sig, _ := keys.Fingerprint(k.SigKey)
	return comms + " " + sig
}

func take(t *testing.T, p *Pool, n int) []string {
	t.Helper()
	sets, err := p.Take(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(sets) != n {
		t.Fatalf("got %d pairs, want %d", len(sets), n)
	}
	all := make([]string, 0, n)
	for _, k := range sets {
		if keys.Equal(k.Comms, k.Sig) || k.Comms.Public().Bits() != 2048 || k.Sig.Public().Bits() != 2048 {
			t.Errorf("keys of %d and %d bits", k.Comms.Public().Bits(), k.Sig.Public().Bits())
		}
		all = append(all, fingerprint(k))
	}
	return all
}

func wantDistinct(t *testing.T, fingerprints ...string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, f := range strings.Fields(strings.Join(fingerprints, " ")) {
		if seen[f] {
			t.Errorf("%s comes twice", f)
		}
		seen[f] = true
	}
}

func wantSame(t *testing.T, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func cacheDir(t *testing.T) string { return filepath.Join(t.TempDir(), "cache", "keys") }

func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	p := New(dir)
	first := take(t, p, 2)
	more := take(t, p, 1)
	wantDistinct(t, append(first, more...)...)
	if err := p.Uncached(); err != nil {
		t.Error(err)
	}
	wantSame(t, take(t, New(dir), 3), append(first, more...))
}

func TestFilesAreMarkedAndClosed(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	take(t, New(dir), 1)
	for path, want := range map[string]struct {
		mode fs.FileMode
		text string
	}{
		dir:                                      {fs.ModeDir | 0o700, ""},
		filepath.Join(dir, "README.txt"):         {0o600, "for tests, and for nothing else"},
		filepath.Join(dir, "TEST-ONLY-0000.pem"): {0o600, "TEST KEY, NOT SECRET: the comms key"},
		filepath.Join(dir, "lock"):               {0o600, ""},
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want.mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want.mode)
		}
		if want.text == "" {
			continue
		}
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), want.text) {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v", entries, err)
	}
}

func TestAnOpenDirectoryIsClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	take(t, New(dir), 1)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestKeysAreWithOneTakerAtATime(t *testing.T) {
	t.Parallel()
	p := New(cacheDir(t))
	var mu sync.Mutex
	var all []string
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			sets, err := p.Take(1)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			all = append(all, fingerprint(sets[0]))
		})
	}
	group.Wait()
	wantDistinct(t, all...)
}

func TestKeysThatAreGivenBackAreUsedAgain(t *testing.T) {
	t.Parallel()
	p := New(cacheDir(t))
	sets, err := p.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	p.Give(sets[0])
	again, err := p.Take(1)
	if err != nil || again[0] != sets[0] {
		t.Errorf("got another pair, %v", err)
	}
	p.Give(sets...)
	if take(t, p, 2); p.next != 2 {
		t.Errorf("made %d pairs, want 2", p.next)
	}
}

func TestDamagedFilesAreNotRead(t *testing.T) {
	t.Parallel()
	path := keyPath(t.TempDir(), 0)
	sets, err := Keys(1)
	if err != nil {
		t.Fatal(err)
	}
	defer Shared().Give(sets...)
	if err := writeKeys(path, 0, sets[0]); err != nil {
		t.Fatal(err)
	}
	whole := read(t, path)
	comms, rest, _ := bytes.Cut(whole, []byte("-----END PRIVATE KEY-----\n"))
	oneKeyTwice := bytes.Repeat(append(comms, "-----END PRIVATE KEY-----\n"...), 2)
	for name, damaged := range map[string][]byte{
		"":              whole, // which is not damaged
		"cut short":     whole[:len(whole)/2],
		"empty":         nil,
		"a bit":         flipped(whole),
		"one key":       rest,
		"one key twice": oneKeyTwice,
		"more":          append(bytes.Clone(whole), '\n'),
		"too long":      append(make([]byte, 1<<20), whole...),
	} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readKeys(path); (err == nil) != (name == "") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readKeys(path); err == nil {
		t.Error("a file that others may read was read")
	}
}

func TestDamagedFilesAreMadeAnew(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	want := take(t, New(dir), 2)
	for name, damage := range map[string]func(string) error{
		"cut short": func(path string) error { return os.Truncate(path, 100) },
		"gone":      os.Remove,
	} {
		if err := damage(keyPath(dir, 0)); err != nil {
			t.Fatal(err)
		}
		got := take(t, New(dir), 2)
		if got[0] == want[0] || got[1] != want[1] {
			t.Errorf("%s: the same pair comes back, or the other does not", name)
		}
		wantSame(t, take(t, New(dir), 2), got) // it is whole again
		want = got
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// flipped returns data with one bit of the second key changed.
func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(data)-200] ^= 1
	return data
}

func TestKeysInMemory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"no directory": "", "a file where the directory should be": filepath.Join(file, "keys")} {
		p := New(dir)
		wantDistinct(t, take(t, p, 2)...)
		if err := p.Uncached(); err == nil {
			t.Errorf("%s: said nothing", name)
		}
	}
}

// A name that is taken keeps one pair from being written, and from nothing else.
func TestAPairThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	if err := os.MkdirAll(filepath.Join(keyPath(dir, 0), "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := New(dir)
	first := take(t, p, 2)
	if err := p.Uncached(); err == nil {
		t.Error("said nothing")
	}
	second := take(t, New(dir), 2)
	if first[0] == second[0] || first[1] != second[1] {
		t.Errorf("got %v, then %v", first, second)
	}
}

// Processes that start at once share the work: none makes a pair that another has.
func TestProcessesShare(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	out := make([]string, 3)
	var group sync.WaitGroup
	for i := range out {
		group.Go(func() { out[i] = elsewhere(t, dir) })
	}
	group.Wait()
	want := strings.Join(take(t, New(dir), 4), "\n") + "\n"
	for _, got := range out {
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

func elsewhere(t *testing.T, dir string) string {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), otherProcess+"="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

// Who waits for the lock is served as soon as the keys are there, even if the lock
// is held for longer.
func TestAWaiterTakesWhatOthersMake(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	var taken []*keys.Set
	var waiter errgroup.Group
	waiter.Go(func() (err error) {
		taken, err = New(dir).Take(1)
		return err
	})
	set, err := keys.Generate(keys.RSA, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeKeys(keyPath(dir, 0), 0, set); err != nil {
		t.Fatal(err)
	}
	if err := waiter.Wait(); err != nil || !keys.Equal(taken[0].Sig, set.Sig) {
		t.Errorf("got other keys, %v", err)
	}
}

// Between the last look and the lock somebody else may have made all there is to do.
func TestTheLockIsTooLate(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	want, err := New(dir).Take(1)
	if err != nil {
		t.Fatal(err)
	}
	b := &batch{dir: dir, pairs: make([]*keys.Set, 1)}
	if err := b.fillLocked(); err != nil || !keys.Equal(b.pairs[0].Sig, want[0].Sig) {
		t.Errorf("got other keys, %v", err)
	}
}

// A process that holds the lock and does nothing, stopped in a debugger perhaps,
// does not stop others for ever.
func TestAWaiterGivesUp(t *testing.T) {
	dir := cacheDir(t)
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		want := take(t, New(dir), 1)
		if waited := time.Since(begun); waited < patience || waited > patience+time.Second {
			t.Errorf("waited %v, want %v", waited, patience)
		}
		wantSame(t, take(t, New(dir), 1), want)
	})
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	dir := cacheDir(t)
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, ".TEST-ONLY-0000.pem.123.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	take(t, New(dir), 1)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// The shared pool is the same for all, and survives a user without a home.
func TestShared(t *testing.T) {
	if one, other := Shared(), Shared(); one != other {
		t.Error("two pools")
	}
	dir, err := os.UserCacheDir()
	if err == nil && Shared().dir != filepath.Join(dir, "xlreg", "test-keys") {
		t.Errorf("keys are in %q", Shared().dir)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	if p := newShared(); p.Uncached() == nil || len(take(t, p, 1)) != 1 {
		t.Errorf("got %+v", p)
	}
	sets, err := Keys(1)
	if err != nil || len(sets) != 1 {
		t.Errorf("got %v", err)
	}
	Shared().Give(sets...)
}
