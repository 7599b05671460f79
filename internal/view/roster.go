package view

import (
	"encoding/base64"
	"encoding/pem"
	"time"

	"github.com/xlattice/xlreg"
)

// Cluster is a cluster as scripts read it.
type Cluster struct {
	ID            string             `json:"id"`
	Name          xlreg.Name         `json:"name"`
	Size          int                `json:"size"`
	EndpointCount int                `json:"endpointCount"`
	Attrs         xlreg.ClusterAttrs `json:"attrs"`
	Key           string             `json:"key,omitempty"` // in base64url; of a cluster with an owner
}

// Member is a member as scripts read it. Keys are PEM.
type Member struct {
	Index      int              `json:"index"`
	ID         string           `json:"id"`
	Name       xlreg.Name       `json:"name"`
	Endpoints  []xlreg.Endpoint `json:"endpoints"`
	CommsKey   string           `json:"commsKey"`
	SigKey     string           `json:"sigKey"`
	Attrs      xlreg.NodeAttrs  `json:"attrs"`
	Unverified bool             `json:"unverified,omitempty"` // registered or read over a classic carrier

	Labels      map[string]string `json:"labels,omitempty"`
	LeaseMillis int64             `json:"leaseMillis,omitempty"` // how long its seat lasts without a sign of life
	Seen        *time.Time        `json:"seen,omitempty"`        // the last one
}

// Roster is a roster as scripts read it.
type Roster struct {
	Cluster Cluster  `json:"cluster"`
	State   *State   `json:"state,omitempty"` // not over a classic carrier
	Members []Member `json:"members"`
}

// State is what changes about a cluster, as scripts read it.
type State struct {
	Epoch    uint64 `json:"epoch"`
	Revision uint64 `json:"revision"`
	Sum      string `json:"sum"`              // what people compare of it
	Pinned   bool   `json:"pinned,omitempty"` // the cluster's key was known beforehand
}

// NewCluster returns c as scripts read it.
func NewCluster(c *xlreg.Cluster) Cluster {
	return Cluster{
		ID: c.ID.String(), Name: c.Name, Size: c.MaxSize, EndpointCount: c.EndpointCount, Attrs: c.Attrs,
		Key: base64.RawURLEncoding.EncodeToString([]byte(c.Key)),
	}
}

// NewRoster returns the roster of c as scripts read it, still without members.
func NewRoster(c *xlreg.Cluster) *Roster {
	return &Roster{Cluster: NewCluster(c), Members: []Member{}}
}

// Add puts a member with these labels at the end of the roster.
func (r *Roster) Add(m *xlreg.Member, verified bool, labels map[string]string) {
	t := &m.Token
	added := Member{
		Index: m.Index, ID: t.ID.String(), Name: t.Name, Endpoints: List(t.Endpoints),
		CommsKey: KeyPEM(string(t.CommsKey)), SigKey: KeyPEM(string(t.SigKey)),
		Attrs: t.Attrs, Unverified: !verified, Labels: labels, LeaseMillis: t.Seat.Lease.Milliseconds(),
	}
	if !t.Seat.Seen.IsZero() {
		seen := t.Seat.Seen.UTC()
		added.Seen = &seen
	}
	r.Members = append(r.Members, added)
}

// KeyPEM returns a public key in DER as PEM.
func KeyPEM(der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(der)}))
}

// List returns a copy of list that JSON writes as an array even if it is empty.
func List[T any](list []T) []T { return append([]T{}, list...) }
