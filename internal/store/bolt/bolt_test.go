package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/storetest"
)

// TestMain is also the program that the tests of sudden ends run and kill.
func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		os.Exit(child(os.Getenv(childTask), path))
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(filepath.Join(dir, "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openTemp returns a new store that is closed when the test ends.
func openTemp(t testing.TB) *Store {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func testNode(n int) xlreg.Token {
	id := make([]byte, xlreg.ShortIDLen)
	id[0], id[1], id[2], id[3] = byte(n*7), byte(n), byte(n>>8), byte(n>>16)
	return xlreg.Token{
		Name:        "node",
		Attrs:       xlreg.NodeAttrs(n),
		ID:          xlreg.NodeID(id),
		CommsKey:    xlreg.CommsKey(strings.Repeat("c", 294)),
		SigKey:      xlreg.SigKey(strings.Repeat("s", 294)),
		Endpoints:   []xlreg.Endpoint{"127.0.0.1:1", "127.0.0.1:2"},
		DigSig2:     make([]byte, 256),
		Certificate: make([]byte, 800),
	}
}

func putNode(n int) func(store.Writer) error {
	return func(w store.Writer) error { return w.PutNode(testNode(n)) }
}

func hasNode(t testing.TB, s *Store, n int) bool {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error {
		_, err := r.Node(testNode(n).ID)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// commits returns how many commits the file has seen.
func commits(t testing.TB, s *Store) int {
	t.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // a reader
	return tx.ID()
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store { return open(t, dir) })
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
	db := openTemp(t).db
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

func TestNewerSchema(t *testing.T) {
	path := writeFile(t, func(tx *bbolt.Tx) error {
		if err := makeBuckets(tx); err != nil {
			return err
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(schemaKey), []byte{0x81, 0x01})
	})
	_, err := Open(path, Options{})
	if !errors.Is(err, store.ErrNewerSchema) {
		t.Fatalf("Open: %v, want %v", err, store.ErrNewerSchema)
	}
	for _, part := range []string{path, "129", "1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	_, err = Open(path, Options{})
	if !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("the failed Open kept the file: %v", err)
	}
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
			return errors.Join(makeBuckets(tx), tx.Bucket([]byte(metaBucket)).Put([]byte(schemaKey), []byte{0}))
		},
		"bucket missing": func(tx *bbolt.Tx) error {
			return errors.Join(makeBuckets(tx), tx.DeleteBucket([]byte(seatBucket)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(writeFile(t, fill), Options{}); !errors.Is(err, errForeign) {
				t.Errorf("Open: %v, want %v", err, errForeign)
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
	if _, err := Open(path, Options{}); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want %v and the file's name", err, errDamaged)
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

func TestDamagedRecord(t *testing.T) {
	s := openTemp(t)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(nodeBucket)).Put([]byte(testNode(1).ID), []byte("no record"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(r store.Reader) error {
		_, err := r.Node(testNode(1).ID)
		return err
	})
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("Node: %v", err)
	}
}

// A Join writes its seat and the small record of the cluster, whatever else the
// cluster holds.
func TestJoinWritesLittle(t *testing.T) {
	s := openTemp(t)
	c := store.Cluster{Cluster: xlreg.Cluster{ID: xlreg.ClusterID(testNode(0).ID), Name: "c", MaxSize: 64}}
	pages := make([]int64, c.MaxSize)
	for i := range pages {
		c.Taken, c.Revision = c.Taken.With(i), c.Revision+1
		pages[i] = pagesWritten(t, s, func(w store.Writer) error {
			return errors.Join(w.PutSeat(c.ID, xlreg.Member{Index: i, Token: testNode(i)}), w.PutCluster(c))
		})
	}
	if first, last := pages[0], pages[len(pages)-1]; last > first+4 {
		t.Errorf("the first seat wrote %d pages, the last %d", first, last)
	}
}

// pagesWritten does what Update does, with an eye on the transaction.
func pagesWritten(t *testing.T, s *Store, f func(store.Writer) error) int64 {
	t.Helper()
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	buf := store.NewBuffer(records{tx})
	if err := errors.Join(f(buf), buf.Flush(records{tx}), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	stats := tx.Stats()
	return stats.GetWrite()
}
