package registry_test

import (
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
)

// days lets days go by, with a look at what is to be forgotten on each.
func (w *world) days(n int) {
	for range n {
		w.settle()
		w.clock.advance(24 * time.Hour)
		w.settle()
	}
}

// check goes through all records as 'xlreg check' does.
func (w *world) check() records.Counts {
	w.t.Helper()
	checker := records.NewChecker()
	err := w.store.View(w.t.Context(), func(tx store.Reader) error {
		checker = records.NewChecker()
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
	})
	counts, finishErr := checker.Finish()
	if err != nil || finishErr != nil {
		w.t.Fatalf("the records: %v, %v", err, finishErr)
	}
	return counts
}

// What nobody needs is forgotten after a month, and what somebody has come back to is not.
func TestForgetting(t *testing.T) {
	w := newWorldOn(t, memory.New())
	idle, busy := w.create("idle", 2), w.create("busy", 2)
	w.create("asked", 2)
	gone, here, member := w.person("gone"), w.person("here"), w.person("member")
	member.join(busy, "1", false)
	w.days(20)
	here.connect()
	w.roster(idle)
	w.days(15)
	if _, err := w.Cluster(t.Context(), xlreg.ClusterRef{Name: "asked"}, xlreg.Protocol20); err == nil {
		t.Error("a cluster that nobody asked for is still there")
	}
	w.roster(idle)
	w.roster(busy)
	for p, known := range map[*person]bool{gone: false, here: true, member: true} {
		s := &registry.Session{Protocol: xlreg.Protocol20, SigKey: p.set.SigKey}
		_, err := w.LogIn(t.Context(), s, p.s.Node().Bytes(), nil)
		if (err == nil) != known {
			t.Errorf("%s after 35 days: %v", p.name, err)
		}
	}
	if n := w.check(); n.Nodes != 2 || n.Clusters != 2 || n.Seats != 1 {
		t.Errorf("what is left: %+v", n)
	}
	if got := w.Counted(); got.Nodes != 2 || got.Clusters != 2 {
		t.Errorf("counted %+v", got)
	}
}

func TestForgettingMayBeTurnedOff(t *testing.T) {
	s := memory.New()
	clock := newFakeClock()
	r, err := registry.New(registry.Config{Store: s, Self: self, Clock: clock, Bounds: registry.Bounds{Forget: -1}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Registry: r, t: t, clock: clock, store: s}
	defer r.Close()
	c := w.create("c", 2)
	w.days(100)
	w.roster(c)
}

// An ephemeral cluster goes with its last member, and leaves nothing.
func TestEphemeralClusters(t *testing.T) {
	w := newWorldOn(t, memory.New())
	made, _, err := w.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: "e", MaxSize: 2, Attrs: xlreg.ClusterEphemeral}, registry.AllowAll)
	if err != nil {
		t.Fatal(err)
	}
	a, b := w.person("a"), w.person("b")
	a.join(made.Cluster, "1", false)
	b.join(made.Cluster, "1", false)
	for _, p := range []*person{a, b} {
		if _, err := w.Leave(t.Context(), p.s, xlreg.ClusterRef{ID: made.Cluster.ID}, registry.AllowAll); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Cluster(t.Context(), xlreg.ClusterRef{ID: made.Cluster.ID}, xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
	if again := w.create("e", 2); again.ID == made.Cluster.ID {
		t.Error("the name leads to the cluster that is gone")
	}
	w.days(1)
	if n := w.check(); n.Clusters != 1 {
		t.Errorf("what is left: %+v", n)
	}
}

// The name and the key of a deleted cluster are kept for a year, and its seats are not.
func TestTheStoneOfADeletedCluster(t *testing.T) {
	w := newWorldOn(t, memory.New())
	k := w.keyed("c", 2)
	a := w.person("a")
	a.mustTry(k.cluster, k.admitted(a))
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderBan, KeySum: keys.KeySum(a.set.SigKey)}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderDelete}); err != nil {
		t.Fatal(err)
	}
	w.days(360)
	_, _, err := w.Create(t.Context(), reader(), k.spec("c", 2), registry.AllowAll)
	wantRefusal(t, err, "deleted")
	w.days(10)
	if n := w.check(); n.Clusters != 0 {
		t.Errorf("what is left after a year: %+v", n)
	}
	if got := w.Counted(); got.Clusters != 0 || got.Bytes != 0 {
		t.Errorf("counted %+v", got)
	}
}

// A keyed cluster without members is not forgotten as long as it keeps somebody out.
func TestABanIsNotForgotten(t *testing.T) {
	w := newWorldOn(t, memory.New())
	k, plain := w.keyed("c", 2), w.keyed("d", 2)
	if _, err := k.order(xlreg.Order{Kind: xlreg.OrderBan, KeySum: keys.KeySum("nobody")}); err != nil {
		t.Fatal(err)
	}
	w.days(40)
	w.roster(k.cluster)
	_, err := w.Cluster(t.Context(), xlreg.ClusterRef{ID: plain.cluster.ID}, xlreg.Protocol20)
	wantKind(t, err, xlreg.ErrNoSuchClusterID)
}
