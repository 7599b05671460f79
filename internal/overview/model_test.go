package overview_test

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
	"github.com/xlattice/xlreg/internal/overview"
	"github.com/xlattice/xlreg/internal/records"
)

// model is what an overview ought to know.
type model struct {
	w    *world
	rng  *rand.Rand
	here map[string]*records.Cluster
}

// step does one thing to one cluster.
func (m *model) step() {
	if len(m.here) == 0 || m.rng.IntN(4) == 0 {
		name := fmt.Sprintf("%c%d", 'a'+rune(m.rng.IntN(3)), m.w.made)
		c := m.w.cluster(name, 2+m.rng.IntN(4), start.Add(time.Duration(m.rng.IntN(50))*time.Second))
		m.here[string(c.ID)] = m.w.add(c)
		return
	}
	ids := slices.Sorted(maps.Keys(m.here))
	id := ids[m.rng.IntN(len(ids))]
	c := m.here[id]
	switch m.rng.IntN(8) {
	case 0:
		delete(m.here, id)
		m.w.purge(c)
	case 1:
		delete(m.here, id)
		m.w.change(c, func(c *records.Cluster) { c.Deleted = start })
	case 2, 3:
		m.w.change(c, vacate(m.rng.IntN(c.MaxSize)))
	case 4:
		m.w.change(c, func(c *records.Cluster) { c.State.Epoch++ })
	default:
		m.w.change(c, seat(m.rng.IntN(c.MaxSize)))
	}
}

// state says in other words than the overview what a cluster is.
func state(c *records.Cluster) api.State {
	n := c.Taken.Len()
	if n == 0 {
		return api.StateEmpty
	}
	if n == c.MaxSize {
		return api.StateFull
	}
	if c.Completed == c.State.Epoch {
		return api.StateReduced
	}
	return api.StateForming
}

// want returns the clusters that a query is to find, in order, as far as the model knows
// them.
func (m *model) want(q api.ClusterQuery, now time.Time) (all []api.Cluster) {
	for id, c := range m.here {
		created := c.Created
		age := now.Sub(created)
		shown := hex.EncodeToString([]byte(id))
		switch {
		case q.State != "" && state(c) != q.State:
		case q.Older > 0 && age < q.Older, q.Newer > 0 && age > q.Newer:
		case !strings.Contains(string(c.Name), q.Match) && !strings.HasPrefix(shown, q.Match):
		default:
			all = append(all, api.Cluster{
				ID: shown, Name: string(c.Name), State: state(c), Size: c.MaxSize, Members: c.Taken.Len(),
				Taken: slices.AppendSeq([]int{}, c.Taken.All()), Epoch: c.State.Epoch, Revision: c.State.Revision, Created: &created,
			})
		}
	}
	slices.SortFunc(all, func(a, b api.Cluster) int {
		if q.Order == api.OrderName {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(b.Created.Compare(*a.Created), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// queries are what is asked for in every state of a model.
func (m *model) queries() []api.ClusterQuery {
	list := []api.ClusterQuery{
		{Older: time.Hour - 25*time.Second},
		{Newer: time.Hour - 30*time.Second},
		{Newer: time.Hour - 10*time.Second, Older: time.Hour - 40*time.Second, Order: api.OrderName},
		{Match: "a", Order: api.OrderName},
		{Match: "7", State: api.StateForming},
		{Match: "nothing"},
	}
	for id := range m.here {
		text := hex.EncodeToString([]byte(id))
		list = append(list, api.ClusterQuery{Match: text[:21]}, api.ClusterQuery{Match: text})
		break
	}
	for _, s := range append(api.States(), "") {
		list = append(list, api.ClusterQuery{State: s}, api.ClusterQuery{State: s, Order: api.OrderName})
	}
	for i := range list {
		list[i].Limit = 1 + m.rng.IntN(7)
	}
	return list
}

// bare takes away what only the overview knows.
func bare(all []api.Cluster) []api.Cluster {
	for i := range all {
		all[i].Changed, all[i].Formed = nil, nil
	}
	return all
}

func (m *model) check() {
	m.w.t.Helper()
	m.w.settle()
	for _, q := range m.queries() {
		got, want := bare(m.w.list(q)), m.want(q, start.Add(time.Hour))
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			m.w.t.Fatalf("%+v finds\n%+v, want\n%+v", q, got, want)
		}
	}
	members := 0
	for _, c := range m.want(api.ClusterQuery{}, start) {
		members += c.Members
	}
	if got := m.w.Members(); got != members {
		m.w.t.Fatalf("%d members, want %d", got, members)
	}
	for s, n := range m.w.Counts() {
		if want := len(m.want(api.ClusterQuery{State: s}, start)); n != want {
			m.w.t.Fatalf("%d clusters are %s, want %d", n, s, want)
		}
	}
}

// follower keeps what it is told, and reads everything anew when it is told to.
type follower struct {
	w        *world
	shown    map[string]api.Cluster
	restarts int
}

func (f *follower) take(restart bool, changes []api.Change) error {
	if restart {
		f.restarts++
		f.shown = make(map[string]api.Cluster)
		for _, c := range f.w.list(api.ClusterQuery{Limit: 100}) {
			f.shown[c.ID] = c
		}
	}
	for _, c := range changes {
		if c.Cluster != nil {
			f.shown[c.Cluster.ID] = *c.Cluster
		} else {
			delete(f.shown, c.Gone)
		}
	}
	return nil
}

func TestOverviewAgainstModel(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*rand.Rand) bool
	}{
		{"everything is told", nil},
		{"a third gets lost", func(r *rand.Rand) bool { return r.IntN(3) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := newWorld(t, nil)
			m := &model{w: w, rng: rand.New(rand.NewPCG(seed, 1)), here: make(map[string]*records.Cluster)}
			if c.lose != nil {
				loser := rand.New(rand.NewPCG(seed, 2))
				w.store.losing(func() bool { return c.lose(loser) })
			}
			f := &follower{w: w}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			shown := make(chan map[string]api.Cluster, 1) // the last is in there
			go func() {
				ended <- w.Follow(ctx, "", func(restart bool, changes []api.Change) error {
					err := f.take(restart, changes)
					select {
					case <-shown:
					default:
					}
					shown <- maps.Clone(f.shown)
					return err
				})
			}()
			for range 12 {
				for range 40 {
					m.step()
				}
				m.check()
			}
			m.last(shown)
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("following ends with %v", err)
			}
			if f.restarts != 1 {
				t.Errorf("the follower had to begin %d times", f.restarts)
			}
		})
	}
}

// last waits until a follower shows what there is.
func (m *model) last(shown <-chan map[string]api.Cluster) {
	m.w.t.Helper()
	m.w.store.losing(nil)
	want := make(map[string]api.Cluster)
	for _, c := range m.want(api.ClusterQuery{}, start) {
		want[c.ID] = c
	}
	end := time.After(time.Minute)
	for {
		m.w.purge(m.w.add(m.w.cluster("news", 2, start))) // for the follower to say something more
		select {
		case now := <-shown:
			for id, c := range now {
				c.Changed, c.Formed = nil, nil
				now[id] = c
			}
			if reflect.DeepEqual(now, want) {
				return
			}
		case <-end:
			m.w.t.Fatal("the follower never shows what there is")
		}
	}
}

// A registry with clusters is opened again, and what has gone meanwhile is not shown.
func TestOverviewOfWhatIsThere(t *testing.T) {
	w := newWorld(t, nil)
	kept := w.add(w.cluster("kept", 3, start))
	gone := w.add(w.cluster("gone", 3, start))
	w.settle()
	old := w.Revision()
	w.Close()
	w.change(gone, func(c *records.Cluster) { c.Deleted = start })
	w.change(kept, seat(1, 2))
	w.open(nil)
	page, err := w.List(t.Context(), api.ClusterQuery{})
	if err != nil || len(page.Items) != 1 || page.Total != 1 || page.Items[0].Name != "kept" || page.Items[0].Changed != nil {
		t.Errorf("%+v, %v", page, err)
	}
	if err := w.Wait(t.Context(), old, time.Hour); err != nil {
		t.Errorf("a revision of the run before: %v", err)
	}
	if got := w.Counts()[api.StateForming]; got != 1 {
		t.Errorf("%d are forming", got)
	}
}

// A store that is far away is not read before somebody asks.
func TestOverviewIsLazy(t *testing.T) {
	w := newWorld(t, func(cfg *overview.Config) { cfg.Lazy = true })
	c := w.add(w.cluster("c", 2, start))
	if w.Counts() != nil || w.has(c) {
		t.Error("the clusters are known already")
	}
	page, err := w.List(t.Context(), api.ClusterQuery{})
	if err != nil || !slices.Equal(names(page.Items), []string{"c"}) {
		t.Errorf("%+v, %v", page, err)
	}
}
