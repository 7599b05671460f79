package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/group"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

// TestMain is also the program that the tests of sudden ends run and kill.
func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		os.Exit(child(os.Getenv(childTask), path))
	}
	goleak.VerifyTestMain(m)
}

// opened is a store and the driver that it stands on.
type opened struct {
	*group.Store
	driver *driver
}

func open(t testing.TB, dir string) opened {
	t.Helper()
	d, err := openDriver(filepath.Join(dir, "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return opened{group.New(d), d}
}

// openTemp returns a new store that is closed when the test ends.
func openTemp(t testing.TB) opened {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// nodeKey spreads over the file, as identifiers do.
func nodeKey(n int) string {
	return string([]byte{byte(n * 7), byte(n), byte(n >> 8), byte(n >> 16)}) + strings.Repeat("k", 16)
}

// nodeSize is about that of a node's record.
const nodeSize = 1700

func putNode(n int) func(store.Writer) error {
	return func(w store.Writer) error { return w.Put(nodeKey(n), bytes.Repeat([]byte{byte(n)}, nodeSize)) }
}

// wantNode returns an error unless the node is there, whole.
func wantNode(r store.Reader, n int) error {
	value, err := r.Get(nodeKey(n))
	if err == nil && !bytes.Equal(value, bytes.Repeat([]byte{byte(n)}, nodeSize)) {
		err = errors.New("damaged value")
	}
	if err != nil {
		return fmt.Errorf("node %d: %w", n, err)
	}
	return nil
}

func hasNode(t testing.TB, s store.Store, n int) bool {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error { return wantNode(r, n) })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// commits returns how many commits the file has seen.
func commits(t testing.TB, d *driver) int {
	t.Helper()
	tx, err := d.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // a reader
	return tx.ID()
}

// openPublic opens a store as the program does.
func openPublic(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := Open(filepath.Join(dir, "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openPublic(t, t.TempDir()) })
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, openPublic)
}

func TestFileMode(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, open(t, dir))
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != 0o600 {
		t.Errorf("mode %v, want 0600", mode)
	}
}

// A killed process loses nothing that the kernel has, so no test here can tell a
// file that is not synced.
func TestEverythingIsSynced(t *testing.T) {
	db := openTemp(t).driver.db
	if db.NoSync || db.NoGrowSync || db.NoFreelistSync {
		t.Error("something is not synced")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	defer mustClose(t, open(t, dir))
	s, err := Open(filepath.Join(dir, "data"), Options{})
	if !errors.Is(err, store.ErrInUse) {
		t.Errorf("second Open: %v, %v, want %v", s, err, store.ErrInUse)
	}
}

func putSchema(tx *bbolt.Tx, value ...byte) error {
	return tx.Bucket([]byte(metaBucket)).Put([]byte(schemaKey), value)
}

// A file that this program does not read is refused in clear words, left as it is,
// and let go of.
func TestOtherSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		fill  func(*bbolt.Tx) error
		want  error
		parts []string
	}{
		"newer": {
			func(tx *bbolt.Tx) error { return errors.Join(makeBuckets(tx), putSchema(tx, 0x81, 0x01)) },
			store.ErrNewerSchema, []string{"129", "2", "newer"},
		},
		"older": {fillFirstSchema, store.ErrOlderSchema, []string{"schema 1", "2", "older"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, c.fill)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := Open(path, Options{})
				if !errors.Is(err, c.want) {
					t.Fatalf("Open: %v, want %v", err, c.want)
				}
				for _, part := range append(c.parts, path) {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not mention %q", err, part)
					}
				}
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file has been changed: %v", err)
			}
		})
	}
}

// fillFirstSchema makes what the first schema had: a bucket for each noun.
func fillFirstSchema(tx *bbolt.Tx) error {
	for _, name := range []string{metaBucket, "nodes", "clusters", "names", "seats"} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return errors.Join(putSchema(tx, 1), tx.Bucket([]byte("nodes")).Put([]byte(nodeKey(1)), []byte("a record")))
}

func TestForeignFiles(t *testing.T) {
	for name, fill := range map[string]func(*bbolt.Tx) error{
		"other buckets": func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("elsewhere"))
			return err
		},
		"no schema": func(tx *bbolt.Tx) error {
			return errors.Join(makeBuckets(tx), tx.Bucket([]byte(metaBucket)).Delete([]byte(schemaKey)))
		},
		"schema zero": func(tx *bbolt.Tx) error {
			return errors.Join(makeBuckets(tx), putSchema(tx, 0))
		},
		"bucket missing": func(tx *bbolt.Tx) error {
			return errors.Join(makeBuckets(tx), tx.DeleteBucket([]byte(valueBucket)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(writeFile(t, fill), Options{}); !errors.Is(err, ErrForeign) {
				t.Errorf("Open: %v, want %v", err, ErrForeign)
			}
		})
	}
}

func TestNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want an error that names the file", err)
	}
	if _, err := Open(filepath.Join(path, "data"), Options{}); err == nil {
		t.Error("Open in a folder that is a file: no error")
	}
}

// bbolt panics when it opens a file whose list of free pages is gone.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 50 {
		if err := s.Update(t.Context(), putNode(n)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	path := filepath.Join(dir, "data")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[2*os.Getpagesize():]) // all but the two meta pages
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want %v and the file's name", err, ErrDamaged)
	}
}

func writeFile(t *testing.T, fill func(*bbolt.Tx) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// A change of a large table writes little, whatever else the table holds.
func TestUpdateWritesLittle(t *testing.T) {
	s := openTemp(t)
	const seats = 64
	pages := make([]int64, seats)
	for i := range pages {
		pages[i] = pagesWritten(t, s.driver, []store.Change{
			{Key: "cluster/", Value: []byte(fmt.Sprint(i))},
			{Key: fmt.Sprintf("cluster/%02d", i), Value: make([]byte, nodeSize)},
		})
	}
	if first, last := pages[0], pages[seats-1]; last > first+4 {
		t.Errorf("the first seat wrote %d pages, the last %d", first, last)
	}
}

func pagesWritten(t *testing.T, d *driver, changes []store.Change) int64 {
	t.Helper()
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(changes); err != nil {
		t.Fatal(err)
	}
	stats := tx.(*transaction).tx.Stats()
	return stats.GetWrite()
}
