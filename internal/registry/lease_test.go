package registry_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// pass lets time go by, and returns when the registry has done what was due.
func (w *world) pass(d time.Duration) {
	for _, step := range []time.Duration{d, 250 * time.Millisecond} {
		w.settle()
		w.clock.advance(step)
		w.settle()
	}
}

// settle waits until what goes on beside the requests has set the clock again.
func (w *world) settle() {
	for w.clock.pending() < 2 {
		runtime.Gosched()
	}
}

func TestALeaseRunsOut(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	a, b, d := w.person("a"), w.person("b"), w.person("d")
	for p, lease := range map[*person]time.Duration{a: 15 * time.Second, b: time.Minute, d: 0} {
		seat, err := p.try(c, registry.JoinRequest{Run: "1", Lease: lease})
		if err != nil || seat.Lease != lease {
			t.Fatalf("%s has a lease of %v, %v; want %v", p.name, seat.Lease, err, lease)
		}
	}
	w.pass(14 * time.Second)
	if n := len(w.roster(c).Members); n != 3 {
		t.Fatalf("%d members while every lease runs", n)
	}
	w.Alive(t.Context(), a.s, c.ID)
	w.pass(14 * time.Second)
	if n := len(w.roster(c).Members); n != 3 {
		t.Fatalf("%d members after one has renewed its lease", n)
	}
	w.pass(2 * time.Second)
	if got := w.roster(c); len(got.Members) != 2 {
		t.Errorf("members %v, after the first lease is over", got)
	}
	w.pass(time.Hour)
	if got := w.roster(c); len(got.Members) != 1 || got.Members[0].Token.Name != "d" {
		t.Errorf("members %v, want who has no lease", got)
	}
}

func TestLeasesHaveBounds(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	for asked, want := range map[time.Duration]time.Duration{
		time.Millisecond: registry.DefaultMinLease, 100 * time.Hour: registry.DefaultMaxLease,
	} {
		seat, err := w.person(fmt.Sprint("n", asked.Hours() > 1)).try(c, registry.JoinRequest{Lease: asked})
		if err != nil || seat.Lease != want {
			t.Errorf("asked for %v: %v, %v; want %v", asked, seat.Lease, err, want)
		}
	}
}

// A seat for a new start lasts half a minute at most without a sign of life, until all
// are there; then what was asked for holds.
func TestTheLeaseOfANewStart(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a, b := w.person("a"), w.person("b")
	seat, err := a.try(c, registry.JoinRequest{Run: "1", Fresh: true, Lease: time.Hour})
	if err != nil || seat.Lease != 30*time.Second {
		t.Fatalf("waiting for others: %v, %v", seat.Lease, err)
	}
	if got := w.roster(c).Members[0].Token.Seat.Lease; got != time.Hour {
		t.Errorf("the roster says %v, want what was asked for", got)
	}
	w.pass(31 * time.Second)
	if n := len(w.roster(c).Members); n != 0 {
		t.Fatalf("%d members after half a minute without a sign", n)
	}
	for _, p := range []*person{a, b} {
		if seat, err = p.try(c, registry.JoinRequest{Run: "1", Fresh: true, Lease: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if seat.Lease != time.Hour {
		t.Errorf("who completes the cluster has %v", seat.Lease)
	}
	w.pass(59 * time.Minute)
	if n := len(w.roster(c).Members); n != 2 {
		t.Fatalf("%d members after 59 minutes of an hour", n)
	}
	w.pass(2 * time.Minute)
	if n := len(w.roster(c).Members); n != 0 {
		t.Errorf("%d members after an hour", n)
	}
}

// After a restart every lease has one full term, whoever has waited for how long.
func TestLeasesAfterARestart(t *testing.T) {
	s := memory.New()
	before := newWorldOn(t, s)
	c := before.create("c", 2)
	if _, err := before.person("a").try(c, registry.JoinRequest{Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	before.Close()
	after := newWorldOn(t, s)
	after.StockTaken()
	after.pass(59 * time.Second)
	if n := len(after.roster(c).Members); n != 1 {
		t.Fatalf("%d members before the term is over", n)
	}
	after.pass(2 * time.Second)
	if n := len(after.roster(c).Members); n != 0 {
		t.Errorf("%d members after it", n)
	}
}

// The last sign of life is told in seconds, raises no revision, and lags by a second.
func TestSeen(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	a := w.person("a")
	if _, err := a.try(c, registry.JoinRequest{Lease: time.Hour}); err != nil {
		t.Fatal(err)
	}
	first := w.roster(c)
	w.clock.advance(10 * time.Second)
	w.Alive(t.Context(), a.s, c.ID)
	second := w.Seen(w.roster(c))
	if got, want := second.Members[0].Token.Seat.Seen, w.clock.Now().Truncate(time.Second); !got.Equal(want) {
		t.Errorf("seen at %v, want %v", got, want)
	}
	if second.State != first.State || second.Sum != first.Sum {
		t.Error("a sign of life has changed the cluster")
	}
	if first.Members[0].Token.Seat.Seen.Equal(second.Members[0].Token.Seat.Seen) {
		t.Error("a roster that was shared has changed")
	}
}

// News are told at once to who has heard nothing lately, and then not more often than
// every tenth of a second; what fills the cluster is told at once.
func TestNewsAreGathered(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 9)
	watch := func(size int) (pending func() bool, revision uint64) {
		t.Helper()
		r := w.roster(c)
		since := r.State.Revision
		ready, release, err := w.Await(t.Context(), &c, registry.Wait{Size: size, Since: &since})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		return func() bool { return ready.Err() == nil }, since
	}
	until := func(pending func() bool) {
		for pending() {
			runtime.Gosched()
		}
	}
	first, _ := watch(0)
	w.person("a").join(c, "1", false)
	until(first)
	second, _ := watch(0)
	three, _ := watch(3)
	w.person("b").join(c, "1", false)
	w.person("d").join(c, "1", false)
	until(three) // so the watch of the store has told of both
	if !second() {
		t.Error("told again within a tenth of a second")
	}
	w.clock.advance(100 * time.Millisecond)
	until(second)
}

// A wait for news that have come already is over at once, and one for another epoch ends
// with the epoch.
func TestWaitsForRevisionAndEpoch(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 2)
	old, epoch := uint64(1), uint64(1)
	ready, release, err := w.Await(t.Context(), &c, registry.Wait{Since: &old})
	if err != nil || ready.Err() == nil {
		t.Errorf("an old revision: pending, %v", err)
	}
	release()
	a := w.person("a")
	a.join(c, "1", true)
	ready, release, err = w.Await(t.Context(), &c, registry.Wait{Epoch: &epoch})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	w.person("b").join(c, "1", false)
	if ready.Err() != nil {
		t.Error("a member has ended a wait for an epoch")
	}
	a.join(c, "2", true)
	<-ready.Done()
}
