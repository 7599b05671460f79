package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/etcd"
	"github.com/xlattice/xlreg/internal/store/etcd/etcdtest"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/internal/store/postgres"
	"github.com/xlattice/xlreg/internal/store/postgres/postgrestest"
	"github.com/xlattice/xlreg/internal/transfer"
	"github.com/xlattice/xlreg/keys"
)

// seats is how many members one of the clusters has: more than one Update can put.
const seats = 150

// update changes a store as a server does.
func update(t *testing.T, s store.Store, f func(records.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Writer) error { return f(records.NewWriter(tx)) }); err != nil {
		t.Fatal(err)
	}
}

// fill makes a registry of some clusters, with nodes of which no two IDs begin alike.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	update(t, s, func(w records.Writer) error {
		return w.PutIdentity(records.Identity{ID: id(0), Name: "reg", Sig: "SHA256:sig"})
	})
	for i := 1; i <= 3; i++ {
		c := records.Cluster{Cluster: xlreg.Cluster{
			ID: xlreg.ClusterID(id(i)), Name: xlreg.Name(fmt.Sprint("c", i)), MaxSize: 256, EndpointCount: 1,
		}, State: xlreg.ClusterState{Epoch: 1, Revision: uint64(i), Orders: 3}, First: 1, Created: time.UnixMilli(1_700_000_000_789).UTC()}
		update(t, s, func(w records.Writer) error { return w.AddCluster(&c) })
		for k := range map[int]int{1: seats, 2: 2, 3: 0}[i] {
			token := xlreg.Token{
				ID: id(1000*i + k), Name: xlreg.Name(fmt.Sprint("m", k)), SigKey: xlreg.SigKey(fmt.Sprint("key", i, k)),
				CommsKey: "comms", Endpoints: []xlreg.Endpoint{"127.0.0.1:5001"},
			}
			update(t, s, func(w records.Writer) error {
				seat := records.Seat{Member: xlreg.Member{Index: k, Token: token}, Epoch: 1, Revision: uint64(i)}
				return errors.Join(w.PutSeat(&c, &seat), w.PutCluster(&c),
					w.PutNode(&records.Node{Token: token}), w.BindKey(keys.KeySum(token.SigKey), token.ID))
			})
		}
	}
}

func id(n int) xlreg.NodeID {
	return xlreg.NodeID(string([]byte{byte(n * 37), byte(n >> 8), byte(n)}) + strings.Repeat("i", xlreg.LongIDLen-3))
}

// content returns all that is in a store, whatever it is.
func content(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for first := range 256 {
		root := string([]byte{byte(first)})
		err := s.View(t.Context(), func(tx store.Reader) error {
			if value, err := tx.Get(root); err == nil {
				all[root] = string(value)
			}
			for item, err := range tx.Scan(root) {
				if err != nil {
					return err
				}
				all[item.Key] = string(item.Value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func newMemory(t *testing.T) store.Store { return closed(t, memory.New()) }

func closed(t *testing.T, s store.Store) store.Store {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newBolt(t *testing.T) store.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "xlreg.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, s)
}

// There and back, over all stores, is what it was.
func TestCopyThereAndBack(t *testing.T) {
	etcds, server := etcdtest.Start(t, etcdtest.Options{}), postgrestest.Start(t, postgrestest.Options{})
	onEtcd := func(prefix string) func(*testing.T) store.Store {
		return func(t *testing.T) store.Store {
			t.Helper()
			s, err := etcd.Open(t.Context(), etcds.URL(prefix), etcd.Options{Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, s)
		}
	}
	onPostgres := func(schema string) func(*testing.T) store.Store {
		return func(t *testing.T) store.Store {
			t.Helper()
			s, err := postgres.Open(t.Context(), server.URL(schema), postgres.Options{Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, s)
		}
	}
	from := newBolt(t)
	fill(t, from)
	want := content(t, from)
	for _, step := range []struct {
		name string
		open func(*testing.T) store.Store
	}{
		{"etcd", onEtcd("a")}, {"postgres", onPostgres("a")}, {"etcd again", onEtcd("b")},
		{"bolt", newBolt}, {"postgres again", onPostgres("b")}, {"memory", newMemory},
	} {
		to := step.open(t)
		result, err := transfer.Copy(t.Context(), from, to, transfer.Options{})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := content(t, to); !maps.Equal(got, want) {
			t.Fatalf("%s: %d records, want %d", step.name, len(got), len(want))
		}
		if c := result.Counts; c.Nodes != seats+2 || c.Clusters != 3 || c.Seats != seats+2 || result.Records != len(want) || result.Revision != 0 {
			t.Errorf("%s: %+v", step.name, result)
		}
		from = to
	}
}

// What does not fit into one transaction is read in parts, however alike its keys are.
func TestCopyLarge(t *testing.T) {
	const nodes = 5000
	from, to := newMemory(t), newMemory(t)
	for i := range nodes / 50 {
		update(t, from, func(w records.Writer) error {
			var errs []error
			for k := range 50 {
				n := i*50 + k
				alike := strings.Repeat("i", xlreg.LongIDLen-2) + string([]byte{byte(n >> 8), byte(n)})
				errs = append(errs, w.PutNode(&records.Node{Token: xlreg.Token{ID: xlreg.NodeID(alike), Name: "n"}}))
			}
			return errors.Join(errs...)
		})
	}
	told := 0
	result, err := transfer.Copy(t.Context(), from, to, transfer.Options{Progress: func(_ string, n int) { told = max(told, n) }})
	if err != nil || result.Counts.Nodes != nodes || told != nodes || !maps.Equal(content(t, to), content(t, from)) {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestCopyRefuses(t *testing.T) {
	server := records.Server{ID: "1-a", Name: "host1", Reads: 2}
	announce := func(t *testing.T, s store.Store) {
		key, value, err := server.Record()
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, key, value)
	}
	begin := func(t *testing.T, s store.Store) {
		update(t, s, func(w records.Writer) error { return w.BeginWork(records.Work{Name: "copy", Run: "1"}) })
	}
	nothing := func(*testing.T, store.Store) {}
	for _, c := range []struct {
		name     string
		from, to func(*testing.T, store.Store)
		want     error
		says     string
	}{
		{"servers on the source", announce, nothing, transfer.ErrServed, "host1"},
		{"servers on the target", nothing, announce, transfer.ErrServed, "host1"},
		{"a part of a copy", begin, nothing, records.ErrUnfinished, "what is copied"},
		{"into a part of a copy", nothing, begin, records.ErrUnfinished, "the target"},
		{"into another registry", nothing, fill, transfer.ErrNotEmpty, "the target"},
		{"over a stranger's key", nothing, func(t *testing.T, s store.Store) { put(t, s, "\xff", []byte("x")) }, transfer.ErrNotEmpty, ""},
		{"a damaged record", func(t *testing.T, s store.Store) { put(t, s, "n1", []byte("x")) }, nothing, records.ErrDamaged, "what is copied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := newMemory(t), newMemory(t)
			fill(t, from)
			c.from(t, from)
			c.to(t, to)
			before := content(t, to)
			_, err := transfer.Copy(t.Context(), from, to, transfer.Options{})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if after := content(t, to); c.want != records.ErrDamaged && !maps.Equal(after, before) { //nolint:errorlint // which of the table's
				t.Error("the target has changed")
			}
		})
	}
}

func put(t *testing.T, s store.Store, key string, value []byte) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Writer) error { return tx.Put(key, value) }); err != nil {
		t.Fatal(err)
	}
}

// failing is a store that takes so many changes, and whose changes then have an outcome
// that is unknown, or are made in secret.
type failing struct {
	store.Store
	left  int
	after func(context.Context, func(store.Writer) error) error
}

func (f *failing) Update(ctx context.Context, fn func(store.Writer) error) error {
	if f.left--; f.left < 0 {
		return f.after(ctx, fn)
	}
	return f.Store.Update(ctx, fn)
}

var errPower = errors.New("the power is gone")

// A copy that was interrupted, wherever that was, is none: it is refused as a source, as
// a target, and by Checker, on which servers and 'xlreg check' rely.
func TestCopyInterrupted(t *testing.T) {
	from := newMemory(t)
	fill(t, from)
	for left := 1; ; left++ {
		to := newMemory(t)
		f := &failing{to, left, func(context.Context, func(store.Writer) error) error { return errPower }}
		_, err := transfer.Copy(t.Context(), from, f, transfer.Options{Bump: true})
		if err == nil {
			if left < 5 {
				t.Errorf("all was done in %d changes", left)
			}
			return
		}
		if !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		_, errTo := transfer.Copy(t.Context(), from, to, transfer.Options{})
		_, errFrom := transfer.Copy(t.Context(), to, newMemory(t), transfer.Options{})
		_, errBump := transfer.Bump(t.Context(), to, transfer.Options{})
		checker := records.NewChecker()
		for key, value := range sorted(content(t, to)) {
			if err := checker.Add(key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		_, errCheck := checker.Finish()
		for i, err := range []error{errTo, errFrom, errBump, errCheck} {
			if !errors.Is(err, records.ErrUnfinished) {
				t.Errorf("after %d changes, %d: %v", left, i, err)
			}
		}
	}
}

func sorted(all map[string]string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if !yield(key, all[key]) {
				return
			}
		}
	}
}

// A change whose outcome is unknown, whether it was made or not, does the copy no harm.
func TestCopyUnknownOutcome(t *testing.T) {
	from := newMemory(t)
	fill(t, from)
	for _, made := range []bool{false, true} {
		to := newMemory(t)
		f := &failing{Store: to, left: 2}
		f.after = func(ctx context.Context, fn func(store.Writer) error) error {
			f.left = 2
			if made {
				if err := to.Update(ctx, fn); err != nil {
					return err
				}
			}
			return store.ErrUnknown
		}
		if _, err := transfer.Copy(t.Context(), from, f, transfer.Options{}); err != nil || !maps.Equal(content(t, to), content(t, from)) {
			t.Errorf("made %v: %v", made, err)
		}
	}
}

// What somebody does to either store while it is copied is noticed.
func TestCopyNoticesChanges(t *testing.T) {
	for name, meddle := range map[string]func(tx store.Writer, isSource bool) error{
		"another record in the source": func(tx store.Writer, isSource bool) error { return putIf(tx, isSource, "a1", []byte("x")) },
		"another record in the copy":   func(tx store.Writer, isSource bool) error { return putIf(tx, !isSource, "z1", []byte("x")) },
		"the mark of another": func(tx store.Writer, isSource bool) error {
			if isSource {
				return nil
			}
			return records.NewWriter(tx).BeginWork(records.Work{Name: "copy", Run: "2"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newMemory(t), newMemory(t)
			fill(t, from)
			f := &failing{Store: to, left: 2}
			f.after = func(ctx context.Context, fn func(store.Writer) error) error {
				f.left = 1 << 20
				err := errors.Join(
					from.Update(ctx, func(tx store.Writer) error { return meddle(tx, true) }),
					to.Update(ctx, func(tx store.Writer) error { return meddle(tx, false) }))
				return errors.Join(err, to.Update(ctx, fn))
			}
			if _, err := transfer.Copy(t.Context(), from, f, transfer.Options{}); !errors.Is(err, transfer.ErrChanged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func putIf(tx store.Writer, yes bool, key string, value []byte) error {
	if !yes {
		return nil
	}
	return tx.Put(key, value)
}

// word is a record of the version before, with one field that is 3.
func word(key string) []byte {
	record := append([]byte{records.OldestVersion, 0, 0, 0, 0}, 8, 3)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	sum.Write(append([]byte(key), record[0], 8, 3))
	copy(record[1:], sum.Sum(nil))
	return record
}

// What an older program has left is brought up to date on the way, because servers that
// share a store do not do that.
func TestCopyUpgrades(t *testing.T) {
	from, to := newMemory(t), newMemory(t)
	fill(t, from)
	old := "i " + string(id(1)) + string(id(2))
	want := content(t, from)
	put(t, from, old, word(old))
	if _, err := transfer.Copy(t.Context(), from, to, transfer.Options{}); err != nil || !maps.Equal(content(t, to), want) {
		t.Error(err)
	}
}

// After a bump no revision is one that anybody has seen, and nothing else has changed.
// Nor is a reader who has seen one told only what has changed since.
func TestBump(t *testing.T) {
	now := time.UnixMilli(5_000_000)
	for _, c := range []struct {
		name    string
		highest uint64
		ahead   time.Duration
		want    uint64
	}{
		{"by the clock", 3, time.Second, 5_001_001},
		{"by revisions from clocks that were ahead", 7_000_000, time.Minute, 7_060_001},
		{"again", 7_000_000, 0, 7_000_001},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newMemory(t)
			fill(t, s)
			update(t, s, func(w records.Writer) error {
				cluster, err := w.Cluster(xlreg.ClusterID(id(3)))
				cluster.State.Revision = c.highest
				return errors.Join(err, w.PutCluster(&cluster))
			})
			before := clusters(t, s)
			others := content(t, s)
			result, err := transfer.Bump(t.Context(), s, transfer.Options{Now: now, Ahead: c.ahead})
			if err != nil || result.Revision != c.want || result.Counts.Clusters != 3 {
				t.Fatalf("%+v, %v", result, err)
			}
			for i, cluster := range clusters(t, s) {
				before[i].State.Revision, before[i].First = c.want, c.want
				if fmt.Sprint(cluster) != fmt.Sprint(before[i]) {
					t.Errorf("%+v, want %+v", cluster, before[i])
				}
			}
			changed := 0
			for key, value := range content(t, s) {
				if value != others[key] {
					changed++
				}
			}
			if changed != 3 || len(content(t, s)) != len(others) {
				t.Errorf("%d records have changed", changed)
			}
		})
	}
}

func clusters(t *testing.T, s store.Store) (all []records.Cluster) {
	t.Helper()
	err := s.View(t.Context(), func(tx store.Reader) error {
		all = nil
		for i := 1; i <= 3; i++ {
			c, err := records.NewReader(tx).Cluster(xlreg.ClusterID(id(i)))
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A bump that was interrupted is made again, and goes higher.
func TestBumpInterrupted(t *testing.T) {
	s := newMemory(t)
	fill(t, s)
	f := &failing{s, 2, func(context.Context, func(store.Writer) error) error { return errPower }}
	now := time.UnixMilli(5_000_000)
	if _, err := transfer.Bump(t.Context(), f, transfer.Options{Now: now}); !errors.Is(err, errPower) {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(t.Context(), s, newMemory(t), transfer.Options{}); !errors.Is(err, records.ErrUnfinished) {
		t.Errorf("it is copied: %v", err)
	}
	result, err := transfer.Bump(t.Context(), s, transfer.Options{Now: now})
	if err != nil || result.Revision != 5_000_002 {
		t.Fatalf("%+v, %v", result, err)
	}
	if _, err := transfer.Copy(t.Context(), s, newMemory(t), transfer.Options{}); err != nil {
		t.Error(err)
	}
}
