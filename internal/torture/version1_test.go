package torture

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
)

// version1 is what a registry wrote before records had their second version: the cluster
// "web" of three, two of whom joined over 2.0 and one over 1.9.
const version1 = "testdata/version1.db.gz"

func unpackVersion1(t *testing.T) *bolt.Store {
	t.Helper()
	f, err := os.Open(version1)
	must(t, err)
	defer f.Close()
	packed, err := gzip.NewReader(f)
	must(t, err)
	content, err := io.ReadAll(packed)
	must(t, err)
	path := filepath.Join(t.TempDir(), "xlreg.db")
	must(t, os.WriteFile(path, content, 0o600))
	s, err := bolt.Open(path, bolt.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// The members of a registry of version 1 come back to one of today to the seats that they
// had, with the IDs that they had, and so do those of its classic clients.
func TestVersion1Data(t *testing.T) {
	alongside(t)
	s := unpackVersion1(t)
	checkAll(t, s)
	for range 2 { // the second start finds nothing to bring up to date
		r, err := registry.New(registry.Config{Store: s, Self: "the registry's own!!"})
		must(t, err)
		checkAll(t, s)
		comeBack(t, r)
		must(t, r.Close())
		checkAll(t, s)
	}
}

func comeBack(t *testing.T, r *registry.Registry) {
	t.Helper()
	web := xlreg.ClusterRef{Name: "web"}
	before, err := r.Roster(t.Context(), web, xlreg.Protocol20)
	must(t, err)
	if before.State.Epoch != 1 || len(before.Members) != 3 || before.State.Revision == 0 {
		t.Fatalf("%d members in %+v", len(before.Members), before.State)
	}
	for index, name := range []xlreg.Name{"c", "a", "b"} {
		m := &before.Members[index]
		if m.Index != index || m.Token.Name != name || m.Token.Seat.Joined.Year() != 2026 || len(m.Token.Endpoints) != 1 {
			t.Errorf("seat %d is that of %s, who joined at %v", m.Index, m.Token.Name, m.Token.Seat.Joined)
		}
		session := &registry.Session{Protocol: xlreg.Protocol20, SigKey: m.Token.SigKey}
		node, err := r.LogIn(t.Context(), session, m.Token.ID.Bytes(), nil)
		must(t, err)
		seat, _, err := r.Join(t.Context(), session, registry.JoinRequest{Ref: web, Run: "1"}, registry.AllowAll)
		must(t, err)
		if node.ID != m.Token.ID || seat.Index != index {
			t.Errorf("%s comes back as %v to seat %d", name, node.ID, seat.Index)
		}
	}
	after, err := r.Roster(t.Context(), web, xlreg.Protocol20)
	must(t, err)
	if len(after.Members) != 3 {
		t.Errorf("%d members when all have come back", len(after.Members))
	}
}

// checkAll goes through all records.
func checkAll(t *testing.T, s store.Store) {
	t.Helper()
	checker := records.NewChecker()
	must(t, s.View(t.Context(), func(tx store.Reader) error {
		for root := byte('a'); root <= 'z'; root++ {
			for item, err := range tx.Scan(string(root)) {
				if err != nil {
					return err
				}
				if err := checker.Add(item.Key, item.Value); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	counts, err := checker.Finish()
	if err != nil || counts != (records.Counts{Nodes: 3, Clusters: 1, Seats: 3}) {
		t.Fatalf("the records: %+v, %v", counts, err)
	}
}
