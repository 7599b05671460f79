package registry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/records"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store"
	"github.com/xlattice/xlreg/internal/store/memory"
)

// shared is a store that several registries stand on. Time is that of the test's bubble.
type shared struct {
	t     *testing.T
	store store.Store
}

// inBubble runs a test on a store for several registries.
func inBubble(t *testing.T, f func(t *testing.T, s *shared)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(26 * 365 * 24 * time.Hour) // bubbles begin in 2000, which a registry does not believe
		s := &shared{t: t, store: memory.New()}
		f(t, s)
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// announce has the others know of a server, as its driver does.
func (s *shared) announce(server *records.Server) {
	s.t.Helper()
	key, value, err := server.Record()
	if err == nil {
		err = s.store.Update(s.t.Context(), func(w store.Writer) error { return w.Put(key, value) })
	}
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// vanish is what the database does when a server gives no sign of life any more.
func (s *shared) vanish(id records.ServerID) {
	s.t.Helper()
	key, _, _ := (&records.Server{ID: id}).Record()
	if err := s.store.Update(s.t.Context(), func(w store.Writer) error { return w.Delete(key) }); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// server starts one more registry on the store.
func (s *shared) server(id records.ServerID) *world {
	s.t.Helper()
	s.announce(&records.Server{ID: id, Reads: records.NewestVersion})
	r, err := registry.New(registry.Config{Store: s.store, Self: self, Server: id})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close() })
	synctest.Wait()
	return &world{Registry: r, t: s.t, store: s.store, sessions: make(map[xlreg.NodeID]*registry.Session)}
}

// goTo has a node speak to another server from now on.
func (p *person) goTo(w *world) {
	p.w = w
	p.connect()
}

// live gives signs of life, in turns of a second.
func (p *person) live(c xlreg.Cluster, d time.Duration) {
	for range int(d / time.Second) {
		pass(time.Second)
		p.w.Alive(p.w.t.Context(), p.s, c.ID)
	}
	synctest.Wait()
}

// pass lets time go by, which costs none in a bubble.
func pass(d time.Duration) { <-time.After(d) }

const lease = 15 * time.Second

func joined(t *testing.T, w *world) (*person, xlreg.Cluster) {
	t.Helper()
	c := w.create("c", 3)
	p := w.person("p")
	if _, err := p.try(c, registry.JoinRequest{Run: "1", Lease: lease}); err != nil {
		t.Fatal(err)
	}
	return p, c
}

// A member that goes to another server, and back, keeps its seat for as long as it gives
// signs of life to either, and loses it one term after the last.
func TestALeaseGoesWithItsMember(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b := s.server("a"), s.server("b")
		defer a.Close()
		defer b.Close()
		p, c := joined(t, a)
		for _, w := range []*world{b, a, b, b, a} {
			p.goTo(w)
			p.live(c, 2*lease)
			b.wantMembers(c, 1, "p")
		}
		pass(lease - time.Second)
		b.wantMembers(c, 1, "p")
		pass(2 * time.Second)
		b.wantMembers(c, 1)
	})
}

// Two connections of one node, each to another server, are no matter for its seat.
func TestALeaseOfTwoConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b := s.server("a"), s.server("b")
		defer a.Close()
		defer b.Close()
		p, c := joined(t, a)
		q := &person{w: b, name: p.name, set: p.set}
		q.connect()
		for range 20 {
			p.live(c, 4*time.Second)
			q.live(c, 4*time.Second)
			p.w.Alive(t.Context(), p.s, c.ID)
		}
		a.wantMembers(c, 1, "p")
		p.live(c, 2*lease)
		a.wantMembers(c, 1, "p")
	})
}

// What a server kept that has gone is given a whole term, by the one that leads; and goes
// on with a server that its member has found meanwhile.
func TestLeasesOfAServerThatHasGone(t *testing.T) {
	for name, comesBack := range map[string]bool{"member gone too": false, "member elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *shared) {
				a, b, d := s.server("a"), s.server("b"), s.server("d")
				defer b.Close()
				defer d.Close()
				p, c := joined(t, a)
				a.Close()
				pass(time.Minute) // nobody has told yet that it is gone
				d.wantMembers(c, 1, "p")
				s.vanish("a")
				pass(lease - 2*time.Second)
				d.wantMembers(c, 1, "p")
				if comesBack {
					p.goTo(d)
					p.live(c, 2*lease)
					b.wantMembers(c, 1, "p")
					return
				}
				pass(3 * time.Second)
				d.wantMembers(c, 1)
			})
		})
	}
}

// The server that was to free the seats of another may go before it has.
func TestTwoServersGo(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b, d := s.server("a"), s.server("b"), s.server("d")
		defer d.Close()
		_, c := joined(t, a)
		a.Close()
		s.vanish("a")
		pass(lease / 2)
		b.Close()
		s.vanish("b")
		pass(lease - time.Second)
		d.wantMembers(c, 1, "p")
		pass(2 * time.Second)
		d.wantMembers(c, 1)
	})
}

// A server that was thought gone and is not goes on with its leases.
func TestAServerThatComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b := s.server("a"), s.server("b")
		defer a.Close()
		defer b.Close()
		p, c := joined(t, a)
		s.vanish("a")
		pass(time.Second)
		s.announce(&records.Server{ID: "a", Reads: records.NewestVersion})
		p.live(c, 3*lease)
		b.wantMembers(c, 1, "p")
	})
}

// Whoever is alone keeps what servers of a fleet have left.
func TestAloneAfterAFleet(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a := s.server("a")
		_, c := joined(t, a)
		a.Close()
		r, err := registry.New(registry.Config{Store: s.store, Self: self})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		w := &world{Registry: r, t: t, store: s.store}
		pass(lease - time.Second)
		w.wantMembers(c, 1, "p")
		pass(2 * time.Second)
		w.wantMembers(c, 1)
	})
}

// A record's own time, which raises no revision, is no other at another server.
func TestAConfirmedSeatIsSeenByAll(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b := s.server("a"), s.server("b")
		defer a.Close()
		defer b.Close()
		c := a.create("c", 3)
		p := a.person("p")
		p.mustTry(c, registry.JoinRequest{Run: "1"})
		first := b.roster(c).Members[0].Token.Seat.Joined
		pass(2 * time.Minute)
		p.mustTry(c, registry.JoinRequest{Run: "1"})
		synctest.Wait()
		if now := b.roster(c).Members[0].Token.Seat.Joined; !now.After(first) {
			t.Errorf("joined at %v, after it was confirmed two minutes later", now)
		}
	})
}

// lagging is a store that is slow to answer those who ask who is there, by another time for each
// of them.
type lagging struct {
	store.Store

	mu   sync.Mutex
	lags []time.Duration // guarded by mu
}

func (l *lagging) View(ctx context.Context, f func(store.Reader) error) error {
	var r lookedFor
	err := l.Store.View(ctx, func(tx store.Reader) error {
		r.Reader = tx
		return f(&r)
	})
	if r.servers {
		pass(l.next())
	}
	return err
}

func (l *lagging) next() (lag time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lags) > 0 {
		lag, l.lags = l.lags[0], l.lags[1:]
	}
	return lag
}

// lookedFor notes whether somebody has asked who is there.
type lookedFor struct {
	store.Reader
	servers bool
}

func (r *lookedFor) Scan(prefix string) iter.Seq2[store.Item, error] {
	r.servers = r.servers || prefix == records.Servers
	return r.Reader.Scan(prefix)
}

// Servers that start at the same time know of each other, in whatever order the store answers
// one of them.
func TestServersThatStartTogether(t *testing.T) {
	const s = time.Second
	for _, lags := range [][]time.Duration{{s, 2 * s, 3 * s}, {2 * s, 3 * s, s}, {3 * s, s, 2 * s}} {
		inBubble(t, func(t *testing.T, other *shared) {
			slow := &shared{t: t, store: &lagging{Store: other.store, lags: lags}}
			a := slow.server("a")
			defer a.Close()
			b := other.server("b")
			defer b.Close()
			pass(time.Minute)
			if there, _ := a.Servers(); len(there) != 2 {
				t.Errorf("with lags of %v: %d servers are there, want 2", lags, len(there))
			}
		})
	}
}

// One scan counts for all, and each adds what comes through itself.
func TestTotalsAreShared(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a, b := s.server("a"), s.server("b")
		defer a.Close()
		defer b.Close()
		for i := range 3 {
			a.create(fmt.Sprint("c", i), 2)
		}
		pass(2 * time.Hour)
		if n := b.Counted().Clusters; n != 3 {
			t.Errorf("%d clusters at the other server, want 3", n)
		}
		b.create("d", 2)
		if n := b.Counted().Clusters; n < 4 {
			t.Errorf("%d clusters after one more, want 4 or more", n)
		}
	})
}

// Records are written in the version of the oldest program that is there.
func TestTheSchemaRises(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		setSchema(t, s.store, records.OldestVersion)
		s.announce(&records.Server{ID: "old", Reads: records.OldestVersion})
		a := s.server("a")
		defer a.Close()
		a.create("c", 2)
		wantVersions(t, s.store, records.OldestVersion)
		s.vanish("old")
		pass(time.Second)
		a.create("d", 2)
		wantVersions(t, s.store, records.OldestVersion, records.NewestVersion)
	})
}

// A program that cannot read what is written does not serve, and ends if it does.
func TestTheSchemaIsTooNew(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shared) {
		a := s.server("a")
		defer a.Close()
		setSchema(t, s.store, records.NewestVersion+1)
		select {
		case err := <-a.Failure():
			if !errors.Is(err, store.ErrNewerSchema) {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("a server goes on that cannot read what is written")
		}
		_, err := registry.New(registry.Config{Store: s.store, Self: self, Server: "b"})
		if !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("New: %v", err)
		}
	})
}

func setSchema(t *testing.T, s store.Store, version int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Writer) error { return records.NewWriter(tx).PutSchema(version) })
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// wantVersions looks at the first byte of each cluster's head.
func wantVersions(t *testing.T, s store.Store, want ...byte) {
	t.Helper()
	got := make(map[byte]bool)
	err := s.View(context.WithoutCancel(t.Context()), func(tx store.Reader) error {
		for item, err := range tx.Scan(records.Clusters) {
			if err != nil {
				return err
			}
			got[item.Value[0]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range want {
		if !got[v] {
			t.Errorf("no record of version %d", v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("records of %d versions, want %d", len(got), len(want))
	}
}
