package torture

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/keys"
)

// world is the journal of all clients: what was answered to any of them, and what
// may have happened since because an answer never came. It only ever learns; what
// contradicts it is a fault.
type world struct {
	lingers bool // what was not answered may happen for a while yet: see place

	mu       sync.Mutex
	nodes    map[xlreg.NodeID]*issued // guarded by mu, as is all below
	clusters map[xlreg.ClusterID]xlreg.Cluster
	names    map[xlreg.Name]xlreg.ClusterID
	listed   []xlreg.ClusterID // clusters in the order in which they became known
	places   map[placeKey]*place
	keys     map[xlreg.SigKey]*keys.Set // of all nodes
	answered map[string]int             // by request
	refused  map[xlreg.Kind]int
	lost     int
	faults   []error
}

// issued is an ID that was given to a node, and which of the node's registrations
// may be the one that is kept.
type issued struct {
	who
	versions []int
	late     []int // that may still replace later ones
}

type placeKey struct {
	cluster xlreg.ClusterID
	name    xlreg.Name
}

func newWorld() *world {
	return &world{
		nodes:    make(map[xlreg.NodeID]*issued),
		clusters: make(map[xlreg.ClusterID]xlreg.Cluster),
		names:    make(map[xlreg.Name]xlreg.ClusterID),
		places:   make(map[placeKey]*place),
		keys:     make(map[xlreg.SigKey]*keys.Set),
		answered: make(map[string]int),
		refused:  make(map[xlreg.Kind]int),
	}
}

func (w *world) addKeys(set *keys.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[set.SigKey] = set
}

// mostFaults is how many are worth reading.
const mostFaults = 20

// fault notes a contradiction. mu is held.
func (w *world) fault(format string, args ...any) {
	if len(w.faults) < mostFaults {
		w.faults = append(w.faults, fmt.Errorf(format, args...))
	}
}

// check ends the test if anything contradicted the journal.
func (w *world) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.faults {
		t.Error(err)
	}
	if len(w.faults) > 0 {
		t.FailNow()
	}
}

func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault(format, args...)
}

// refuse notes a refusal, which changes nothing.
func (w *world) refuse(kind xlreg.Kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused[kind]++
}

// refusals returns how often the answer was this.
func (w *world) refusals(kind xlreg.Kind) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused[kind]
}

// registered is an answered registration of n under id.
func (w *world) registered(n who, id xlreg.NodeID, version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["register"]++
	known := w.nodes[id]
	if known != nil && known.who != n {
		w.fault("%s got ID %v, which is that of %s", n.name, id, known.name)
		return
	}
	now := &issued{who: n, versions: []int{version}}
	if known != nil {
		now.versions, now.late = append(now.versions, known.late...), known.late
	}
	w.nodes[id] = now
}

// registerLost is a registration that may have replaced what is kept under id,
// which is empty for a node that has none.
func (w *world) registerLost(id xlreg.NodeID, version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
	if known := w.nodes[id]; known != nil {
		known.versions = append(known.versions, version)
		if w.lingers {
			known.late = append(known.late, version)
		}
	}
}

func (w *world) loggedIn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["log in"]++
}

// created is a cluster as an answer shows it.
func (w *world) created(c xlreg.Cluster) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["create"]++
	known, ok := w.clusters[c.ID]
	if id, named := w.names[c.Name]; ok && known != c || named && id != c.ID {
		w.fault("created %+v, known is %+v", c, w.clusters[id])
		return
	}
	if !ok {
		w.clusters[c.ID], w.names[c.Name] = c, c.ID
		w.listed = append(w.listed, c.ID)
	}
}

// rest says that nothing is on its way any more.
func (w *world) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		n.late = nil
	}
	for _, p := range w.places {
		p.late = nil
	}
}

// pick returns the n-th cluster, counted from the first again after the last.
func (w *world) pick(n int) (xlreg.Cluster, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.listed) == 0 {
		return xlreg.Cluster{}, false
	}
	return w.clusters[w.listed[n%len(w.listed)]], true
}

// pickOf returns the n-th cluster of those in which a node may have a seat.
func (w *world) pickOf(name xlreg.Name, n int) (xlreg.Cluster, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var in []xlreg.ClusterID
	for _, id := range w.listed {
		if p := w.places[placeKey{id, name}]; p != nil && p.can[0] != (occupant{}) {
			in = append(in, id)
		}
	}
	if len(in) == 0 {
		return xlreg.Cluster{}, false
	}
	return w.clusters[in[n%len(in)]], true
}

// place returns what is known of a node in a cluster. mu is held.
func (w *world) place(cluster xlreg.ClusterID, name xlreg.Name) *place {
	key := placeKey{cluster, name}
	if w.places[key] == nil {
		w.places[key] = newPlace()
		w.places[key].lingers = w.lingers
	}
	return w.places[key]
}

// as returns what a seat would show of the node with this ID. mu is held.
func (w *world) as(id xlreg.NodeID) []occupant {
	var all []occupant
	for _, version := range w.nodes[id].versions {
		all = append(all, occupant{id, version})
	}
	return all
}

// joined is an answered Join.
func (w *world) joined(cluster xlreg.ClusterID, n who, id xlreg.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["join"]++
	w.place(cluster, n.name).joined(w.as(id))
}

func (w *world) joinLost(cluster xlreg.ClusterID, n who, id xlreg.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
	w.place(cluster, n.name).joinLost(w.as(id))
}

func (w *world) joinRefused(cluster xlreg.ClusterID, n who) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.place(cluster, n.name).shutOut(); err != nil {
		w.fault("%s in %q: %w", n.name, w.clusters[cluster].Name, err)
	}
}

// left is an answered Leave.
func (w *world) left(cluster xlreg.ClusterID, n who, id xlreg.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["leave"]++
	if err := w.place(cluster, n.name).left(id); err != nil {
		w.fault("%s in %q: %w", n.name, w.clusters[cluster].Name, err)
	}
}

func (w *world) leaveLost(cluster xlreg.ClusterID, n who, id xlreg.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
	w.place(cluster, n.name).leaveLost(id)
}

func (w *world) leaveRefused(cluster xlreg.ClusterID, n who, id xlreg.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.place(cluster, n.name).notMember(id); err != nil {
		w.fault("%s in %q: %w", n.name, w.clusters[cluster].Name, err)
	}
}

// read is a roster that n has read while others may have been changing it: only
// its own seat, and what is always true, can be held against it.
func (w *world) read(r *client.Roster, n who) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered["get"]++
	w.checkRoster(r)
	w.look(r, n.name)
}

// readQuiet is a roster that was read while nobody changed anything.
func (w *world) readQuiet(r *client.Roster) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkRoster(r)
	names := make(map[xlreg.Name]bool)
	for key := range w.places {
		if key.cluster == r.Cluster.ID {
			names[key.name] = true
		}
	}
	for i := range r.Members {
		names[r.Members[i].Token.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		w.look(r, name)
	}
}

// look holds the place of one node against a roster. mu is held.
func (w *world) look(r *client.Roster, name xlreg.Name) {
	var o occupant
	index := unknown
	if m := r.ByName(name); m != nil {
		o, index = occupantOf(&m.Token), m.Index
	}
	if err := w.place(r.Cluster.ID, name).seen(o, index); err != nil {
		w.fault("%s in %q %w", name, r.Cluster.Name, err)
	}
}

// occupantOf returns what a token shows. Nodes tell the versions of what they
// register by the port of their endpoint.
func occupantOf(t *xlreg.Token) occupant {
	o := occupant{id: t.ID}
	if len(t.Endpoints) > 0 {
		o.version = t.Endpoints[0].Port()
	}
	return o
}

// checkRoster looks for what no roster may show. mu is held.
func (w *world) checkRoster(r *client.Roster) {
	known := w.clusters[r.Cluster.ID]
	if r.Cluster != known {
		w.fault("read %+v, known is %+v", r.Cluster, known)
	}
	if len(r.Members) > known.MaxSize {
		w.fault("%q has %d members, made for %d", known.Name, len(r.Members), known.MaxSize)
	}
	if err := errors.Join(distinct(r, known.MaxSize)...); err != nil {
		w.fault("%q: %w", known.Name, err)
	}
	for i := range r.Members {
		t := &r.Members[i].Token
		if n := w.nodes[t.ID]; n == nil || n.name != t.Name || n.key != t.SigKey {
			w.fault("%q shows %s with ID %v, which is not that node's", known.Name, t.Name, t.ID)
		}
	}
}

// distinct wants indexes that exist, and no index, ID or name twice.
func distinct(r *client.Roster, size int) (wrong []error) {
	indexes, ids, names := make(map[int]bool), make(map[xlreg.NodeID]bool), make(map[xlreg.Name]bool)
	for i := range r.Members {
		m := &r.Members[i]
		if m.Index < 0 || m.Index >= size {
			wrong = append(wrong, fmt.Errorf("index %d of %d", m.Index, size))
		}
		if indexes[m.Index] || ids[m.Token.ID] || names[m.Token.Name] {
			wrong = append(wrong, fmt.Errorf("%s, %v or index %d twice", m.Token.Name, m.Token.ID, m.Index))
		}
		indexes[m.Index], ids[m.Token.ID], names[m.Token.Name] = true, true, true
	}
	return wrong
}

// String tells how much happened.
func (w *world) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d nodes, %d clusters; answered %v, refused %v, %d without answer",
		len(w.nodes), len(w.clusters), w.answered, w.refused, w.lost)
}

// answers returns how often anything was answered, be it with a refusal.
func (w *world) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, times := range w.answered {
		n += times
	}
	for _, times := range w.refused {
		n += times
	}
	return n
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.faults) > 0
}
