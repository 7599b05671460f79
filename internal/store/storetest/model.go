package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/store"
)

// model is a store as plain as can be: maps, and a copy of them to go back to.
type model struct {
	nodes    map[xlreg.NodeID]xlreg.Token
	clusters map[xlreg.ClusterID]store.Cluster
	seats    map[seatRef]xlreg.Member
}

type seatRef struct {
	id    xlreg.ClusterID
	index int
}

var _ store.Writer = (*model)(nil)

func newModel() *model {
	return &model{
		nodes:    make(map[xlreg.NodeID]xlreg.Token),
		clusters: make(map[xlreg.ClusterID]store.Cluster),
		seats:    make(map[seatRef]xlreg.Member),
	}
}

func (m *model) clone() *model {
	return &model{nodes: maps.Clone(m.nodes), clusters: maps.Clone(m.clusters), seats: maps.Clone(m.seats)}
}

func (m *model) Node(id xlreg.NodeID) (xlreg.Token, error) { return find(m.nodes, id) }

func (m *model) Cluster(id xlreg.ClusterID) (store.Cluster, error) { return find(m.clusters, id) }

func (m *model) ClusterByName(name xlreg.Name) (store.Cluster, error) {
	for _, c := range m.clusters {
		if c.Name == name {
			return c, nil
		}
	}
	return store.Cluster{}, store.ErrNotFound
}

func (m *model) Seats(id xlreg.ClusterID) ([]xlreg.Member, error) {
	var seats []xlreg.Member
	for ref, seat := range m.seats {
		if ref.id == id {
			seats = append(seats, seat)
		}
	}
	slices.SortFunc(seats, func(a, b xlreg.Member) int { return cmp.Compare(a.Index, b.Index) })
	return seats, nil
}

func (m *model) PutNode(node xlreg.Token) error {
	m.nodes[node.ID] = node
	return nil
}

func (m *model) PutCluster(c store.Cluster) error {
	m.clusters[c.ID] = c
	return nil
}

func (m *model) PutSeat(id xlreg.ClusterID, seat xlreg.Member) error {
	m.seats[seatRef{id, seat.Index}] = seat
	return nil
}

func (m *model) DeleteSeat(id xlreg.ClusterID, index int) error {
	delete(m.seats, seatRef{id, index})
	return nil
}

func find[K comparable, V any](from map[K]V, key K) (V, error) {
	v, ok := from[key]
	if !ok {
		return v, store.ErrNotFound
	}
	return v, nil
}

// world is the few records that one run of the simulation is about. Runs share
// a store, each with records of its own.
type world struct{ first int }

// worldSize is small, so that calls meet on the same records.
const worldSize = 4

func (w world) draw(t *rapid.T) int { return w.first + rapid.IntRange(0, worldSize-1).Draw(t, "n") }

// drawCall returns one call of the Sink.
func (w world) drawCall(t *rapid.T) func(store.Writer) error {
	n := w.draw(t)
	switch rapid.IntRange(0, 3).Draw(t, "call") {
	case 0:
		token := node(n)
		token.Attrs = xlreg.NodeAttrs(rapid.Uint64().Draw(t, "attrs"))
		return putNode(token)
	case 1:
		c := cluster(n)
		c.Revision = rapid.Uint64().Draw(t, "revision")
		c.Taken = xlreg.Seats(rapid.Uint64().Draw(t, "taken"))
		return putCluster(c)
	case 2:
		return putSeat(clusterID(n), seat(drawIndex(t), w.draw(t)))
	}
	return deleteSeat(clusterID(n), drawIndex(t))
}

func drawIndex(t *rapid.T) int { return rapid.SampledFrom([]int{0, 1, 2, 63}).Draw(t, "index") }

// same returns an error unless r and m say the same about this world.
func (w world) same(r store.Reader, m *model) error {
	var errs []error
	for n := w.first; n < w.first+worldSize; n++ {
		errs = append(errs, sameNode(r, m, nodeID(n)), sameCluster(r, m, cluster(n).Cluster), sameSeats(r, m, clusterID(n)))
	}
	return errors.Join(errs...)
}

func sameNode(r store.Reader, m *model, id xlreg.NodeID) error {
	want, err := m.Node(id)
	if err != nil {
		return wantNoNode(r, id)
	}
	return wantNode(r, want)
}

func sameCluster(r store.Reader, m *model, c xlreg.Cluster) error {
	want, err := m.Cluster(c.ID)
	if err != nil {
		return wantNoCluster(r, c)
	}
	return wantCluster(r, want)
}

func sameSeats(r store.Reader, m *model, id xlreg.ClusterID) error {
	want, err := m.Seats(id)
	return errors.Join(err, wantSeats(r, id, want...))
}

// step makes the calls on s and m alike, with a look at everything after each.
// They end well, with an error or with a panic; then m is as it was.
func (w world) step(t *rapid.T, s store.Store, m *model) *model {
	calls := make([]func(store.Writer) error, rapid.IntRange(0, 5).Draw(t, "calls"))
	for i := range calls {
		calls[i] = w.drawCall(t)
	}
	end := rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "end")
	var after *model
	err := guarded(func() error {
		return s.Update(t.Context(), func(tx store.Writer) error {
			after = m.clone()
			for i, call := range calls {
				if err := errors.Join(call(tx), call(after), w.same(tx, after)); err != nil {
					return fmt.Errorf("call %d: %w", i, err)
				}
			}
			return misbehave(end)
		})
	})
	if end == 0 && err == nil {
		return after
	}
	if end == 0 || err != errOnPurpose { //nolint:errorlint // nothing wrapped
		t.Fatalf("Update: %v", err)
	}
	return m
}

// guarded returns the error that f returns or panics with.
func guarded(f func() error) (err error) {
	defer func() {
		if got := recover(); got != nil {
			err = got.(error)
		}
	}()
	return f()
}

func (w world) run(t *rapid.T, s store.Store, m *model) *model {
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		m = w.step(t, s, m)
		err := s.View(t.Context(), func(r store.Reader) error { return w.same(r, m) })
		if err != nil {
			t.Fatalf("View: %v", err)
		}
	}
	return m
}

func testModel(t *testing.T, s store.Store) {
	w := world{}
	rapid.Check(t, func(t *rapid.T) {
		w.first += worldSize
		w.run(t, s, newModel())
	})
}
