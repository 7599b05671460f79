package registry_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

func TestRosterShowsWhatWasRegisteredBeforeJoining(t *testing.T) {
	w := newWorld(t)
	set := testKeys()[0]
	c := w.create("c", 2)
	id := w.node("a", set, end)
	w.join(id, c)
	joined := w.clock.Now()
	w.clock.advance(time.Minute)
	if _, err := w.registerToken(classic("renamed", set, id, "10.0.0.9:9")); err != nil {
		t.Fatal(err)
	}
	m := w.roster(c).Members[0]
	if m.Token.Name != "a" || m.Token.Endpoints[0] != end || !m.Token.Seat.Joined.Equal(joined) {
		t.Errorf("registering alone changed the roster: %+v", m)
	}
	w.join(id, c)
	m = w.roster(c).Members[0]
	if m.Token.Name != "renamed" || !m.Token.Seat.Joined.Equal(joined.Add(time.Minute)) || m.Index != 0 {
		t.Errorf("after joining again: %+v", m)
	}
}

func TestRosterIsSharedUntilItChanges(t *testing.T) {
	w := newWorld(t)
	c := w.create("c", 3)
	w.join(w.node("a", testKeys()[0], end), c)
	first := w.roster(c)
	if w.roster(c) != first {
		t.Error("two readers got two rosters")
	}
	w.join(w.node("b", testKeys()[0], end), c)
	if second := w.roster(c); second == first || len(second.Members) != 2 || len(first.Members) != 1 {
		t.Errorf("after a change: %d members, the old roster has %d", len(second.Members), len(first.Members))
	}
}

// Those who wait for a cluster read it all at once, and its seats are read once.
func TestRosterIsReadOnceForMany(t *testing.T) {
	meter := &scans{Store: memory.New(), release: make(chan struct{})}
	w := newWorldOn(t, meter)
	c := w.create("c", 2)
	w.join(w.node("a", testKeys()[0], end), c)
	const readers = 16
	meter.expect.Store(readers)
	rosters := make([]*registry.Roster, readers)
	var wg sync.WaitGroup
	for i := range rosters {
		wg.Go(func() { rosters[i] = w.roster(c) })
	}
	wg.Wait()
	for _, roster := range rosters {
		if roster != rosters[0] {
			t.Error("two readers got two rosters")
		}
	}
	if n := meter.scans.Load(); n != 1 {
		t.Errorf("the seats were scanned %d times", n)
	}
}

// scans counts scans, and lets none go on before so many Views as are expected have
// been made.
type scans struct {
	store.Store
	scans, expect atomic.Int64
	release       chan struct{}
	once          sync.Once
}

func (s *scans) View(ctx context.Context, f func(store.Reader) error) error {
	if s.expect.Add(-1) == 0 {
		s.once.Do(func() { close(s.release) })
	}
	return s.Store.View(ctx, func(r store.Reader) error { return f(scanReader{r, s}) })
}

type scanReader struct {
	store.Reader
	s *scans
}

func (r scanReader) Scan(prefix string) iter.Seq2[store.Item, error] {
	if len(prefix) > xlreg.ShortIDLen { // that of one cluster's seats, and not of what counts or sweeps
		r.s.scans.Add(1)
		<-r.s.release
	}
	return r.Reader.Scan(prefix)
}

func TestRace(t *testing.T) {
	w := newWorld(t)
	const contenders = 8
	c := w.create("c", 4)
	ids := make([]xlreg.NodeID, contenders)
	for i := range ids {
		ids[i] = w.node(fmt.Sprint("n", i), testKeys()[0], end)
	}
	var wg sync.WaitGroup
	errs := make([]error, contenders)
	for i := range ids {
		wg.Go(func() {
			_, _, errs[i] = w.Join(t.Context(), w.sessions[ids[i]], registry.JoinRequest{Ref: xlreg.ClusterRef{ID: c.ID}}, registry.AllowAll)
		})
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		if err == nil {
			in++
			continue
		}
		wantKind(t, err, xlreg.ErrClusterFull)
	}
	if r := w.roster(c); in != 4 || r.Seats() != xlreg.SeatsBelow(4) {
		t.Errorf("%d of %d joined, seats %b", in, contenders, r.Seats().Word())
	}
}
