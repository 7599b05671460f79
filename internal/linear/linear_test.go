package linear

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/bolt"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// usual is enough for everything to happen, and little enough to be checked at once.
var usual = crowd{worlds: 2, clients: 6, requests: 30, hurry: 30}

// small is for broken stores, in which things happen more often.
var small = crowd{worlds: 1, clients: 6, requests: 40, hurry: 30}

func openBolt(t *testing.T) store.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "registry.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDrivers(t *testing.T) {
	n := new(counts)
	for _, driver := range []struct {
		name string
		open func(*testing.T) store.Store
	}{
		{"memory", func(*testing.T) store.Store { return memory.New() }},
		{"bolt", openBolt},
	} {
		t.Run(driver.name, func(t *testing.T) {
			seed := firstSeed(t)
			left := rounds(4, 100) // histories that need a verdict
			for i := range uint64(2 * left) {
				if left == 0 {
					break
				}
				rec, to := usual.recordHost(t, driver.open(t), seed+i)
				n.add(rec)
				if n.mustFit(t, rec, to.rules(), seed+i) {
					left--
				}
				if got := rec.overlaps(); got < len(rec.done)/4 {
					t.Errorf("seed %d: of %d requests only %d came while others were under way", seed+i, len(rec.done), got)
				}
			}
			if left > 0 {
				t.Errorf("no verdict on %d histories", left)
			}
		})
	}
	n.check(t, []verb{register, logIn, create, join, leave, get, order, pass, hangUp},
		xlreg.ErrMemberIDInUse, xlreg.ErrOrdersChanged, xlreg.ErrIDInUse, xlreg.ErrBadSignature, xlreg.ErrClusterFull,
		xlreg.ErrMemberNameInUse, xlreg.ErrTooFewEndpoints, xlreg.ErrNotMember)
}

// tries is how many histories of a broken store may pass for good ones. Each of them
// has hundreds of requests.
const tries = 10

// Each broken store is found out.
func TestBrokenDrivers(t *testing.T) {
	for _, driver := range []struct {
		name string
		open func(seed uint64) store.Store
	}{
		{"views are old now and then", newOldViews},
		{"updates are not isolated", newLoose},
		{"answers before it commits", newHasty},
		{"forgets changes", newForgetful},
		{"does half of a change", newTorn},
	} {
		t.Run(driver.name, func(t *testing.T) {
			seed := firstSeed(t)
			for i := range uint64(tries) {
				rec, to, err := small.tryHost(t, driver.open(seed+i), seed+i)
				if errors.Is(err, xlreg.ErrProtocol) {
					t.Logf("found out after %d histories, by an answer that is none: %v", i+1, err)
					return
				}
				if err != nil {
					t.Fatalf("seed %d: %v", seed+i, err)
				}
				if isWrong(rec, to.rules()) {
					t.Logf("found out after %d histories", i+1)
					return
				}
			}
			t.Errorf("%d histories passed for good ones", tries)
		})
	}
}
