package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/registry"
	"github.com/xlattice/xlreg/internal/store/memory"
	"github.com/xlattice/xlreg/keys"
)

// model is the rules once more, as plainly as they can be said.
type model struct {
	nodes    map[xlreg.NodeID]modelNode
	clusters map[xlreg.Name]*modelCluster
}

type modelNode struct {
	name xlreg.Name
	key  int
	ends int
}

type modelCluster struct {
	cluster xlreg.Cluster
	seats   map[int]modelSeat
	banned  map[int]bool // keys
}

type modelSeat struct {
	id xlreg.NodeID
	modelNode
}

// join says what Join must answer, and does it.
func (m *model) join(id xlreg.NodeID, c *modelCluster) (int, error) {
	node := m.nodes[id]
	if c.banned[node.key] {
		return 0, xlreg.ErrNotAdmitted
	}
	own, holder := -1, -1
	for index, s := range c.seats {
		if s.id == id {
			own = index
		}
		if s.name == node.name {
			holder = index
		}
	}
	var seat int
	switch {
	case own >= 0 && holder >= 0 && own != holder:
		return 0, xlreg.ErrMemberNameInUse
	case own >= 0:
		seat = own
	case holder >= 0 && c.seats[holder].key == node.key:
		seat = holder
	case holder >= 0:
		return 0, xlreg.ErrMemberNameInUse
	case len(c.seats) == c.cluster.MaxSize:
		return 0, xlreg.ErrClusterFull
	case node.ends < c.cluster.EndpointCount:
		return 0, xlreg.ErrTooFewEndpoints
	default:
		for seat = 0; ; seat++ {
			if _, taken := c.seats[seat]; !taken {
				break
			}
		}
	}
	c.seats[seat] = modelSeat{id, node}
	return seat, nil
}

// leave frees the seats of the node's key, of which each may have several.
func (m *model) leave(id xlreg.NodeID, c *modelCluster) error {
	err := error(xlreg.ErrNotMember)
	for index, s := range c.seats {
		if s.key == m.nodes[id].key {
			delete(c.seats, index)
			err = nil
		}
	}
	return err
}

// evict says what an admin's order to evict must answer, and does it: of one key or, if
// that is -1, of the member with a name.
func (c *modelCluster) evict(key int, name xlreg.Name) error {
	err := error(xlreg.ErrNotMember)
	for index, s := range c.seats {
		if key < 0 && s.name == name || s.key == key {
			delete(c.seats, index)
			err = nil
		}
	}
	return err
}

// TestRulesAgainstModel runs random requests against the registry and the
// model, and compares every answer and every roster.
func TestRulesAgainstModel(t *testing.T) {
	tokens := signedTokens()
	rapid.Check(t, func(rt *rapid.T) {
		s := memory.New()
		defer s.Close()
		r, err := registry.New(registry.Config{Store: s, Self: self, Clock: newFakeClock()})
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		sim := &simulation{r: r, tokens: tokens, sessions: make(map[xlreg.NodeID]*registry.Session), model: &model{
			nodes: make(map[xlreg.NodeID]modelNode), clusters: make(map[xlreg.Name]*modelCluster),
		}}
		rt.Repeat(map[string]func(*rapid.T){
			"register": sim.register,
			"create":   sim.create,
			"join":     sim.join,
			"leave":    sim.leave,
			"evict":    sim.evict,
			"ban":      sim.ban,
			"end":      sim.end,
			"":         sim.compare,
		})
		r.Close() // what is left of deleted clusters goes by and by
		counted, err := registry.New(registry.Config{Store: s, Self: self})
		if err != nil {
			rt.Fatal(err)
		}
		defer counted.Close()
		if now, was := counted.Counted(), r.Counted(); now != was {
			rt.Fatalf("counted %+v, and as it came to be %+v", now, was)
		}
	})
}

type simulation struct {
	r      *registry.Registry
	tokens map[modelNode]*xlreg.Token
	model  *model

	sessions map[xlreg.NodeID]*registry.Session // in which nodes have registered
}

// signedTokens are tokens of few names, keys and numbers of endpoints, so that
// they meet often. They are signed once, since signing is what takes long.
func signedTokens() map[modelNode]*xlreg.Token {
	tokens := make(map[modelNode]*xlreg.Token)
	for _, name := range []xlreg.Name{"a", "b", "d"} {
		for key, keys := range testKeys()[:2] {
			for ends := range 3 {
				list := []xlreg.Endpoint{"10.0.0.1:1", "10.0.0.1:2"}[:ends]
				tokens[modelNode{name, key, ends}] = classic(string(name), keys, "", list...)
			}
		}
	}
	return tokens
}

func (s *simulation) nodeIDs() []xlreg.NodeID {
	return slices.Sorted(maps.Keys(s.model.nodes))
}

func (s *simulation) register(t *rapid.T) {
	node := modelNode{
		name: rapid.SampledFrom([]xlreg.Name{"a", "b", "d"}).Draw(t, "name"),
		key:  rapid.IntRange(0, 1).Draw(t, "key"),
		ends: rapid.IntRange(0, 2).Draw(t, "endpoints"),
	}
	tok := *s.tokens[node]
	if ids := s.nodeIDs(); len(ids) > 0 && rapid.Bool().Draw(t, "again") {
		tok.ID = rapid.SampledFrom(ids).Draw(t, "id")
	}
	session := classicSession()
	kept, did, err := s.r.Register(t.Context(), session, &tok, registry.AllowAll)
	before, known := s.model.nodes[tok.ID]
	if known && before.key != node.key {
		if !errors.Is(err, xlreg.ErrIDInUse) {
			t.Fatalf("another key for a known ID: %v", err)
		}
		return
	}
	if err != nil || (did == registry.MadeNew) == known || known && kept.ID != tok.ID {
		t.Fatalf("Register = %v, new %v, %v; known before: %v", kept.ID, did, err, known)
	}
	s.model.nodes[kept.ID], s.sessions[kept.ID] = node, session
}

func (s *simulation) create(t *rapid.T) {
	name := rapid.SampledFrom([]xlreg.Name{"x", "y"}).Draw(t, "cluster")
	size := rapid.Uint32Range(0, 4).Draw(t, "size")
	ends := rapid.Uint32Range(0, 2).Draw(t, "endpoints")
	c, did, err := s.r.Create(t.Context(), reader(), xlreg.ClusterSpec{Name: string(name), MaxSize: size, EndpointCount: ends}, registry.AllowAll)
	if err != nil {
		t.Fatal(err)
	}
	have := s.model.clusters[name]
	if (did == registry.MadeNew) != (have == nil) || have != nil && c.Cluster != have.cluster {
		t.Fatalf("Create(%q) = %+v, new %v; have %+v", name, c, did, have)
	}
	if have == nil {
		s.model.clusters[name] = &modelCluster{cluster: c.Cluster, seats: make(map[int]modelSeat), banned: make(map[int]bool)}
	}
}

// draw picks a node and a cluster, if there are any yet.
func (s *simulation) draw(t *rapid.T) (id xlreg.NodeID, c *modelCluster, ok bool) {
	if len(s.model.nodes) == 0 || len(s.model.clusters) == 0 {
		return "", nil, false
	}
	id = rapid.SampledFrom(s.nodeIDs()).Draw(t, "node")
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(s.model.clusters))).Draw(t, "cluster")
	return id, s.model.clusters[name], true
}

func (s *simulation) join(t *rapid.T) {
	id, c, ok := s.draw(t)
	if !ok {
		return
	}
	seat, _, err := s.r.Join(t.Context(), s.sessions[id], registry.JoinRequest{Ref: xlreg.ClusterRef{Name: c.cluster.Name}}, registry.AllowAll)
	wantIndex, wantErr := s.model.join(id, c)
	if !errors.Is(err, wantErr) || err == nil && seat.Index != wantIndex {
		t.Fatalf("Join = %d, %v; want %d, %v", seat.Index, err, wantIndex, wantErr)
	}
}

func (s *simulation) leave(t *rapid.T) {
	id, c, ok := s.draw(t)
	if !ok {
		return
	}
	_, err := s.r.Leave(t.Context(), s.sessions[id], xlreg.ClusterRef{ID: c.cluster.ID}, registry.AllowAll)
	if want := s.model.leave(id, c); !errors.Is(err, want) {
		t.Fatalf("Leave: %v, want %v", err, want)
	}
}

// orders gives an order of an admin.
func (s *simulation) orders(t *rapid.T, o registry.AdminOrder, want error) {
	if _, err := s.r.AdminOrder(t.Context(), operator, o); !errors.Is(err, want) {
		t.Fatalf("%+v: %v, want %v", o, err, want)
	}
}

func (s *simulation) evict(t *rapid.T) {
	id, c, ok := s.draw(t)
	if !ok {
		return
	}
	o := registry.AdminOrder{Kind: xlreg.OrderEvict, Cluster: c.cluster.ID}
	key, node := -1, s.model.nodes[id]
	if rapid.Bool().Draw(t, "by key") {
		key, o.KeySum = node.key, sumOf(node.key)
	} else {
		o.Member = node.name
	}
	s.orders(t, o, c.evict(key, node.name))
}

func (s *simulation) ban(t *rapid.T) {
	id, c, ok := s.draw(t)
	if !ok || rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		return
	}
	key := s.model.nodes[id].key
	_ = c.evict(key, "")
	c.banned[key] = true
	s.orders(t, registry.AdminOrder{Kind: xlreg.OrderBan, Cluster: c.cluster.ID, KeySum: sumOf(key)}, nil)
}

// end reopens or deletes a cluster.
func (s *simulation) end(t *rapid.T) {
	_, c, ok := s.draw(t)
	if !ok || rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		return
	}
	o := registry.AdminOrder{Kind: xlreg.OrderReopen, Cluster: c.cluster.ID}
	clear(c.seats)
	if rapid.Bool().Draw(t, "for good") {
		o.Kind = xlreg.OrderDelete
		delete(s.model.clusters, c.cluster.Name)
	}
	s.orders(t, o, nil)
}

func sumOf(key int) xlreg.KeySum { return keys.KeySum(testKeys()[key].SigKey) }

func (s *simulation) compare(t *rapid.T) {
	for name, c := range s.model.clusters {
		roster, err := s.r.Roster(t.Context(), xlreg.ClusterRef{Name: name}, xlreg.Protocol20)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := describe(roster), c.describe(); got != want {
			t.Fatalf("cluster %s: %s, want %s", name, got, want)
		}
	}
}

func describe(r *registry.Roster) string {
	text := ""
	for _, m := range r.Members {
		text += fmt.Sprintf("%d:%v:%s:%d ", m.Index, m.Token.ID, m.Token.Name, len(m.Token.Endpoints))
	}
	return text
}

func (c *modelCluster) describe() string {
	text := ""
	for _, index := range slices.Sorted(maps.Keys(c.seats)) {
		s := c.seats[index]
		text += fmt.Sprintf("%d:%v:%s:%d ", index, s.id, s.name, s.ends)
	}
	return text
}
