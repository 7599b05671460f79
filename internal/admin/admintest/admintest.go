// Package admintest has a registry in memory that is no registry at all: tests of what
// shows and steers one say what happens on it, step by step.
package admintest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// Registry is an admin.Steward whose clusters do what a test says. Its methods may be
// called from any goroutine. Make one with New.
type Registry struct {
	now func() time.Time

	mu       sync.Mutex
	about    api.Registry // guarded by mu
	clusters map[string]*cluster
	order    []*cluster // guarded by mu; the oldest first
	gone     []gone     // guarded by mu
	made     int        // guarded by mu; clusters so far
	revision uint64     // guarded by mu
	horizon  uint64     // guarded by mu; what has gone up to here is not known any more
	changed  chan struct{}
	nodes    []api.Node    // guarded by mu; by ID
	sessions []api.Session // guarded by mu
	limits   []api.Limit   // guarded by mu
	deeds    []Deed        // guarded by mu
	failure  error         // guarded by mu; what every call ends with, if it is not nil
}

// cluster is one that there is.
type cluster struct {
	api.ClusterDetail
	number  int      // in the order of creation
	changed uint64   // the revision of the registry at its last change
	banned  []string // fingerprints
	full    bool     // it has been full in this epoch
}

// gone is a cluster that there was.
type gone struct {
	id       string
	revision uint64
}

// Deed is what an admin has changed.
type Deed struct {
	Admin, From, What string
}

// New returns a registry without clusters. A nil now is time.Now.
func New(now func() time.Time) *Registry {
	if now == nil {
		now = time.Now
	}
	r := &Registry{now: now, clusters: make(map[string]*cluster), changed: make(chan struct{})}
	r.about = api.Registry{
		Name: "fake", ID: digest("registry"), Fingerprint: Fingerprint("registry"),
		Line: "xlreg://127.0.0.1:56789?pin=" + Fingerprint("registry"), Endpoints: []string{"127.0.0.1:56789"},
		Protocols: []string{"2.0", "1.9", "1.8"}, Version: "0.0.0-fake", Started: r.clock(), Store: "memory",
		Ready: true, LogLevel: "info",
		Formations: []api.Formation{{Sizes: "2", Bounds: []int64{100, 1000}, Counts: []uint64{0, 0, 0}}},
	}
	return r
}

// Fingerprint returns that of a key which is not there, the same for the same name.
func Fingerprint(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// clock returns the time as it is shown.
func (r *Registry) clock() time.Time { return r.now().UTC().Truncate(time.Millisecond) }

// Update changes what the registry says of itself.
func (r *Registry) Update(f func(*api.Registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.about)
}

// Fail lets every call that can fail end with err, or none if it is nil.
func (r *Registry) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
}

// Create makes an open cluster and returns its ID.
func (r *Registry) Create(name string, size int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made++
	id, at := digest(fmt.Sprintf("cluster %d", r.made)), r.clock()
	c := &cluster{number: r.made}
	c.ID, c.Name, c.Size, c.Epoch, c.Endpoints = id, name, size, 1, 1
	c.Created = &at
	r.clusters[id] = c
	r.order = append(r.order, c)
	r.touch(c)
	return id
}

// Own gives a cluster an owner.
func (r *Registry) Own(id, owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clusters[id]
	c.Owner = owner
	r.touch(c)
}

// Join lets a member take the first seat that is free, and Lease for how long it keeps
// it without a sign of life; 0 is for ever.
func (r *Registry) Join(id, member string, lease time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, at := r.clusters[id], r.clock()
	index := 0
	for slices.Contains(c.Taken, index) {
		index++
	}
	m := api.Member{
		Index: index, Name: member, Node: digest("node " + member), Key: Fingerprint(member), KeyKind: "P-256",
		Endpoints: []string{fmt.Sprintf("127.0.0.1:%d", 7001+index)}, Epoch: c.Epoch, Joined: &at,
	}
	if lease > 0 {
		due := at.Add(lease)
		m.LeaseMS, m.Seen, m.Due = lease.Milliseconds(), &at, &due
	}
	c.Seats = append(c.Seats, m)
	slices.SortFunc(c.Seats, func(a, b api.Member) int { return a.Index - b.Index })
	r.touch(c)
}

// Leave takes a member's seat away.
func (r *Registry) Leave(id, member string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clusters[id]
	c.Seats = slices.DeleteFunc(slices.Clone(c.Seats), func(m api.Member) bool { return m.Name == member })
	r.touch(c)
}

// Form fills a cluster with members named m0, m1 and so on.
func (r *Registry) Form(id string) {
	for i := range r.clusters[id].Size {
		r.Join(id, fmt.Sprintf("m%d", i), 0)
	}
}

// Vanish removes a cluster.
func (r *Registry) Vanish(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(r.clusters[id])
}

// ForgetHistory lets whoever follows from before now begin anew.
func (r *Registry) ForgetHistory() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revision++
	r.horizon, r.gone = r.revision, nil
	r.wake()
}

// SetNodes says which nodes there are.
func (r *Registry) SetNodes(nodes ...api.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes = slices.SortedFunc(slices.Values(nodes), func(a, b api.Node) int { return compare(a.ID, b.ID) })
}

// SetSessions says which connections are open.
func (r *Registry) SetSessions(sessions ...api.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions = slices.Clone(sessions)
}

// SetLimits says which limits there are.
func (r *Registry) SetLimits(limits ...api.Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = slices.Clone(limits)
}

// Deeds returns what admins have changed.
func (r *Registry) Deeds() []Deed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.deeds)
}

// remove takes a cluster away. mu is held.
func (r *Registry) remove(c *cluster) {
	delete(r.clusters, c.ID)
	r.order = slices.DeleteFunc(r.order, func(o *cluster) bool { return o == c })
	r.revision++
	r.gone = append(r.gone, gone{c.ID, r.revision})
	r.wake()
}

// touch notes that a cluster has changed, and works out what follows. mu is held.
func (r *Registry) touch(c *cluster) {
	r.revision++
	at := r.clock()
	c.changed, c.Changed = r.revision, &at
	c.Revision++
	c.Members, c.Taken = len(c.Seats), make([]int, 0, len(c.Seats))
	for _, m := range c.Seats {
		c.Taken = append(c.Taken, m.Index)
	}
	if c.Members == c.Size && !c.full {
		took := at.Sub(*c.Created).Milliseconds()
		c.full, c.Formed = true, &took
	}
	c.State = c.state()
	r.wake()
}

func (c *cluster) state() api.State {
	switch {
	case c.Members == 0:
		return api.StateEmpty
	case c.Members == c.Size:
		return api.StateFull
	case c.full:
		return api.StateReduced
	}
	return api.StateForming
}

// wake tells whoever waits. mu is held.
func (r *Registry) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}
