// Package api is what the admin side of a registry shows and takes, as Go and as JSON:
// the server, the page, the command line and a client in Go speak of the same things in
// the same words. It is pure: no network, no store, no clock.
//
// Times are in UTC with milliseconds. IDs are in hexadecimal. Keys are named by their
// fingerprint, "SHA256:" and 43 characters. A field that is not known is left out.
package api

import "time"

// State is how far a cluster has come in its current epoch.
type State string

// The states. A cluster that has once been full in this epoch never goes back to
// StateForming: whoever is missing then has left, or has been lost.
const (
	StateForming State = "forming" // it has not been full yet
	StateFull    State = "full"    // it has as many members as it may have
	StateReduced State = "reduced" // it has been full, and members have gone since
	StateEmpty   State = "empty"   // it has no members
)

// States returns all states, in the order in which people read them.
func States() []State { return []State{StateForming, StateFull, StateReduced, StateEmpty} }

// Registry is what one registry is, and how it fares.
type Registry struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Fingerprint string   `json:"fingerprint" doc:"of the sig key, which clients pin"`
	Line        string   `json:"line" doc:"what a newcomer pastes: where the registry is, and how to know it"`
	Endpoints   []string `json:"endpoints"`
	Protocols   []string `json:"protocols"`

	Version  string    `json:"version" doc:"of the program"`
	Started  time.Time `json:"started"`
	Store    string    `json:"store" enum:"memory,bolt,etcd,postgres"`
	Server   string    `json:"server,omitempty" doc:"the ID of this server, if several share the store"`
	Servers  []Server  `json:"servers,omitempty" doc:"those that share the store"`
	Ready    bool      `json:"ready" doc:"clients are served"`
	Draining bool      `json:"draining" doc:"no new connections are taken"`
	LogLevel string    `json:"log_level" enum:"debug,info,warn,error"`

	CertificateUntil *time.Time `json:"certificate_until,omitempty" doc:"when the certificate of the admin side expires"`
	FormerKeyUntil   *time.Time `json:"former_key_until,omitempty" doc:"until when clients that pin the sig key before this one find the registry"`

	Nodes    int           `json:"nodes"`
	Clusters int           `json:"clusters"`
	Bytes    int64         `json:"bytes" doc:"of all records"`
	ByState  map[State]int `json:"by_state" doc:"clusters in each state"`
	Members  int           `json:"members" doc:"of all clusters"`
	Sessions int           `json:"sessions" doc:"connections open now"`
	Waiting  int           `json:"waiting" doc:"requests that wait for a cluster to change"`
	Revision string        `json:"revision" doc:"changes with every change of a cluster; for since"`

	Formations []Formation `json:"formations" doc:"how long clusters took from their creation until they were full, since the start of this server"`
}

// Server is one of several servers on one store.
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name" doc:"of the machine"`
	Version string `json:"version"`
	Self    bool   `json:"self"`
}

// Formation is one class of cluster sizes in the histogram of formation times.
type Formation struct {
	Sizes   string   `json:"sizes" doc:"such as 3-5"`
	Bounds  []int64  `json:"bounds" doc:"upper bounds of the buckets, in milliseconds; the last bucket has none"`
	Counts  []uint64 `json:"counts" doc:"clusters in each bucket"`
	Count   uint64   `json:"count"`
	Seconds float64  `json:"seconds" doc:"the sum of all"`
}

// Cluster is a cluster in brief.
type Cluster struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Owner    string `json:"owner,omitempty" doc:"the fingerprint of the owner's key; absent if the cluster is open"`
	State    State  `json:"state" enum:"forming,full,reduced,empty"`
	Size     int    `json:"size" doc:"the most members there may be"`
	Members  int    `json:"members"`
	Taken    []int  `json:"taken" doc:"the indexes of the members"`
	Epoch    uint64 `json:"epoch"`
	Revision uint64 `json:"revision"`
	Orders   uint64 `json:"orders,omitempty" doc:"how many orders of the owner have been done"`

	Created *time.Time `json:"created,omitempty"`
	Changed *time.Time `json:"changed,omitempty" doc:"when this server last saw it change; absent if not since its start"`
	Formed  *int64     `json:"formed_ms,omitempty" doc:"milliseconds from its creation until it was full"`
}

// ClusterDetail is one cluster with its members.
type ClusterDetail struct {
	Cluster
	Endpoints int      `json:"endpoints" doc:"how many each member has"`
	Waiting   int      `json:"waiting" doc:"requests that wait for this cluster to change"`
	Seats     []Member `json:"seats" doc:"the members, in the order of their indexes"`
}

// Member is a member of a cluster.
type Member struct {
	Index     int               `json:"index"`
	Name      string            `json:"name"`
	Node      string            `json:"node"`
	Key       string            `json:"key" doc:"the fingerprint of its sig key"`
	KeyKind   string            `json:"key_kind" doc:"such as P-256 or RSA-2048"`
	Endpoints []string          `json:"endpoints"`
	Labels    map[string]string `json:"labels,omitempty"`
	Epoch     uint64            `json:"epoch" doc:"in which it took its seat"`
	Fresh     bool              `json:"fresh,omitempty" doc:"it waits for the start of all others"`
	Joined    *time.Time        `json:"joined,omitempty"`
	LeaseMS   int64             `json:"lease_ms,omitempty" doc:"how long its seat lasts without a sign of life; absent: for ever"`
	Seen      *time.Time        `json:"seen,omitempty" doc:"its last sign of life; absent without a lease, or if another server hears of it"`
	Due       *time.Time        `json:"due,omitempty" doc:"when its seat ends, unless it gives a sign of life before"`
}

// Node is a node that is registered.
type Node struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Key       string     `json:"key" doc:"the fingerprint of its sig key"`
	KeyKind   string     `json:"key_kind"`
	Endpoints []string   `json:"endpoints"`
	Seen      *time.Time `json:"seen,omitempty" doc:"the day on which it last registered or logged in"`
}

// Session is one open connection of a client.
type Session struct {
	ID       uint64    `json:"id" doc:"of this server, in the order in which they began"`
	From     string    `json:"from" doc:"the peer's address and port"`
	Protocol string    `json:"protocol,omitempty" doc:"absent until the handshake has ended"`
	Node     string    `json:"node,omitempty" doc:"absent until it has said who it is"`
	Began    time.Time `json:"began"`
	Requests int       `json:"requests"`
	Waits    string    `json:"waits,omitempty" doc:"the ID of the cluster that it waits for"`
}

// Limit is one bound of the registry, and how near it is.
type Limit struct {
	Name    string `json:"name" doc:"of the flag that sets it"`
	Value   int64  `json:"value"`
	Unit    string `json:"unit" doc:"such as connections, clusters or MiB/min"`
	Used    *int64 `json:"used,omitempty" doc:"of all together, or of the one that uses most of it"`
	By      string `json:"by,omitempty" doc:"who that is: an address, or a network of IPv6"`
	Refused uint64 `json:"refused" doc:"how often it was met, since the start of this server"`
}

// Change is one event of the stream: a cluster as it is now, or gone.
type Change struct {
	Revision string   `json:"revision" doc:"of the registry, after this change"`
	Cluster  *Cluster `json:"cluster,omitempty" doc:"absent if it is gone"`
	Gone     string   `json:"gone,omitempty" doc:"the ID of a cluster that is no more"`
}

// Done is the answer to a change of a cluster by an admin.
type Done struct {
	Cluster *Cluster `json:"cluster,omitempty" doc:"as it is now; absent if it has been deleted"`
	Evicted []string `json:"evicted,omitempty" doc:"the names of the members that lost their seats"`
}

// Token is what is known of an admin's token; the token itself is shown once, when it is
// made.
type Token struct {
	Name     string    `json:"name"`
	ReadOnly bool      `json:"read_only"`
	Created  time.Time `json:"created"`
}
